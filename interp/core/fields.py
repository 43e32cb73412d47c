"""The settings of a component: name, type, default and meaning of each field of its class.

The meaning stands in the section "Attributes:" of the docstring of the class that defines the
field, and nowhere else.
"""

import dataclasses
import inspect
import re
from dataclasses import MISSING, dataclass
from typing import Any, cast

from omegaconf import MISSING as NEEDS_A_VALUE


@dataclass(frozen=True)
class Field:
    """One setting of a component.

    Attributes:
        name: its name, in the configuration as in the class.
        type: its type, as one writes it: "int", "float | None".
        default: its default value; None where `is_required`.
        is_required: whether it has no default.
        description: what it means, in a few words or sentences; "" where the class does not say.
    """

    name: str
    type: str
    default: object
    is_required: bool
    description: str


def fields_of(cls: type) -> tuple[Field, ...]:
    """Return the fields of a component's class that a configuration sets, in their order."""
    meanings = meanings_of(cls)
    return tuple(
        _field(field, meanings.get(field.name, ""))
        for field in dataclasses.fields(cast("Any", cls))
        if field.init
    )


def meanings_of(cls: type) -> dict[str, str]:
    """Return what each attribute means that the docstrings of a class and its parents list."""
    found: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        found |= _attributes(inspect.cleandoc(vars(parent).get("__doc__") or ""))
    return found


def _field(field: "dataclasses.Field[Any]", description: str) -> Field:
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    is_required = default is MISSING or default == NEEDS_A_VALUE
    written = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
    return Field(field.name, written, None if is_required else default, is_required, description)


def _attributes(docstring: str) -> dict[str, str]:
    """Read the section "Attributes:" of a docstring; a line may name several attributes."""
    section = docstring.partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    names = ""
    for line in section.splitlines():
        if start := re.match(r"    (\w[\w, ]*): (.+)", line):
            names, text = start.groups()
            found[names] = text
        elif line.startswith("        ") and names:
            found[names] += " " + line.strip()
        else:
            break
    return {name: text for names, text in found.items() for name in names.split(", ")}
