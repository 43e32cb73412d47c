"""Composing configurations: from the project's folder and one of the user's, and a sweep's jobs."""

import copy
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType

import hydra
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from interp.cli import schema

schema.store()

_SEARCH_PATH = "hydra.searchpath"


class Composer:
    """Composes configurations, while it is entered, from `conf` and from the user's own folders."""

    def __init__(self, conf: Path, own: Sequence[Path] = ()) -> None:
        """Build a composer.

        Args:
            conf: the project's configuration folder.
            own: folders of the user's, whose files come after the project's of the same name.
        """
        self.conf, self.own = conf, tuple(own)
        self._opened: AbstractContextManager[None] | None = None

    def __enter__(self) -> "Composer":
        GlobalHydra.instance().clear()
        self._opened = initialize_config_dir(str(self.conf), "interp", version_base="1.3")
        self._opened.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened:
            self._opened.__exit__(kind, error, trace)
        GlobalHydra.instance().clear()

    @property
    def loader(self) -> ConfigLoader:
        """Hydra's own."""
        return GlobalHydra.instance().config_loader()

    def compose(self, overrides: Sequence[str] = (), *, with_hydra: bool = False) -> DictConfig:
        """Return the configuration of a run with these overrides.

        Args:
            overrides: as on the command line.
            with_hydra: keep Hydra's own part of it.

        Raises:
            HydraException: an override, or a file, is wrong.
        """
        config: DictConfig = hydra.compose(
            "config", overrides=self.with_own(overrides), return_hydra_config=with_hydra
        )
        return config

    def with_own(self, overrides: Sequence[str]) -> list[str]:
        """Return the overrides, and with them where Hydra finds the user's own folders."""
        if not self.own:
            return list(overrides)
        places, rest = [f"file://{folder}" for folder in self.own], []
        for line in overrides:
            if line.partition("=")[0] == _SEARCH_PATH:
                places += map(str, parse([line])[0].value())
            else:
                rest.append(line)
        quoted = ",".join("'" + place.replace("'", r"\'") + "'" for place in places)
        return [*rest, f"{_SEARCH_PATH}=[{quoted}]"]

    def sweep_config(self) -> DictConfig:
        """Return the configuration that the jobs of a sweep are composed after."""
        config: DictConfig = self.loader.load_configuration(
            "config", self.with_own([]), RunMode.MULTIRUN
        )
        return config

    def options(self, group: str) -> list[str]:
        """Return the choices of a group, of Hydra's own groups those of its plugins too."""
        given = self.with_own([])
        names: list[str] = self.loader.get_group_options(group, ObjectType.CONFIG, "config", given)
        return names

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Parse overrides; a `glob` stands for the choices there are."""
        return parse(overrides, self.loader)


class JobComposer:
    """Composes the jobs of one sweep, each once and most of them from another.

    Hydra composes a job by walking the defaults lists and merging the files anew, which takes far
    longer than all else that a short job does. Jobs that choose the same files differ in values
    alone: the first of them is composed by Hydra, and a copy of it takes the values of the others.
    """

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        """Build a composer.

        Args:
            loader: Hydra's own.
            sweep: the configuration of the sweep, Hydra's part included.
        """
        self._loader, self._sweep = loader, sweep
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        # By everything but the values that may be exchanged.
        self._templates: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a job, Hydra's part included.

        Raises:
            HydraException: as Hydra would raise it.
        """
        line = tuple(overrides)
        if line not in self._composed:
            self._composed[line] = self._with_values(line)
        return self._composed[line]

    def _with_values(self, line: tuple[str, ...]) -> DictConfig:
        overrides = parse(line)
        values = self._exchangeable(overrides)
        key = tuple(
            override.key_or_group if override in values else str(override.input_line)
            for override in overrides
        )
        if (template := self._templates.get(key)) is not None:
            copied = copy.deepcopy(template)
            if _take_values(copied, values):
                _describe(copied, overrides)
                OmegaConf.copy_cache(from_config=self._sweep, to_config=copied)
                return copied
        config: DictConfig = self._loader.load_sweep_config(self._sweep, list(line))
        if values:
            # What is returned is changed by the job that runs with it.
            self._templates[key] = copy.deepcopy(config)
        return config

    def _exchangeable(self, overrides: Sequence[Override]) -> list[Override]:
        """Return the overrides that do nothing but to set one plain value each.

        A key that another one contains, as `hook` does `hook.layers`, is left to Hydra: there the
        order decides.
        """
        groups = self._sweep.hydra.runtime.choices
        setting = [o for o in overrides if o.package is None and o.key_or_group not in groups]
        found = []
        for override in setting:
            key, value = override.key_or_group, override.value()
            others = [other.key_or_group for other in setting if other is not override]
            is_alone = not any(
                f"{key}.".startswith(f"{o}.") or f"{o}.".startswith(f"{key}.") for o in others
            )
            is_plain = not isinstance(value, dict) and "/" not in key
            of_hydra = override.is_hydra_override()
            if override.type == OverrideType.CHANGE and is_plain and is_alone and not of_hydra:
                found.append(override)
        return found


# How the jobs of the sweep are composed that this process runs.
JOB_COMPOSER: ContextVar[JobComposer | None] = ContextVar("JOB_COMPOSER", default=None)


def parse(overrides: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Parse overrides; the loader knows what a `glob` stands for.

    Raises:
        OverrideParseException: one that cannot be read.
    """
    found: list[Override] = OverridesParser.create(loader).parse_overrides(list(overrides))
    return found


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a configuration without Hydra's part, as a run is given it."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _take_values(config: DictConfig, overrides: Sequence[Override]) -> bool:
    """Set the values of overrides; return whether that was possible."""
    try:
        for override in overrides:
            key = override.key_or_group
            if isinstance(OmegaConf.select(config, key, throw_on_missing=False), DictConfig):
                # A group that the sweep's own configuration does not know.
                return False
            OmegaConf.update(config, key, override.value(), merge=True)
    except OmegaConfBaseException:
        # Hydra words the error, which `interp.cli.errors` explains.
        return False
    return True


def _describe(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Note in Hydra's part of a job's configuration which overrides it has."""
    task = [override for override in overrides if not override.is_hydra_override()]
    config.hydra.overrides.task = [override.input_line for override in task]
    written = config.hydra.job.config.override_dirname
    lines = sorted(str(o.input_line) for o in task if o.key_or_group not in written.exclude_keys)
    config.hydra.job.override_dirname = re.sub("=", written.kv_sep, written.item_sep.join(lines))
