"""The examples of docstrings give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A whole run is an example of the session's tests.
WHOLE_RUNS = {"interp"}


def modules_with_examples():
    for folder in ("interp", "experiments"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                name = ".".join(parts).removesuffix(".__init__")
                name = name if folder == "interp" else f"interp.{name}"
                if name not in WHOLE_RUNS:
                    yield name


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_of_a_module(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed
