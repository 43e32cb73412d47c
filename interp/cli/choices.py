"""What can be chosen: the groups, and the files of each with what they are.

Nothing is composed, and no component imported but for a file that does not describe itself.
"""

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from interp.core import groups as component_groups
from interp.core.errors import ConfigError, nearest
from interp.core.fields import fields_of
from interp.core.plugins import plugin_folders

# The groups that choose no component: what each decides, and the choice by default.
_FURTHER = {
    "experiment": ("a preset that makes all of these choices at once", ""),
    "hydra/launcher": ("how a sweep's jobs are run: one after the other, or at once", "basic"),
    "hydra/sweeper": ("which jobs a sweep has", "basic"),
}


@dataclass(frozen=True)
class Choice:
    """One file of a group.

    Attributes:
        group: the folder, from that of the configuration on: "metric", "hydra/launcher".
        name: the file's name, without its ending.
        file: where it is.
        is_own: whether it is of the user's own folder.
        is_hidden: whether the project has a choice of the same name, which Hydra takes instead.
    """

    group: str
    name: str
    file: Path
    is_own: bool
    is_hidden: bool = False

    @property
    def description(self) -> str:
        """The comment that the file begins with; without one, the docstring of its class."""
        return leading_comment(self.file) or _described_by_class(self)


@dataclass(frozen=True)
class Group:
    """A choice that the command line can make.

    Attributes:
        key: what one types before "=": "metric", "model@reference".
        decides: what it decides, in a few words; "" for a group that only the user's files have.
        default: what is chosen unless another is; "" where nothing is.
    """

    key: str
    decides: str
    default: str

    @property
    def folder(self) -> str:
        """The folder that its choices are files of."""
        return self.key.partition("@")[0]


def groups(conf: Path, own: Sequence[Path] = ()) -> list[Group]:
    """Return the groups of components, presets, Hydra's own groups, and those of the user's."""
    return list(by_group(conf, own))


def by_group(conf: Path, own: Sequence[Path] = ()) -> dict[Group, list[Choice]]:
    """Return the choices of each group, in the order of `groups` and then of their names."""
    of_folder: dict[str, list[Choice]] = {}
    for choice in every(conf, own):
        of_folder.setdefault(choice.group, []).append(choice)
    found = [*_known_groups(conf)]
    known = {group.folder for group in found}
    found += [Group(folder, "", "") for folder in sorted(of_folder.keys() - known)]
    return {
        group: sorted(of_folder.get(group.folder, ()), key=lambda c: (c.name, c.is_hidden))
        for group in found
    }


def _known_groups(conf: Path) -> list[Group]:
    listed = yaml.safe_load((conf / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    defaults = {
        key: name or ""
        for entry in listed
        if isinstance(entry, dict)
        for key, name in entry.items()
    }
    found = [
        Group(group.override, group.decides, defaults.get(group.override, ""))
        for group in component_groups.GROUPS
    ]
    return [*found, *(Group(key, *of_key) for key, of_key in _FURTHER.items())]


def every(conf: Path, own: Sequence[Path] = ()) -> Iterator[Choice]:
    """Yield each choice of each group: the project's, those of installed packages, the user's."""
    seen = set()
    for folder in (conf, *plugin_folders(), *own):
        # No deeper than groups lie: a folder of configurations may hold `outputs` too.
        for file in sorted([*folder.glob("*/*.yaml"), *folder.glob("hydra/*/*.yaml")]):
            place = file.relative_to(folder)
            group, name = place.parent.as_posix(), file.stem
            yield Choice(group, name, file, folder in own, (group, name) in seen)
            seen.add((group, name))


def of_group(group: str, conf: Path, own: Sequence[Path] = ()) -> list[Choice]:
    """Return the choices of a group in the order of their names.

    Raises:
        ConfigError: there is no such group; the message names the nearest.
    """
    found = by_group(conf, own)
    for known, choices in found.items():
        if group in (known.key, known.folder):
            return choices
    keys = [known.key for known in found]
    raise ConfigError(f"there is no group {group!r}{nearest(group, keys)}")


def find(group: str, name: str, conf: Path, own: Sequence[Path] = ()) -> Choice:
    """Return a choice by its name.

    Raises:
        ConfigError: there is no such choice; the message names the nearest.
    """
    known = of_group(group, conf, own)
    for choice in known:
        if choice.name == name and not choice.is_hidden:
            return choice
    names = dict.fromkeys(choice.name for choice in known)
    raise ConfigError(f"{group} cannot be {name!r}{nearest(name, names)}")


def settings_of(choice: Choice) -> list[tuple[str, str, str, str]]:
    """Return name, value, type and meaning of each setting of a component's file.

    The values are the file's; names, types and meanings are the class's. A file that builds on
    another one, and a choice that is no component, has none.
    """
    cls = _class_of(choice)
    if cls is None:
        return []
    given = yaml.safe_load(choice.file.read_text(encoding="utf-8"))
    rows = []
    for field in fields_of(cls):
        value = given.get(field.name, field.default)
        is_missing = field.is_required and value in (None, "???")
        shown = "needs a value" if is_missing else json.dumps(value, ensure_ascii=False)
        rows.append((field.name, shown, field.type, field.description))
    return rows


def leading_comment(file: Path) -> str:
    """Return the first paragraph of comment that a file begins with, in one line; "" for none."""
    words: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if text.startswith("@package") or (not text and not words):
            continue
        if not line.startswith("#") or not text:
            break
        words.append(text)
    return " ".join(words)


def first_sentence(cls: type) -> str:
    """Return the first sentence of a class's docstring, in one line."""
    text = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    # An abbreviation's full stop ends no sentence.
    found = re.match(r".*?(?<!al)(?<!e\.g)(?<!i\.e)[.?!](?=\s+[A-Z\"]|$)", text)
    return found[0] if found else text


def _described_by_class(choice: Choice) -> str:
    cls = _class_of(choice)
    return "" if cls is None else first_sentence(cls)


def _class_of(choice: Choice) -> type | None:
    """Return the class of the component that a file configures, where it names one."""
    config = yaml.safe_load(choice.file.read_text(encoding="utf-8"))
    name = config.get("name") if isinstance(config, dict) else None
    known = {group.name: group for group in component_groups.GROUPS}
    if choice.group not in known or not name:
        return None
    registry = known[choice.group].registry
    if name not in registry:
        return None
    found: type = registry[name]
    return found
