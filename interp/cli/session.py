"""What the command line does, from Python: compose a configuration, run it, look at the outcome."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra import initialize_config_dir
from omegaconf import DictConfig

from interp.cli import sweep_comparison
from interp.cli.arguments import check_choices
from interp.cli.errors import CONFIG_ERRORS, explain
from interp.cli.overrides import CONF, as_hydra_reads
from interp.core.errors import ConfigError
from interp.core.user_modules import register_from

if TYPE_CHECKING:
    from interp.runner.run import Outcome


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """Return the configuration that the command line would run with these overrides.

    Its values may be changed before it is run.

    Args:
        overrides: as on the command line: "experiment=rotation", "model=gpt2", "hook.layers=[0,1]".
        config_dir: a folder of one's own choices, as `--config-dir` is; modules that `imports`
            names are looked for there too.

    Raises:
        ConfigError: an override that cannot be read, or that names nothing.
    """
    arguments = as_hydra_reads(list(overrides))
    if config_dir is not None:
        own = Path(config_dir).resolve()
        if not own.is_dir():
            raise ConfigError(f"config_dir: there is no folder {own}")
        arguments.append(f"hydra.searchpath=['file://{own}']")
    check_choices(arguments, CONF)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config: DictConfig = hydra.compose("config", overrides=arguments)
    except CONFIG_ERRORS as error:
        raise ConfigError(explain(error, str(CONF), arguments)) from error
    register_from(config.imports, [Path(config_dir or ".").resolve(), Path.cwd()])
    return config


def run(config: DictConfig) -> "Outcome":
    """Run a configuration, and log it to MLflow; what an equal run has found is taken from there.

    Returns the outcome, which a notebook shows with its figures and tables.

    Raises:
        ConfigError: something is wrong with the configuration.
        Exception: whatever the analysis raises, after the run has been marked FAILED.
    """
    from interp.runner.run import run as run_experiment

    if not isinstance(config, DictConfig):
        raise ConfigError(f"run takes what compose returns: run(compose({config!r}))")
    if config.dry:
        raise ConfigError("dry: what would be done is told by the command line: interp dry=true …")
    register_from(config.imports, [Path.cwd()])
    now = datetime.now()
    folder = Path(config.outputs) / "runs" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"
    try:
        return run_experiment(config, folder)
    except CONFIG_ERRORS as error:
        raise ConfigError(explain(error)) from error
    finally:
        # As it began it may have ended sweeps that had waited to be.
        sweep_comparison.show_late()
