"""The rules of the house that no linter knows: names, sizes, and when things are imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "experiments").rglob("*.py"), *(ROOT / "interp").rglob("*.py")])
LONGEST, MOST_PARAMETERS = 60, 8

HEAVY = {
    *("torch", "transformers", "tokenizers", "huggingface_hub", "mlflow", "matplotlib"),
    *("sklearn", "scipy", "pandas"),
}
BUILD_EVERY_PRESET = """
import sys
from hydra import compose, initialize_config_dir
from interp.cli.overrides import CONF
from interp.runner.build import build
with initialize_config_dir(str(CONF), version_base="1.3"):
    for preset in sorted((CONF / "experiment").glob("*.yaml")):
        assert build(compose("config", overrides=[f"experiment={preset.stem}"])).analysis
print(*sys.modules)
"""


def is_of(path, *names):
    return path.relative_to(ROOT).parts[: len(names)] == names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_must_not_exist_does_not(path):
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "misc")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert not node.name.startswith("Base"), node.name
            assert not node.name.endswith(("Manager", "Handler")), node.name
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno} swallows every exception"
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "pyplot", "matplotlib.pyplot"} & set(named)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short_and_take_few_parameters_or_state_why(path):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        n_parameters = sum(one.arg not in ("self", "cls") for one in arguments)
        # The parameters of these are the inputs that an analysis asks for.
        asks = is_of(path, "experiments") and node.name in ("check", "__call__")
        too_many = n_parameters > MOST_PARAMETERS and not asks
        length = (node.end_lineno or 0) - node.lineno + 1
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        above = lines[first - 2].lstrip().startswith("#")
        assert above or not (too_many or length > LONGEST), (
            f"{node.name}: {length} lines, {n_parameters} parameters, and no comment above it "
            "that states why"
        )


def test_the_top_of_the_library_holds_its_public_surface_alone():
    loose = {path.name for path in (ROOT / "interp").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py"}


def loaded_by(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_the_command_line_imports_nothing_heavy_before_it_must():
    loaded = loaded_by("import sys, interp.cli.main; print(*sys.modules)")
    assert "hydra" in loaded
    assert not loaded & {*HEAVY, "numpy", "rich"}


def test_the_public_surface_is_imported_late():
    loaded = loaded_by("import sys, interp, interp.metrics; print(*sys.modules)")
    assert not {name for name in loaded if name.startswith(("interp.experiments", "hydra"))}


def test_building_any_preset_imports_nothing_heavy():
    loaded = loaded_by(BUILD_EVERY_PRESET)
    assert {"interp.models", "interp.hooks", "interp.experiments.rotation.analysis"} <= loaded
    assert not loaded & HEAVY


def test_a_name_imports_its_own_question_alone():
    code = "import sys; from interp.runner.analysis import ANALYSES; ANALYSES['rotation']; "
    loaded = loaded_by(f"{code} print(*sys.modules)")
    questions = {path.name for path in (ROOT / "experiments").iterdir() if path.is_dir()}
    found = {name for name in questions if f"interp.experiments.{name}" in loaded}
    assert found == {"rotation"}
