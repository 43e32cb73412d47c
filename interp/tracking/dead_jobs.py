"""Jobs of a sweep whose process died before it could record how they ended."""

import getpass

from interp.tracking import outbox
from interp.tracking.availability import guarded_connection
from interp.tracking.messages import Message, RunStart, now
from interp.tracking.run_logger import RunLogger
from interp.tracking.store import LONGEST_TAG, StoreUnavailableError, experiment_id_of
from interp.tracking.sweep import Child, Sweep


def record_dead_job(
    sweep: Sweep, number: int, name: str, status: str, reason: str, since: int
) -> None:
    """Record how a job ended whose process died, under a new run where the job had none.

    A status that the job recorded itself is kept. Where the store does not answer the record waits
    on disk.

    Args:
        sweep: the sweep.
        number: the job's number.
        name: the job's name in the sweep.
        status: KILLED or FAILED.
        reason: what is known about the cause.
        since: when the jobs were launched, in milliseconds since the epoch: earlier runs belong to
            a previous launch.
    """
    end = Message(tags={"error": reason[:LONGEST_TAG]}, status=status, ended=now())
    if outbox.end_waiting_job(sweep, number, since, end):
        return
    tags = {
        "mlflow.user": getpass.getuser(),
        "mlflow.source.name": "interp",
        "mlflow.parentRunId": sweep.run_id,
        "job": str(number),
    }
    start = RunStart("", sweep.run_id, name, tags, now())
    started: dict[int, Child] = {}
    try:
        with guarded_connection(sweep.store):
            started = {child.number: child for child in sweep.runs() if child.began >= since}
            experiment_id = experiment_id_of(sweep.store, sweep.run_id)
    except StoreUnavailableError:
        # If the job has a run already, this one starts later, and is the one the sweep shows.
        RunLogger.begin(sweep.store, start).send(end)
        return
    if number not in started:
        RunLogger.begin(sweep.store, start).send(end)
    elif started[number].status not in ("FINISHED", "FAILED"):
        RunLogger(sweep.store, experiment_id, started[number].run_id, start).send(end)
