"""The jobs of a sweep: every combination of the values that its overrides list."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from interp.cli.hydra.composition import JOB_COMPOSER, JobComposer, parse
from interp.cli.hydra.open_sweep import OPEN_SWEEP
from interp.core.errors import ConfigError

# The class that Hydra instantiates, of which conf/hydra/sweeper/basic.yaml is the configuration.
TARGET = "hydra_plugins.interp_sweeps.EveryCombination"


def is_chosen(config: DictConfig) -> bool:
    """Whether the jobs of this sweep are known before the first of them runs."""
    return bool(config.hydra.sweeper._target_ == TARGET)


def given_overrides(config: DictConfig) -> list[str]:
    """Return what a preset sweeps and what the command line gives, which comes after it."""
    presets = config.hydra.sweeper.get("params") or {}
    return [*(f"{key}={value}" for key, value in presets.items()), *config.hydra.overrides.task]


def jobs_of(overrides: Sequence[Override]) -> list[list[str]]:
    """Return the overrides of each job; of an override that is given twice the last one counts.

    Raises:
        ConfigError: a value that stands for no list of values.
    """
    lists: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            lists[key] = [f"{key}={override.get_value_element_as_str()}"]
            continue
        if not override.is_discrete_sweep():
            raise ConfigError(f"{override.input_line} is no list of values to sweep over")
        lists[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        if not lists[key]:
            raise ConfigError(f"{override.input_line} stands for nothing")
    return [list(job) for job in itertools.product(*lists.values())]


def sweep(
    config: DictConfig,
    loader: ConfigLoader,
    launcher: Launcher,
    given: Sequence[str],
    max_batch_size: int | None,
) -> list[Sequence[JobReturn]]:
    """Compose every job of a sweep, then launch them.

    Args:
        config: the sweep's configuration.
        loader: Hydra's own.
        launcher: what runs the jobs.
        given: the overrides, those that sweep among them.
        max_batch_size: how many jobs the launcher is given at a time; None for all.

    Raises:
        HydraException: a job that cannot be composed; none has been launched then.
        Exception: that of the first job that failed, when all of its batch have ended.
    """
    opened = OPEN_SWEEP.get()
    jobs = opened.jobs if opened else jobs_of(parse(given, loader))
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    composer = JobComposer(loader, config)
    for job in jobs:
        composer.compose(job)
    JOB_COMPOSER.set(composer)
    size = max_batch_size or len(jobs)
    returned = []
    for start in range(0, len(jobs), size):
        batch = launcher.launch(jobs[start : start + size], initial_job_idx=start)
        for ended in batch:
            # Reading it raises what the job raised.
            _ = ended.return_value
        returned.append(batch)
    return returned
