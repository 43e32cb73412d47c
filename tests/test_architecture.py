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
    "mlflow": ("interp/tracking.py",),
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
    if place.startswith("interp/"):
        assert not any(module.startswith("experiments") for module in modules)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert not node.name.startswith("Base"), f"{place}: {node.name}"
            assert not node.name.endswith(("Manager", "Handler")), f"{place}: {node.name}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{place}:{node.lineno} swallows everything"


def test_the_command_line_imports_nothing_heavy_before_it_must():
    code = "import sys, experiments.__main__; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    for heavy in ("torch", "transformers", "mlflow", "matplotlib", "sklearn", "scipy", "pandas"):
        assert heavy not in loaded
