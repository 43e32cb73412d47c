"""The sweeper and the launchers of `interp`, which Hydra looks for in this namespace package alone.

They hand everything to `interp.cli.hydra`. Hydra imports this module for whatever program it
composes for, so nothing of `interp` is imported before a sweep of its own begins.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class EveryCombination(Sweeper):  # type: ignore[misc]
    """Every combination of the values that the overrides list, each combination composed once."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what the jobs need from Hydra."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run a job for every combination."""
        from interp.cli.hydra import sweeper

        given = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        loader = self.hydra_context.config_loader
        return sweeper.sweep(self.config, loader, self.launcher, given, self.max_batch_size)


class _OfInterp(Launcher):  # type: ignore[misc]
    """A launcher whose settings are those of its configuration file."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what the jobs need from Hydra."""
        self.given = (config, hydra_context, task_function)


class OneAfterTheOther(_OfInterp):
    """All jobs in this process, one after the other."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs."""
        from interp.cli.hydra.sweep_jobs import SweepJobs

        return SweepJobs(*self.given).run_all(job_overrides, initial_job_idx)


class SubmititLocal(_OfInterp):
    """All jobs at once on this machine, each a process that submitit starts."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, and wait for all of them."""
        from interp.cli.hydra.submitit_jobs import LocalExecutor, launch
        from interp.cli.hydra.sweep_jobs import SweepJobs

        jobs = SweepJobs(*self.given)
        return launch(LocalExecutor(self.settings), jobs, job_overrides, initial_job_idx)


class SubmititSlurm(_OfInterp):
    """One array of jobs on a Slurm cluster."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, and wait for all of them."""
        from interp.cli.hydra.submitit_jobs import SlurmExecutor, launch
        from interp.cli.hydra.sweep_jobs import SweepJobs

        jobs = SweepJobs(*self.given)
        return launch(SlurmExecutor(self.settings), jobs, job_overrides, initial_job_idx)
