"""docs/adding.md is executed: its files are written and its commands run."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from interp import compose
from interp.cli.overrides import CONF
from interp.core.groups import GROUPS
from interp.runner.build import build

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
FILES = re.findall(r"`(mine/[\w/]+\.\w+)`:?\n\n```\w+\n(.*?)```", PAGE, re.S)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]
# Fewer permutations than the page's own, to save time.
QUICK = ("outputs=outputs", "analysis.permutations=19")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The page appends several blocks to one module.
        text = f"{path.read_text()}\n\n{text}" if path.exists() else text
        path.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch):
    """Restore the registries, and forget the page's module, after each test."""
    for group in GROUPS:
        monkeypatch.setattr(group.registry, "_classes", dict(group.registry._classes))
    monkeypatch.setitem(sys.modules, "my_parts", None)
    del sys.modules["my_parts"]


@pytest.fixture
def inside(folder, monkeypatch):
    """Work in the folder; restore the working directory and the import path afterwards."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def test_the_page_has_an_example_of_each_kind():
    kinds = {Path(name).parts[1] for name, _ in FILES}
    assert kinds >= {"experiment", "prompts", "model", "metric", "reduction", "analysis"}
    assert "my_parts.py" in kinds
    assert len(COMMANDS) >= 8


def test_every_command_runs_as_printed(inside, command_line):
    for command in COMMANDS:
        _, *arguments = shlex.split(command)
        quick = QUICK if "--config-dir" in arguments else ()
        status, printed, errors = command_line(*arguments, *quick)
        assert status == 0, printed + errors
        if "-m" in arguments:
            assert "4 of 4 jobs finished" in printed
        elif quick:
            assert "page     http" in printed


def test_the_python_runs_as_printed(inside, capsys):
    (block,) = re.findall(r"```python\n(from interp import compose, run\n.*?)```", PAGE, re.S)
    exec(block, {})
    printed = capsys.readouterr().out
    assert "sign agreement" in printed
    assert "significance" in printed


def test_every_file_composes(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, _ in FILES:
        path = Path(name)
        if path.suffix == ".yaml":
            group = path.parts[1]
            assert group in {place.name for place in CONF.iterdir()}
            chosen = (f"{group}={path.stem}", "imports=[my_parts]")
            config = compose(*chosen, config_dir=folder / "mine")
            assert build(config)


def test_the_metric_of_the_page_has_the_properties_it_declares(folder, monkeypatch):
    import numpy as np

    monkeypatch.setattr(sys, "path", list(sys.path))
    config = compose("metric=sign_agreement", "imports=[my_parts]", config_dir=folder / "mine")
    metric = build(config).metric
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30, 7))
    assert metric(x, y) == pytest.approx(np.mean(np.sign(x) == np.sign(y)))
    assert metric(3 * x, y) == metric(x, y)
    assert metric(x, x) == 1 == metric.identity(metric.prepared(x))
