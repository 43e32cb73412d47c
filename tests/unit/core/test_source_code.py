"""Which code a definition depends on, on modules that a test writes."""

import pytest

from interp.core import source_code
from interp.core.source_code import Definition, Sources, code_hash

MODULES = {
    "interp/__init__.py": "",
    "interp/maths/__init__.py": (
        "from interp.maths.sums import add\nfrom interp.maths.products import times\n"
    ),
    "interp/maths/sums.py": (
        "ZERO = 0\n\ndef add(x, y):\n    return ZERO + x + y\n\ndef other():\n    return 1\n"
    ),
    "interp/maths/products.py": "def times(x, y):\n    return x * y\n",
    "interp/maths/figures.py": "def draw():\n    return 'blue'\n",
    "interp/maths/late.py": "def late():\n    return 1\n",
    "interp/maths/types.py": "class Typed:\n    size = 1\n",
    "interp/base.py": "class Base:\n    def value(self):\n        return 1\n",
    "interp/chosen.py": '''
from typing import TYPE_CHECKING

import numpy as np

from interp import base
from interp.maths import add
from interp.maths import products as kept_apart
from interp.maths.figures import draw
from interp.maths.types import Typed

if TYPE_CHECKING:
    from interp.maths.late import late


class Chosen(base.Base):
    """A docstring."""

    size: int = 1

    def total(self, x: "Typed", y: int) -> int:
        """Another."""
        from interp.maths.late import late

        draw()
        n: int = add(x, y)
        return n + late() + np.pi


class Beside:
    def total(self):
        return kept_apart.times(1, 2)
''',
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in MODULES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(source_code, "_PROJECT_ROOT", tmp_path)
    yield tmp_path
    source_code._reader.cache_clear()


@pytest.fixture
def hashed(tree):
    def of(name):
        source_code._reader.cache_clear()
        return code_hash([Definition("interp.chosen", name)])

    return of


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("maths/sums.py", "ZERO = 0", "ZERO = 1", True),
        ("maths/sums.py", "return ZERO + x + y", "return x + ZERO + y", True),
        ("maths/sums.py", "return 1", "return 2", False),
        ("maths/products.py", "x * y", "y * x", False),
        ("maths/figures.py", "blue", "red", False),
        ("maths/late.py", "return 1", "return 2", True),
        ("maths/types.py", "size = 1", "size = 2", False),
        ("base.py", "return 1", "return 2", True),
        ("chosen.py", "Another.", "Reworded.", False),
        ("chosen.py", "y: int) -> int", "y: float) -> float", False),
        ("chosen.py", "n: int = add", "n = add", False),
        ("chosen.py", "size: int = 1", "size: float = 1", True),
        ("chosen.py", "times(1, 2)", "times(2, 2)", False),
        ("chosen.py", "draw()", "draw(1)", True),
    ],
)
def test_what_a_class_depends_on(file, old, new, changes, tree, hashed):
    before, place = hashed("Chosen"), tree / "interp" / file
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    assert (hashed("Chosen") != before) == changes


def test_an_attribute_of_a_module_is_followed_and_no_other(tree, hashed):
    before = hashed("Beside")
    (tree / "interp" / "maths" / "sums.py").write_text("ZERO = 3\n")
    assert hashed("Beside") == before
    (tree / "interp" / "maths" / "products.py").write_text("def times(x, y):\n    return 0\n")
    assert hashed("Beside") != before


def test_a_method_is_a_definition_of_its_own(tree, hashed):
    before = hashed("Chosen.total")
    place = tree / "interp" / "chosen.py"
    place.write_text(place.read_text().replace("size: int = 1", "size: int = 2"))
    assert hashed("Chosen.total") == before


def test_a_module_that_runs_code_when_it_is_imported_counts_with_it(tree, hashed):
    before, place = hashed("Chosen"), tree / "interp" / "maths" / "late.py"
    place.write_text(f"{place.read_text()}\nprint('now')\n")
    assert hashed("Chosen") != before


def test_a_file_is_found_for_the_project_s_own_modules_alone(tree):
    sources = Sources.of_project()
    assert sources.file("interp.maths") == tree / "interp" / "maths" / "__init__.py"
    assert sources.file("interp.maths.sums") == tree / "interp" / "maths" / "sums.py"
    assert sources.file("interp.nothing") is None
    assert sources.file("numpy") is None
