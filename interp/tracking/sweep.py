"""A sweep as MLflow shows it: a parent run, with a child a job."""

import getpass
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import BaseFileLock, FileLock, Timeout

from interp.tracking.store import LONGEST_TAG, Store, experiment_of


@dataclass(frozen=True)
class Job:
    """A sweep's job, as the process that runs it knows it.

    Attributes:
        store: where the whole sweep is logged.
        parent: the MLflow run of the sweep.
        number: the job's number in the sweep, which names its folder.
        name: what tells this job from the others.
    """

    store: Store
    parent: str
    number: int
    name: str


# Set in the process that runs a sweep's job, for the length of it.
CURRENT_JOB: ContextVar[Job | None] = ContextVar("CURRENT_JOB", default=None)


def _held(store: Store, run_id: str) -> bool:
    """Whether this process alone launches the jobs of a parent run from now on."""
    folder = store.outputs / ".sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{run_id}.lock", is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    _LAUNCHING.append(lock)
    return True


# Locks of the sweeps that this process launches: they go with it.
_LAUNCHING: list[BaseFileLock] = []


@dataclass(frozen=True)
class Child:
    """A sweep's job as MLflow records it: number and name, how and why it ended, its numbers.

    `began` is in milliseconds of the epoch.
    """

    run_id: str
    began: int
    number: int
    name: str
    status: str
    error: str
    null: str
    scalars: dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """The MLflow run that a sweep's jobs hang under.

    Attributes:
        store: where it is logged.
        run_id: the run.
        opened: when it was opened, now or anew, in milliseconds of the epoch.
    """

    store: Store
    run_id: str
    opened: int

    @classmethod
    def begin(
        cls, store: Store, experiment: str, overrides: list[str], fingerprint: str, *, anew: bool
    ) -> "Sweep":
        """Open the parent run, named after what is swept.

        A sweep that was started before goes on under the parent that it has.

        Args:
            store: where it is logged.
            experiment: the MLflow experiment.
            overrides: what is swept.
            fingerprint: of all that decides which jobs there are and what they do.
            anew: open another parent, whatever there is.
        """
        client, experiment_id = store.client, store.experiment(experiment)
        now = int(time.time() * 1000)
        # Who launches it holds the lock until it ends, so that nobody takes its jobs for dead ones.
        query = f"tags.sweep_fingerprint = '{fingerprint}'"
        for run in [] if anew else client.search_runs([experiment_id], query, max_results=100):
            if _held(store, run.info.run_id):
                client.update_run(run.info.run_id, status="RUNNING")
                return cls(store, run.info.run_id, now)
        tags = {
            "mlflow.user": getpass.getuser(),
            "mlflow.source.name": "interp",
            "sweep": " ".join(overrides)[:LONGEST_TAG],
            "sweep_fingerprint": fingerprint,
        }
        name = f"sweep {' '.join(overrides)}".strip()[:250]
        run = client.create_run(experiment_id, tags=tags, run_name=name)
        _held(store, run.info.run_id)
        return cls(store, run.info.run_id, now)

    def name(self) -> str:
        """Return what the sweep is called: what it sweeps over."""
        return str(self.store.client.get_run(self.run_id).info.run_name)

    def children(self) -> list[Child]:
        """Return the jobs that have started, in the order of their numbers.

        Of a job that ran several times, as in a sweep that was killed and started again, the last.
        """
        latest = {child.number: child for child in self._runs()}
        return [latest[number] for number in sorted(latest)]

    def _runs(self) -> list[Child]:
        """Return all runs of its jobs, in the order in which they began."""
        experiment = experiment_of(self.store, self.run_id)
        found: list[Any] = []
        token: str | None = ""
        while token is not None:
            page = self.store.client.search_runs(
                [experiment],
                f"tags.mlflow.parentRunId = '{self.run_id}'",
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = page.token or None
        return [
            Child(
                run.info.run_id,
                run.info.start_time,
                int(run.data.tags.get("job", -1)),
                run.info.run_name,
                run.info.status,
                run.data.tags.get("error", ""),
                run.data.tags.get("null", ""),
                {key: value for key, value in run.data.metrics.items() if "/" not in key},
            )
            for run in found
        ]

    def curve(self, child: Child, key: str) -> dict[int, float]:
        """Return a job's values by step, empty where it has none: "layer/score", by layer."""
        history = self.store.client.get_metric_history(child.run_id, key)
        return {metric.step: metric.value for metric in sorted(history, key=lambda m: m.step)}

    def log_folder(self, folder: Path) -> None:
        """Log what a folder holds as the parent's artifacts."""
        self.store.client.log_artifacts(self.run_id, str(folder), folder.name)

    def fetch_folder(self, folder: Path) -> None:
        """Put into a folder what was logged of it before."""
        if self.store.client.list_artifacts(self.run_id, folder.name):
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.store.client.download_artifacts(self.run_id, folder.name, str(folder.parent))

    def record_death(self, number: int, name: str, status: str, reason: str) -> None:
        """Say of a job whose process died how it ended, under a run of its own where it had none.

        Args:
            number: the job's number.
            name: what tells it from the others.
            status: KILLED or FAILED.
            reason: what is known of why.
        """
        begun = {child.number: child for child in self._runs() if child.began >= self.opened}
        if number in begun:
            run_id = begun[number].run_id
            if begun[number].status in ("FINISHED", "FAILED"):
                # It has told all by itself.
                return
        else:
            tags = {
                "mlflow.user": getpass.getuser(),
                "mlflow.source.name": "interp",
                "mlflow.parentRunId": self.run_id,
                "job": str(number),
            }
            experiment = experiment_of(self.store, self.run_id)
            run_id = self.store.client.create_run(experiment, tags=tags, run_name=name).info.run_id
        self.store.client.set_tag(run_id, "error", reason[:LONGEST_TAG])
        self.store.client.set_terminated(run_id, status)

    def end(self, *, completed: bool) -> list[Child]:
        """Close the parent and return its jobs.

        It ends FINISHED where all jobs did, FAILED otherwise; a sweep that never came to a job
        is removed, for it tells nothing.
        """
        for run_id in [child.run_id for child in self._runs() if child.status == "RUNNING"]:
            # The launcher has returned, so that the job died without a word.
            self.store.client.set_tag(run_id, "error", "the job's process ended before the job")
            self.store.client.set_terminated(run_id, "KILLED")
        children = self.children()
        if not children:
            self.store.client.set_terminated(self.run_id, "FAILED")
            self.store.client.delete_run(self.run_id)
            return children
        good = completed and all(child.status == "FINISHED" for child in children)
        self.store.client.set_terminated(self.run_id, "FINISHED" if good else "FAILED")
        return children

    def url(self) -> str:
        """Return the address of the MLflow page that charts the jobs side by side."""
        experiment = experiment_of(self.store, self.run_id)
        query = {
            "workflowType": "machine_learning",
            "compareRunsMode": "CHART",
            "searchFilter": f"tags.mlflow.parentRunId = '{self.run_id}'",
            # Sorted by start time, MLflow folds the jobs into their parent.
            "orderByKey": "tags.`mlflow.runName`",
            "orderByAsc": "true",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "modelVersionFilter": "All Runs",
            "datasetsFilter": "W10=",
        }
        fields = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"{self.store.address()}/#/experiments/{experiment}/runs?{fields}"
