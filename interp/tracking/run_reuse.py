"""Runs that have found before what a run would find."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from interp.tracking.availability import reaching
from interp.tracking.charts import colour
from interp.tracking.messages import Opening, Part, Point, now
from interp.tracking.record import Record
from interp.tracking.store import NoAnswerError, Run, Store, experiment_of
from interp.tracking.sweep import CURRENT_JOB, Job


@dataclass(frozen=True)
class Earlier:
    """A finished run.

    Attributes:
        record: the run.
        name: what it is called.
        finding: what it found.
        ended: when, in local time.
        is_the_job: whether it is what the current job's sweep shows for it.
    """

    record: Run
    name: str
    finding: str
    ended: str
    is_the_job: bool

    def fetched(self, folder: Path) -> Path:
        """Return where what it left lies; in the given folder where it lies on a server.

        Raises:
            NoAnswerError: the store has stopped answering.
        """
        store, run_id = self.record.store, self.record.run_id
        with reaching(store) as client:
            if not store.is_server():
                return Path(client.download_artifacts(run_id, ""))
            folder.mkdir(parents=True, exist_ok=True)
            return Path(client.download_artifacts(run_id, "", str(folder)))

    def copied(self, folder: Path) -> None:
        """Make it a job of the current sweep too: numbers, tags and artifacts under a new run.

        Raises:
            NoAnswerError: the store has stopped answering, and what it found is not known.
        """
        job = CURRENT_JOB.get()
        if job is None:
            raise ValueError("there is no sweep to copy it to")
        with reaching(self.record.store) as client:
            run = client.get_run(self.record.run_id)
            folder.mkdir(parents=True, exist_ok=True)
            left = client.download_artifacts(run.info.run_id, "", str(folder))
            points = [
                Point(metric.key, metric.value, metric.timestamp, metric.step)
                for key in run.data.metrics
                for metric in client.get_metric_history(run.info.run_id, key)
            ]
        own = {"mlflow.parentRunId": job.parent, "job": str(job.number), "reused": run.info.run_id}
        own["mlflow.runColor"] = colour(job.number)
        tags = {**run.data.tags, "mlflow.runName": job.name, **own}
        opening = Opening("", job.parent, job.name, tags, now())
        copy = Record.begin(job.store, opening)
        copy.tell(Part([Path(left)], dict(run.data.params), points, status="FINISHED", ended=now()))


def earlier(store: Store, experiment: str, fingerprint: str) -> Iterator[Earlier]:
    """Yield the finished run of that fingerprint in an experiment that still has its files.

    Of several the current job's own, else the latest; none where there is none, or where the store
    does not answer.
    """
    try:
        with reaching(store):
            found = list(_found(store, experiment, fingerprint))
    except NoAnswerError:
        return
    yield from found


def _found(store: Store, experiment: str, fingerprint: str) -> Iterator[Earlier]:
    job = CURRENT_JOB.get()
    if job is None:
        found = store.client.get_experiment_by_name(experiment)
        if found is None:
            return
        experiment_id = str(found.experiment_id)
    else:
        store, experiment_id = job.store, experiment_of(job.store, job.parent)
    runs = store.client.search_runs(
        [experiment_id],
        f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=100,
    )
    shown = _shown(store, experiment_id, job) if job and runs else ""
    for run in sorted(runs, key=lambda run: run.info.run_id != shown):
        if not _has_files(store, run.info.run_id):
            continue
        ended = datetime.fromtimestamp(run.info.end_time / 1000).astimezone()
        yield Earlier(
            Run(store, experiment_id, run.info.run_id),
            run.info.run_name,
            run.data.tags.get("mlflow.note.content", ""),
            f"{ended:%Y-%m-%d %H:%M}",
            run.info.run_id == shown,
        )
        return


def _shown(store: Store, experiment_id: str, job: Job) -> str:
    """Return the run that a sweep shows for a job: the last that began; "" where there is none."""
    query = f"tags.mlflow.parentRunId = '{job.parent}' and tags.job = '{job.number}'"
    order = ["attributes.start_time DESC"]
    last = store.client.search_runs([experiment_id], query, order_by=order, max_results=1)
    return str(last[0].info.run_id) if last else ""


def _has_files(store: Store, run_id: str) -> bool:
    """Whether what a run left is still there: somebody may have moved or removed it."""
    return any(file.path == "result.json" for file in store.client.list_artifacts(run_id))
