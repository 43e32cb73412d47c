"""Running jobs of a sweep in this process, as Hydra's launchers do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from interp.cli.hydra.composition import JOB_COMPOSER, JobComposer


@dataclass(frozen=True)
class SweepJobs:
    """What Hydra gives a launcher to run the jobs of a sweep with.

    Attributes:
        config: the configuration of the sweep.
        context: Hydra's loader and callbacks.
        task: what a job calls.
    """

    config: DictConfig
    context: HydraContext
    task: TaskFunction

    def run_all(self, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run jobs one after the other.

        Args:
            jobs: the overrides of each.
            first: the number of the first of them in the sweep.
        """
        setup_globals()
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        composer = JOB_COMPOSER.get() or JobComposer(self.context.config_loader, self.config)
        return [
            self._run(composer.compose(overrides), number, str(number))
            for number, overrides in enumerate(jobs, first)
        ]

    def run_in_worker(
        self, overrides: Sequence[str], number: int, job_id: str, state: dict[type, Singleton]
    ) -> JobReturn:
        """Run one job in a process that knows nothing of the sweep yet.

        Args:
            overrides: of the job.
            number: its number in the sweep.
            job_id: what the engine that runs it calls it.
            state: Hydra's, in the process that launched the sweep.
        """
        Singleton.set_state(state)
        setup_globals()
        loader = self.context.config_loader
        return self._run(loader.load_sweep_config(self.config, list(overrides)), number, job_id)

    def _run(self, config: DictConfig, number: int, job_id: str) -> JobReturn:
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = job_id, number
        return run_job(
            task_function=self.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )
