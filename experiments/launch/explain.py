"""Hydra's and OmegaConf's errors in one line each, with the nearest valid name."""

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from interp.registry import ConfigError, nearest

CONFIG_ERRORS = (ConfigError, HydraException, OmegaConfBaseException)


def explain(error: BaseException, conf: str, arguments: list[str]) -> str:
    return f"{type(error).__name__}: {error}" + f" CAUSE {type(error.__cause__)} {error.__cause__}"
