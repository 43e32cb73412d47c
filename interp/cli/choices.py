"""What can be chosen: the folders of configuration files, and what their comments say of each.

Nothing is composed, and no component imported but for a file that says nothing of itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from interp.cli import docstrings
from interp.core.errors import ConfigError, nearest
from interp.core.groups import GROUPS
from interp.core.plugins import plugin_folders
from interp.core.registry import Registry

_FOLDER = ("--config-dir", "-cd")


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
        """The comment that the file begins with; without one its class's docstring speaks."""
        return leading_comment(self.file) or _first_sentence(self)


@dataclass(frozen=True)
class Group:
    """What config.yaml says of a group.

    Attributes:
        key: what one types in front of "=": "metric", "model@reference".
        decides: its comment.
        default: what is chosen unless another is; "" where nothing is.
    """

    key: str
    decides: str
    default: str

    @property
    def folder(self) -> str:
        """The folder that its choices are files of."""
        return self.key.partition("@")[0]


def split_folder(arguments: Sequence[str]) -> tuple[tuple[Path, ...], list[str]]:
    """Take the folder of one's own off the arguments; return it, if there is one, and the rest."""
    found: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        key, equals, value = argument.partition("=")
        if key in _FOLDER:
            found.append(value if equals else next(waiting, ""))
        else:
            rest.append(argument)
    return tuple(Path(folder).expanduser().absolute() for folder in found[-1:]), rest


def check_folder(own: Sequence[Path]) -> None:
    """Refuse a folder of one's own that is not there.

    Raises:
        ConfigError: in the words of Hydra.
    """
    for folder in own:
        if not folder.is_dir():
            raise ConfigError(f"Additional config directory '{folder}' not found")


def groups(conf: Path, own: Sequence[Path] = ()) -> list[Group]:
    """Return the groups in the order in which config.yaml lists them, then all others."""
    text = (conf / "config.yaml").read_text(encoding="utf-8")
    # Of Hydra's own groups one stands there as a comment alone: a preset could not override it.
    entry = r"^  (?:# )?- ([\w/@-]+): ([\w.-]+) *(?:# (.*))?$"
    listed = [
        Group(key, (said or "").strip(), "" if default == "null" else default)
        for key, default, said in re.findall(entry, text, re.M)
    ]
    with_choices = sorted({choice.group for choice in every(conf, own)})
    known = [group for group in listed if group.folder in with_choices]
    named = {group.folder for group in known}
    return [*known, *(Group(folder, "", "") for folder in with_choices if folder not in named)]


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
    keys = [known.key for known in groups(conf, own)]
    if group not in (*keys, *(key.partition("@")[0] for key in keys)):
        raise ConfigError(f"there is no group {group!r}{nearest(group, keys)}")
    folder = group.partition("@")[0]
    found = [choice for choice in every(conf, own) if choice.group == folder]
    return sorted(found, key=lambda choice: (choice.name, choice.is_hidden))


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


def leading_comment(file: Path) -> str:
    """Return the first paragraph of comment that a file begins with, in one line; "" for none."""
    said: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if text.startswith("@package") or (not text and not said):
            continue
        if not line.startswith("#") or not text:
            break
        said.append(text)
    return " ".join(said)


def registry(group: str) -> Registry[Any]:
    """Return the registry of the classes that a group's files name."""
    return next(known.registry for known in GROUPS if known.name == group)


def _first_sentence(choice: Choice) -> str:
    config = OmegaConf.load(choice.file)
    name = config.get("name") if isinstance(config, DictConfig) else ""
    if (
        choice.group not in {known.name for known in GROUPS}
        or not isinstance(name, str)
        or not name
    ):
        return ""
    known = registry(choice.group)
    return docstrings.first_sentence(known[name]) if name in known else ""
