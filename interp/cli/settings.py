"""The settings that a verb reads without composing the whole configuration, which takes longer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from interp.cli.hydra.composition import parse
from interp.core.errors import ConfigError, nearest
from interp.tracking import Store


def read_settings(
    verb: str, conf: Path, keys: Sequence[str], overrides: Sequence[str]
) -> dict[str, Any]:
    """Return some values of config.yaml by their keys, overridden by the overrides that name them.

    Args:
        verb: whose settings they are.
        conf: the configuration folder.
        keys: those that may be overridden; one that config.yaml does not have is returned only
            where it is given.
        overrides: KEY=VALUE.

    Raises:
        ConfigError: a key that is not one of them, or an outputs folder without a name.
    """
    config = OmegaConf.load(conf / "config.yaml")
    defaults = {key: OmegaConf.select(config, key, default=...) for key in keys}
    settings = {key: value for key, value in defaults.items() if value is not ...}
    for override in parse(overrides):
        key = override.key_or_group
        if key not in keys:
            raise ConfigError(f"{verb}: there is no {key!r}{nearest(key, keys)}")
        settings[key] = override.value()
    if not settings["outputs"]:
        raise ConfigError("outputs needs a folder")
    return settings


def tracking_store(settings: dict[str, Any]) -> Store:
    """Return the MLflow store that `outputs`, `tracking.uri` and `tracking.port` describe.

    Raises:
        ConfigError: the port is no number.
    """
    port, uri = settings["tracking.port"], settings["tracking.uri"]
    if isinstance(port, bool) or not isinstance(port, int):
        raise ConfigError(f"tracking.port must be a number, not {port!r}")
    return Store.of(str(settings["outputs"]), str(uri) if uri else None, port)
