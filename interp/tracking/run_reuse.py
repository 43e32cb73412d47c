"""Finished runs whose result a new run of the same fingerprint takes over."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from interp.tracking.availability import guarded_connection
from interp.tracking.charts import job_colour
from interp.tracking.messages import Message, MetricPoint, RunStart, now
from interp.tracking.run_logger import RunLogger
from interp.tracking.store import Run, Store, StoreUnavailableError, experiment_id_of
from interp.tracking.sweep import CURRENT_JOB, Job


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        run: the run.
        name: its name.
        finding: its finding.
        ended: when it ended, in local time.
        is_current_job: whether the current job's sweep already shows it as that job.
    """

    run: Run
    name: str
    finding: str
    ended: str
    is_current_job: bool

    def fetch(self, folder: Path) -> Path:
        """Return the folder of its artifacts; they are downloaded to `folder` from a server.

        Raises:
            StoreUnavailableError: the store has stopped answering.
        """
        store, run_id = self.run.store, self.run.run_id
        with guarded_connection(store) as client:
            if not store.is_server():
                return Path(client.download_artifacts(run_id, ""))
            folder.mkdir(parents=True, exist_ok=True)
            return Path(client.download_artifacts(run_id, "", str(folder)))

    def copy_to_sweep(self, folder: Path) -> None:
        """Copy its numbers, tags and artifacts to a new run, as the current job of the sweep.

        Raises:
            StoreUnavailableError: the store has stopped answering, so that its result is unknown.
        """
        job = CURRENT_JOB.get()
        if job is None:
            raise ValueError("there is no sweep to copy it to")
        with guarded_connection(self.run.store) as client:
            run = client.get_run(self.run.run_id)
            folder.mkdir(parents=True, exist_ok=True)
            artifacts = client.download_artifacts(run.info.run_id, "", str(folder))
            points = [
                MetricPoint(metric.key, metric.value, metric.timestamp, metric.step)
                for key in run.data.metrics
                for metric in client.get_metric_history(run.info.run_id, key)
            ]
        own = {"mlflow.parentRunId": job.parent, "job": str(job.number), "reused": run.info.run_id}
        own["mlflow.runColor"] = job_colour(job.number)
        tags = {**run.data.tags, "mlflow.runName": job.name, **own}
        copy = RunLogger.begin(job.store, RunStart("", job.parent, job.name, tags, now()))
        params = dict(run.data.params)
        copy.send(Message([Path(artifacts)], params, points, status="FINISHED", ended=now()))


def find_finished_runs(store: Store, experiment: str, fingerprint: str) -> Iterator[FinishedRun]:
    """Yield a finished run of that fingerprint in an experiment, if its files still exist.

    Of several it is the current job's own, else the newest. Yields nothing where there is none, or
    where the store does not answer.
    """
    try:
        with guarded_connection(store):
            found = list(_find(store, experiment, fingerprint))
    except StoreUnavailableError:
        return
    yield from found


def _find(store: Store, experiment: str, fingerprint: str) -> Iterator[FinishedRun]:
    job = CURRENT_JOB.get()
    if job is None:
        found = store.client.get_experiment_by_name(experiment)
        if found is None:
            return
        experiment_id = str(found.experiment_id)
    else:
        store, experiment_id = job.store, experiment_id_of(job.store, job.parent)
    runs = store.client.search_runs(
        [experiment_id],
        f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=100,
    )
    own = _run_of_job(store, experiment_id, job) if job and runs else ""
    for run in sorted(runs, key=lambda run: run.info.run_id != own):
        if not _has_files(store, run.info.run_id):
            continue
        ended = datetime.fromtimestamp(run.info.end_time / 1000).astimezone()
        yield FinishedRun(
            Run(store, experiment_id, run.info.run_id),
            run.info.run_name,
            run.data.tags.get("mlflow.note.content", ""),
            f"{ended:%Y-%m-%d %H:%M}",
            run.info.run_id == own,
        )
        return


def _run_of_job(store: Store, experiment_id: str, job: Job) -> str:
    """Return the run that a sweep shows for a job, the newest; "" where there is none."""
    query = f"tags.mlflow.parentRunId = '{job.parent}' and tags.job = '{job.number}'"
    order = ["attributes.start_time DESC"]
    last = store.client.search_runs([experiment_id], query, order_by=order, max_results=1)
    return str(last[0].info.run_id) if last else ""


def _has_files(store: Store, run_id: str) -> bool:
    """Whether a run's artifacts still exist; a user may have moved or removed them."""
    return any(file.path == "result.json" for file in store.client.list_artifacts(run_id))
