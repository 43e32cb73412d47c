"""Where each part of a configuration comes from: the command line, a preset, or neither."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from interp.cli.hydra.composition import Composer, without_hydra
from interp.cli.hydra.imports import register_among
from interp.cli.hydra.internals import COMMAND_LINE, DEFAULT, PRESET, choice_origins


@dataclass(frozen=True)
class Value:
    """A value that is another than the chosen files give.

    Attributes:
        key: where it is: "hook.layers".
        value: what it is, interpolations as they are written.
        origin: COMMAND_LINE or PRESET.
    """

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, eq=False)
class Composed:
    """A configuration, and where its parts come from.

    Attributes:
        overrides: what it was composed with.
        config: the configuration, Hydra's own part included.
        choices: what is chosen of each group, "" for nothing.
        origins: who chose, of each group: COMMAND_LINE, PRESET or DEFAULT.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    choices: dict[str, str]
    origins: dict[str, str]

    @classmethod
    def of(cls, composer: Composer, overrides: Sequence[str]) -> "Composed":
        """Compose the configuration of a run with these overrides.

        Raises:
            HydraException: an override, or a file, is wrong.
        """
        config = composer.compose(overrides, with_hydra=True)
        # What Hydra knows of a null is its name.
        choices = {
            key: "" if name in (None, "null") else str(name)
            for key, name in config.hydra.runtime.choices.items()
        }
        chosen = choice_origins(composer.loader, composer.with_own(overrides))
        origins = {**dict.fromkeys(choices, DEFAULT), **chosen}
        return cls(tuple(overrides), config, choices, origins)

    @property
    def task(self) -> DictConfig:
        """The configuration without Hydra's part, as a run is given it."""
        return without_hydra(self.config)

    def register(self) -> None:
        """Import the modules that the configuration names, as a run does.

        Raises:
            ConfigError: a module of the user's own is not there, or cannot be imported.
        """
        register_among(self.config, self.config.hydra.runtime.config_sources)

    def values(self, composer: Composer) -> list[Value]:
        """Return what differs from the files that are chosen."""
        chosen = [
            f"{key}={name}"
            for key, name in self.choices.items()
            if name and key != "experiment" and not key.startswith("hydra/")
        ]
        before = OmegaConf.to_container(composer.compose(chosen), resolve=False)
        after = OmegaConf.to_container(self.task, resolve=False)
        given = composer.parse(self.overrides)
        typed = [override.get_key_element().lstrip("+~") for override in given]
        found = []
        for key, value in _differing(before, after):
            is_typed = any(f"{key}.".startswith(f"{t}.") or t.startswith(f"{key}.") for t in typed)
            found.append(Value(key, value, COMMAND_LINE if is_typed else PRESET))
        return found


def flow(value: Any) -> str:
    """Return a value in one line of YAML, as one would type it."""
    text: str = yaml.safe_dump([value], default_flow_style=True, width=10**9, allow_unicode=True)
    return text.strip()[1:-1]


def _differing(before: Any, after: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of one nested mapping that differ from another's, by their dotted keys."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            where = f"{at}.{key}".lstrip(".")
            if key not in before:
                yield where, value
            else:
                yield from _differing(before[key], value, where)
    elif before != after:
        yield at, after
