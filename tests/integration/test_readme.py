"""Every command of the README composes, with the values that it leaves to the reader."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob

from interp.cli.overrides import CONF, as_hydra_reads

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("interp")]
# Verbs that take no overrides have tests of their own.
OTHER_VERBS = tuple(f"interp {verb}" for verb in ("store", "list", "new", "compare", "-sc"))
COMMANDS = [
    line for line in LINES if not line.startswith(OTHER_VERBS) and "--config-dir" not in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command):
    _, *arguments = shlex.split(command, comments=True)
    overrides = [a for a in as_hydra_reads(arguments) if not a.startswith("-")]
    overrides = [a for a in overrides if a not in ("ui", "show")]
    for override in OverridesParser.create().parse_overrides(overrides):
        values = [None]
        if isinstance(override.value(), Glob):
            values = [path.stem for path in (CONF / override.key_or_group).glob("*.yaml")]
        elif override.is_sweep_override():
            values = override.sweep_string_iterator()
        for value in values:
            chosen = override.input_line if value is None else f"{override.key_or_group}={value}"
            rest = [o for o in overrides if o != override.input_line and not {",", "*"} & set(o)]
            with initialize_config_dir(str(CONF), version_base="1.3"):
                assert compose("config", overrides=[*rest, chosen])


def test_a_users_preset_is_written_shown_and_composed(tmp_path):
    commands = [shlex.split(line, comments=True)[1:] for line in LINES if "--config-dir" in line]
    new, show, run = commands
    assert (new[0], show[0], run[0]) == ("new", "show", "--config-dir")
    environment = {**os.environ, "PYTHONPATH": str(README.parent)}
    printed = []
    for arguments in (new, show, [*run, "--cfg", "job"]):
        command = [sys.executable, "-m", "interp", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert (tmp_path / "mine" / "experiment" / "my_question.yaml").is_file()
    assert "neuron_clusters (preset)" in printed[1]
    assert "name: neuron_clusters" in printed[2]


def test_the_readme_shows_commands_and_its_figure():
    assert len(COMMANDS) >= 10
    for figure in re.findall(r"!\[.*?\]\((.+?)\)", README.read_text(encoding="utf-8"), re.S):
        assert (README.parent / figure).is_file()


def test_the_choices_that_the_readme_lists_exist():
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", README.read_text(encoding="utf-8"), re.M)
    # docs/launching.md lists the launchers.
    groups = {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra"}
    assert {group for group, _ in table} == groups
    for group, choices in table:
        for name in re.findall(r"`([\w.-]+)`", choices):
            if not name.startswith("-"):
                assert (CONF / group / f"{name}.yaml").is_file(), f"{group}/{name}"
