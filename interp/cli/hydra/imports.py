"""The user's own modules, which `imports` names, found where the configuration was composed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from interp.core.user_modules import register_from


def register(config: DictConfig) -> None:
    """Import the modules that the configuration of the current job names.

    Raises:
        ConfigError: a module is not there, or cannot be imported.
    """
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else ()
    register_among(config, sources)


def register_among(config: DictConfig, sources: Iterable[Any]) -> None:
    """Import the modules that a configuration names.

    They are looked for in the folders of `--config-dir` and `hydra.searchpath`, and in the working
    directory.

    Args:
        config: the configuration.
        sources: where Hydra composed it from.

    Raises:
        ConfigError: a module is not there, or cannot be imported.
    """
    # The first is the project's own.
    own = [Path(source.path) for source in sources if source.schema == "file"][1:]
    register_from(config.imports, [*own, Path.cwd()])
