"""A sweep in MLflow: a parent run with one child run per job."""

import getpass
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from interp.tracking import charts
from interp.tracking.store import LONGEST_TAG, Store, experiment_id_of


@dataclass(frozen=True)
class Job:
    """A sweep's job in the process that runs it.

    Attributes:
        store: the store of the whole sweep.
        parent: the MLflow run of the sweep.
        number: the job's number in the sweep, which names its folder.
        name: the values that distinguish this job from the others.
    """

    store: Store
    parent: str
    number: int
    name: str


# Set in the process that runs a sweep's job, while it runs.
CURRENT_JOB: ContextVar[Job | None] = ContextVar("CURRENT_JOB", default=None)


def _lock(store: Store, run_id: str) -> BaseFileLock:
    """Return the lock that the process holds that launches the jobs of a parent run."""
    folder = store.outputs / ".sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{run_id}.lock", is_singleton=True)


def _take_lock(store: Store, run_id: str) -> bool:
    """Take the lock of a parent run for this process; return whether no other process holds it."""
    lock = _lock(store, run_id)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    _LAUNCHING.append(lock)
    return True


# Locks of the sweeps that this process launches, kept so that they are held until it ends.
_LAUNCHING: list[BaseFileLock] = []


@dataclass(frozen=True)
class Child:
    """A sweep's job in MLflow; `began` is in milliseconds since the epoch."""

    run_id: str
    began: int
    number: int
    name: str
    status: str
    error: str


@dataclass(frozen=True)
class Sweep:
    """The parent run of a sweep's jobs.

    Attributes:
        store: the store of the sweep.
        run_id: the parent run.
    """

    store: Store
    run_id: str

    @classmethod
    def begin(
        cls, store: Store, experiment: str, overrides: list[str], fingerprint: str, *, rerun: bool
    ) -> "Sweep":
        """Open the parent run, named after the overrides.

        A sweep that was started before continues under its existing parent.

        Args:
            store: the store of the sweep.
            experiment: the MLflow experiment.
            overrides: the swept values.
            fingerprint: a hash of all that decides which jobs there are and what they do.
            rerun: open a new parent also where one exists.
        """
        client, experiment_id = store.client, store.experiment_id(experiment)
        # The launching process holds the lock until it ends, so that no other one takes the jobs
        # for dead ones.
        query = f"tags.sweep_fingerprint = '{fingerprint}'"
        for run in [] if rerun else client.search_runs([experiment_id], query, max_results=100):
            if _take_lock(store, run.info.run_id):
                client.update_run(run.info.run_id, status="RUNNING")
                return cls(store, run.info.run_id)
        tags = {
            "mlflow.user": getpass.getuser(),
            "mlflow.source.name": "interp",
            "sweep": " ".join(overrides)[:LONGEST_TAG],
            "sweep_fingerprint": fingerprint,
        }
        name = f"sweep {' '.join(overrides)}".strip()[:250]
        run = client.create_run(experiment_id, tags=tags, run_name=name)
        _take_lock(store, run.info.run_id)
        return cls(store, run.info.run_id)

    def name(self) -> str:
        """Return the name of the parent run: the swept values."""
        return str(self.store.client.get_run(self.run_id).info.run_name)

    def children(self) -> list[Child]:
        """Return the jobs that have started, by number.

        A job that ran several times, as in a sweep that was killed and started again, has its last
        run here.
        """
        last = {child.number: child for child in self.runs()}
        return [last[number] for number in sorted(last)]

    def runs(self) -> list[Child]:
        """Return all runs of the jobs, in the order in which they began."""
        experiment_id = experiment_id_of(self.store, self.run_id)
        found: list[Any] = []
        token: str | None = ""
        while token is not None:
            page = self.store.client.search_runs(
                [experiment_id],
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
            )
            for run in found
        ]

    def compared_hash(self) -> str:
        """Return the `jobs_hash` of the last `log_comparison`; "" where there was none."""
        return str(self.store.client.get_run(self.run_id).data.tags.get("compared", ""))

    def log_comparison(self, folder: Path, description: str, jobs_hash: str) -> None:
        """Log a comparison of the jobs: a folder of files, and a description.

        Args:
            folder: the files.
            description: Markdown of at most `LONGEST_TAG` characters.
            jobs_hash: a hash of the jobs that were compared, and of how each ended.
        """
        from mlflow.entities import RunTag

        self.store.client.log_artifacts(self.run_id, str(folder))
        # Last, so that no tag names an artifact that is missing.
        tags = {"mlflow.note.content": description, "compared": jobs_hash}
        self.store.client.log_batch(self.run_id, tags=[RunTag(*tag) for tag in tags.items()])

    def fetch_comparison(self, folder: Path) -> None:
        """Download the files of `log_comparison` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.store.client.download_artifacts(self.run_id, "", str(folder))

    def lock(self) -> BaseFileLock:
        """Return the lock that the process holds that launches the jobs."""
        return _lock(self.store, self.run_id)

    def end(self, *, completed: bool, at: int = 0) -> list[Child]:
        """Close the parent and return its jobs.

        It ends FINISHED where all jobs did, FAILED otherwise; a sweep without a job is removed.

        Args:
            completed: whether all jobs were launched.
            at: when it ended, in milliseconds since the epoch; 0 for now.
        """
        for run_id in [child.run_id for child in self.runs() if child.status == "RUNNING"]:
            # The launcher has returned, so the job's process died before it could record an end.
            self.store.client.set_tag(run_id, "error", "the job's process ended before the job")
            self.store.client.set_terminated(run_id, "KILLED")
        children = self.children()
        if not children:
            self.store.client.set_terminated(self.run_id, "FAILED")
            self.store.client.delete_run(self.run_id)
            return children
        good = completed and all(child.status == "FINISHED" for child in children)
        self.store.client.set_terminated(self.run_id, "FINISHED" if good else "FAILED", at or None)
        return children

    def url(self) -> str:
        """Save the MLflow view that charts the jobs side by side, and return its address."""
        return charts.save_view(self.store, self.run_id)
