"""What Hydra calls to run one job, in this process or in a launcher's worker."""

import sys
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from interp.cli import console, dry_run, report
from interp.cli.errors import EXPLAINED_ERRORS, explain
from interp.cli.hydra import sibling_jobs
from interp.cli.hydra.imports import register
from interp.cli.overrides import CONF
from interp.tracking import CURRENT_JOB


def run(config: DictConfig) -> None:
    """Run the configured experiment in Hydra's output folder and report on it.

    Raises:
        SystemExit: with the explanation of an error, outside of a sweep.
        Exception: whatever else the run raises; in a sweep, every error.
    """
    folder, outputs = Path(HydraConfig.get().runtime.output_dir), Path(config.outputs)
    try:
        if config.dry:
            _remove_if_empty(folder, outputs)
            dry_run.note(config, register)
        else:
            _run(config, folder)
    except Exception as error:
        _remove_if_empty(folder, outputs)
        is_explained = isinstance(error, EXPLAINED_ERRORS)
        if is_explained and (config.dry or CURRENT_JOB.get() is None):
            # Hydra adds its own words to an exception, and none to an exit.
            sys.exit(f"interp: {explain(error, CONF)}")
        report.print_failure()
        raise


def _run(config: DictConfig, folder: Path) -> None:
    from interp.runner.run import run as run_experiment

    siblings = partial(sibling_jobs.requests_of_siblings, config)
    outcome = run_experiment(config, folder, siblings, partial(register, config))
    _remove_if_empty(folder, Path(config.outputs))
    with console.to_a_reader():
        report.print_job(outcome)


def _remove_if_empty(folder: Path, outputs: Path) -> None:
    # Hydra makes the folder, and those it is in, before there is anything to put in it.
    while folder.is_dir() and folder.resolve() != outputs.resolve() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
