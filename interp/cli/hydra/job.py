"""One job: what Hydra calls, in this process or in a launcher's worker."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from interp.cli import report
from interp.cli.errors import CONFIG_ERRORS, explain
from interp.cli.hydra import sibling_jobs
from interp.core.user_modules import register_from
from interp.tracking import CURRENT_JOB


def register(config: DictConfig) -> None:
    """Register what the configuration of the current job may name.

    Raises:
        ConfigError: a module is not there, or cannot be imported.
    """
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else ()
    register_among(config, sources)


def register_among(config: DictConfig, sources: Iterable[Any]) -> None:
    """Register what a configuration may name: modules of one's own, .

    Modules are looked for in the folders of `--config-dir` and `hydra.searchpath`, and in the
    working directory.

    Args:
        config: the configuration.
        sources: where Hydra composed it from.

    Raises:
        ConfigError: a module is not there, or cannot be imported.
    """
    # The first is the project's own.
    own = [Path(source.path) for source in sources if source.schema == "file"][1:]
    register_from(config.imports, [*own, Path.cwd()])


def run(config: DictConfig) -> None:
    """Run the configured experiment in Hydra's output folder and report on it.

    Raises:
        SystemExit: with the explanation of a configuration error, outside of a sweep.
        Exception: whatever else the run raises; in a sweep, every error.
    """
    from interp.runner.run import run as run_experiment

    folder, outputs = Path(HydraConfig.get().runtime.output_dir), Path(config.outputs)
    if config.dry:
        from interp.cli import dry_run

        _remove_if_empty(folder, outputs)
        try:
            return dry_run.note(config)
        except CONFIG_ERRORS as error:
            sys.exit(f"interp: {explain(error)}")
    try:
        siblings = partial(sibling_jobs.wanted_by_others, config)
        outcome = run_experiment(config, folder, siblings, partial(register, config))
        _remove_if_empty(folder, outputs)
        with report.to_a_reader():
            report.job(outcome)
    except Exception as error:
        _remove_if_empty(folder, outputs)
        if CURRENT_JOB.get() is None and isinstance(error, CONFIG_ERRORS):
            # Hydra adds its own words to an exception, and none to an exit.
            sys.exit(f"interp: {explain(error)}")
        report.failure()
        raise


def _remove_if_empty(folder: Path, outputs: Path) -> None:
    # Hydra makes the folder, and those it is in, before there is anything to put in it.
    while folder.is_dir() and folder.resolve() != outputs.resolve() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
