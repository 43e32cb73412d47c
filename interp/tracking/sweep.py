"""A sweep as MLflow shows it: a parent run, with a child a job."""

import getpass
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from interp.tracking import charts
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


def _lock(store: Store, run_id: str) -> BaseFileLock:
    """Return the lock that whoever launches the jobs of a parent run holds."""
    folder = store.outputs / ".sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{run_id}.lock", is_singleton=True)


def _held(store: Store, run_id: str) -> bool:
    """Whether this process alone launches the jobs of a parent run from now on."""
    lock = _lock(store, run_id)
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
    """A sweep's job as MLflow records it: number and name, how and why it ended.

    `began` is in milliseconds of the epoch.
    """

    run_id: str
    began: int
    number: int
    name: str
    status: str
    error: str


@dataclass(frozen=True)
class Sweep:
    """The MLflow run that a sweep's jobs hang under.

    Attributes:
        store: where it is logged.
        run_id: the run.
    """

    store: Store
    run_id: str

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
        # Who launches it holds the lock until it ends, so that nobody takes its jobs for dead ones.
        query = f"tags.sweep_fingerprint = '{fingerprint}'"
        for run in [] if anew else client.search_runs([experiment_id], query, max_results=100):
            if _held(store, run.info.run_id):
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
        _held(store, run.info.run_id)
        return cls(store, run.info.run_id)

    def name(self) -> str:
        """Return what the sweep is called: what it sweeps over."""
        return str(self.store.client.get_run(self.run_id).info.run_name)

    def children(self) -> list[Child]:
        """Return the jobs that have started, in the order of their numbers.

        Of a job that ran several times, as in a sweep that was killed and started again, the last.
        """
        latest = {child.number: child for child in self.runs()}
        return [latest[number] for number in sorted(latest)]

    def runs(self) -> list[Child]:
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
            )
            for run in found
        ]

    def compared(self) -> str:
        """Return what `log_comparison` was told last that it shows; "" where it never was."""
        return str(self.store.client.get_run(self.run_id).data.tags.get("compared", ""))

    def log_comparison(self, folder: Path, description: str, shows: str) -> None:
        """Log a comparison of the jobs: a folder's files, and a description.

        Args:
            folder: what goes to the artifacts.
            description: Markdown, in at most `LONGEST_TAG` signs.
            shows: a digest of the jobs that it shows, and of how each ended.
        """
        from mlflow.entities import RunTag

        self.store.client.log_artifacts(self.run_id, str(folder))
        # Last, so that no tag tells of an artifact that is not there.
        tags = {"mlflow.note.content": description, "compared": shows}
        self.store.client.log_batch(self.run_id, tags=[RunTag(*tag) for tag in tags.items()])

    def fetch_comparison(self, folder: Path) -> None:
        """Put into a folder what `log_comparison` logged."""
        folder.mkdir(parents=True, exist_ok=True)
        self.store.client.download_artifacts(self.run_id, "", str(folder))

    def lock(self) -> BaseFileLock:
        """Return the lock that whoever launches its jobs holds."""
        return _lock(self.store, self.run_id)

    def end(self, *, completed: bool, at: int = 0) -> list[Child]:
        """Close the parent and return its jobs.

        It ends FINISHED where all jobs did, FAILED otherwise; a sweep that never came to a job
        is removed, for it tells nothing.

        Args:
            completed: whether it came to its last job.
            at: when it ended, in milliseconds of the epoch; 0 for now.
        """
        for run_id in [child.run_id for child in self.runs() if child.status == "RUNNING"]:
            # The launcher has returned, so that the job died without a word.
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
        """Save the view that charts the jobs side by side, and return its address."""
        return charts.saved(self.store, self.run_id)
