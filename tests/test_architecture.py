"""The house rules, read off the source: who may import what, and what must not exist."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "interp").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])
LAUNCH = ("experiments/__main__.py", "experiments/launch/")

# Each foreign library has one owner; a folder owns with all its files.
OWNERS = {
    "hydra": LAUNCH,
    "omegaconf": ("interp/registry.py", "interp/config.py", *LAUNCH),
    "mlflow": ("interp/tracking/",),
    "transformers": ("interp/models/",),
    "tokenizers": ("interp/models/",),
    "huggingface_hub": ("interp/models/",),
    "torch": ("interp/models/", "interp/capture/", "interp/training/"),
    "safetensors": ("interp/models/", "interp/training/"),
    "matplotlib": ("interp/figures/",),
    "textalloc": ("interp/figures/",),
    "PIL": ("interp/figures/",),
    "sklearn": ("interp/reductions/", "interp/geometry/", "interp/clusterings.py"),
    "umap": ("interp/reductions/",),
    "pacmap": ("interp/reductions/",),
    "threadpoolctl": ("interp/reductions/", "interp/clusterings.py"),
    "datasets": ("interp/prompts/dataset.py",),
    "ot": ("interp/similarity/distributions.py",),
}


def imports(path):
    """Modules that a file imports when it runs; what only type checkers see is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_foreign_libraries_are_imported_by_their_owners_alone(path):
    place = str(path.relative_to(ROOT))
    for module in imports(path):
        owners = OWNERS.get(module.partition(".")[0])
        assert owners is None or place.startswith(owners), f"{place} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_must_not_exist_does_not(path):
    place = str(path.relative_to(ROOT))
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "misc")
    modules = list(imports(path))
    assert "pickle" not in modules
    assert not any("pyplot" in module for module in modules)
    # The door, which is there for whoever writes `from interp import run`, opens late.
    if place.startswith("interp/") and place != "interp/__init__.py":
        assert not any(module.startswith("experiments") for module in modules)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert not node.name.startswith("Base"), f"{place}: {node.name}"
            assert not node.name.endswith(("Manager", "Handler")), f"{place}: {node.name}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{place}:{node.lineno} swallows everything"


HEAVY = {
    *("torch", "transformers", "tokenizers", "huggingface_hub", "mlflow", "matplotlib"),
    *("sklearn", "scipy", "pandas"),
}
# What a run does before it plans what to read, for every preset at once.
BUILDS = """
import sys
from hydra import compose, initialize_config_dir
from experiments.__main__ import CONF
from experiments.launch import job, report, sweep
from interp import runner
job.register_analyses()
with initialize_config_dir(str(CONF), version_base="1.3"):
    for preset in sorted((CONF / "experiment").glob("*.yaml")):
        config = compose("config", overrides=[f"experiment={preset.stem}"])
        assert runner.build(config).analysis
print(*sys.modules)
"""


def loaded_by(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_the_command_line_imports_nothing_heavy_before_it_must():
    loaded = loaded_by("import sys, experiments.__main__; print(*sys.modules)")
    assert "hydra" in loaded
    assert not loaded & HEAVY


def test_the_door_opens_late():
    loaded = loaded_by("import sys, interp, interp.metrics; print(*sys.modules)")
    assert not {name for name in loaded if name.startswith(("experiments", "hydra"))}


def test_building_any_preset_imports_nothing_heavy():
    loaded = loaded_by(BUILDS)
    assert {"interp.models", "interp.hooks", "experiments.rotation"} <= loaded
    assert not loaded & HEAVY


def test_a_job_imports_the_chosen_analysis_alone():
    code = "import sys; from experiments.launch.job import register_analyses as register; "
    loaded = loaded_by(f"{code} register('rotation'); print(*sys.modules)")
    analyses = {path.stem for path in (ROOT / "conf" / "analysis").glob("*.yaml")}
    assert {name for name in analyses if f"experiments.{name}" in loaded} == {"rotation"}


def test_every_analysis_stands_in_the_file_of_its_name():
    code = "from experiments.launch.job import register_analyses as register; register(); "
    code += "from interp.analysis import ANALYSES; "
    places = loaded_by(f"{code} print(*(f'{{ANALYSES[n].__module__}}={{n}}' for n in ANALYSES))")
    analyses = {path.stem for path in (ROOT / "conf" / "analysis").glob("*.yaml")}
    assert places == {f"experiments.{name}={name}" for name in analyses}
