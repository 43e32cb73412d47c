"""An installed package adds a metric of its own; the project's entry points are what it has."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from interp.core.groups import GROUPS

ROOT = Path(__file__).parents[2]
SMALL = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "interp-parity"
version = "1.0"

[project.entry-points."interp.metrics"]
parity = "interp_parity.metric:Parity"
cosine = "interp_parity.metric:Parity"

[project.entry-points."interp.conf"]
parity = "interp_parity.conf"
"""
METRIC = '''
from dataclasses import dataclass
from typing import ClassVar

from interp.metrics import METRICS
from interp.metrics.pairs import Cosine


@METRICS.register("parity")
@dataclass(frozen=True)
class Parity(Cosine):
    """The mean cosine, its sign exchanged where `odd`."""

    label: ClassVar[str] = "parity"
    odd: bool = False

    def table(self, x, y):
        return (1 - 2 * self.odd) * super().table(x, y)
'''
BROKEN = """
[interp.metrics]
broken = nothing_of_the_kind:Metric

[interp.conf]
broken = nothing_of_the_kind.conf
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with two installed packages: one that works, and one that cannot be imported."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    package = source / "interp_parity"
    (package / "conf" / "metric").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").write_text("")
    (package / "metric.py").write_text(METRIC)
    text = "# Whether vectors agree in sign.\nname: parity\nodd: false\n"
    (package / "conf" / "metric" / "parity.yaml").write_text(text)
    # A file of the project's name, which the project's own goes before.
    (package / "conf" / "metric" / "cosine.yaml").write_text(
        "# Another.\nname: parity\nodd: true\n"
    )
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target")
    command = [sys.executable, "-m", "pip", "install", *options, str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    broken = site / "interp_broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.4\nName: interp-broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(BROKEN)
    return site


@pytest.fixture
def python(site, tmp_path):
    def call(*arguments):
        path = os.pathsep.join([str(ROOT), str(site)])
        environment = {"PYTHONPATH": path, "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )

    return call


def test_a_package_s_choice_is_listed_and_runs(python):
    listed = python("-m", "interp", "list", "metric").stdout
    assert "Whether vectors agree in sign." in listed
    done = python("-m", "interp", *SMALL, "metric=parity", "hook.layers=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parity" in done.stdout


def test_a_name_that_the_project_has_stays_the_project_s(python):
    code = """
from interp import compose
from interp.metrics import METRICS
config = compose("metric=cosine")
for metric in (METRICS.build(config.metric), METRICS.build({"name": "parity"})):
    print(type(metric).__module__)
"""
    done = python("-c", code)
    assert done.stdout.split() == ["interp.metrics.pairs", "interp_parity.metric"], done.stderr


def test_a_package_that_cannot_be_imported_is_named_where_it_is_chosen(python):
    done = python("-m", "interp", *SMALL, "metric.name=broken")
    assert done.returncode == 1
    assert "metric=broken, of the package interp-broken, cannot be imported: Module" in done.stderr
    assert "Traceback" not in done.stderr


def registered():
    """Each `@REGISTRY.register("name")` of the source: (registry, name, module:Class)."""
    for file in sorted((ROOT / "interp").glob("**/*.py")) + sorted(
        (ROOT / "interp" / "experiments").glob("**/*.py")
    ):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for cls in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for decorator in cls.decorator_list if isinstance(cls, ast.ClassDef) else ():
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(
                    ".register"
                ):
                    name = decorator.args[0].value
                    yield decorator.func.value.id, name, f"{module}:{cls.name}"


def test_every_component_is_an_entry_point_and_every_entry_point_a_component():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["entry-points"]
    groups = {group.registry_at.partition(":")[2]: group.registry.entry_points for group in GROUPS}
    found = {(groups[registry], name, at) for registry, name, at in set(registered())}
    expected = {
        (group, name, at)
        for group, entries in declared.items()
        if group in groups.values()
        for name, at in entries.items()
    }
    assert found == expected


def test_what_is_installed_is_what_is_declared():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for group, entries in tomllib.loads(text)["project"]["entry-points"].items():
        installed = {entry.name: entry.value for entry in entry_points(group=group)}
        assert installed.items() >= entries.items()
