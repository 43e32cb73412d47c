"""Where each part of a composed configuration comes from: the command line, a preset, or no one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

COMMAND_LINE, PRESET, DEFAULT = "command line", "preset", "default"


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
        config: it, Hydra's own part included.
        choices: what is chosen of each group, "" for nothing.
        origins: of each group COMMAND_LINE, PRESET or DEFAULT.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    choices: dict[str, str]
    origins: dict[str, str]

    @classmethod
    def of(cls, overrides: Sequence[str]) -> "Composed":
        """Compose the configuration of a run with these overrides, where Hydra is `opened`.

        Raises:
            HydraException: an override, or a file, is wrong.
        """
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
        loader: Any = GlobalHydra.instance().config_loader()
        listed = loader.compute_defaults_list("config", list(overrides), RunMode.RUN)
        # What Hydra knows of a null is its name.
        choices = {
            key: "" if name in (None, "null") else str(name)
            for key, name in config.hydra.runtime.choices.items()
        }
        origins = dict.fromkeys(choices, DEFAULT)
        for key, told in listed.overrides.override_metadata.items():
            if told.external_override:
                origins[key] = COMMAND_LINE
            elif told.containing_config_path != "config":
                origins[key] = PRESET
        return cls(tuple(overrides), config, choices, origins)

    @property
    def task(self) -> DictConfig:
        """The configuration without Hydra's part, as a run is given it."""
        return OmegaConf.masked_copy(self.config, [str(k) for k in self.config if k != "hydra"])

    def register(self) -> None:
        """Register what the configuration may name, as a run does.

        Raises:
            ConfigError: a module of one's own is not there, or cannot be imported.
        """
        from interp.cli.hydra.job import register_among

        register_among(self.config, self.config.hydra.runtime.config_sources)

    def values(self) -> list[Value]:
        """Return what differs from the files that are chosen, where Hydra is `opened`."""
        chosen = [
            f"{key}={name}"
            for key, name in self.choices.items()
            if name and key != "experiment" and not key.startswith("hydra/")
        ]
        before = OmegaConf.to_container(compose("config", overrides=chosen), resolve=False)
        after = OmegaConf.to_container(self.task, resolve=False)
        typed = [override.get_key_element().lstrip("+~") for override in parsed(self.overrides)]
        found = []
        for key, value in _differing(before, after):
            is_typed = any(f"{key}.".startswith(f"{t}.") or t.startswith(f"{key}.") for t in typed)
            found.append(Value(key, value, COMMAND_LINE if is_typed else PRESET))
        return found


@contextmanager
def opened(conf: str, own: Sequence[Path] = ()) -> Iterator[None]:
    """Let Hydra compose from a folder, and from one of the user's own behind it."""
    search = create_config_search_path(conf)
    for folder in own:
        search.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2("interp", search)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides; what a `glob` stands for is told by what is `opened`."""
    loader = GlobalHydra.instance().config_loader()
    found: list[Override] = OverridesParser.create(loader).parse_overrides(list(overrides))
    return found


def flow(value: Any) -> str:
    """Return a value in one line of YAML, as one would type it."""
    text: str = yaml.safe_dump([value], default_flow_style=True, width=10**9, allow_unicode=True)
    return text.strip()[1:-1]


def _differing(before: Any, after: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what of one nested mapping is not so in another, by its dotted key."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            where = f"{at}.{key}".lstrip(".")
            if key not in before:
                yield where, value
            else:
                yield from _differing(before[key], value, where)
    elif before != after:
        yield at, after
