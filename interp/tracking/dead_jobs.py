"""A job of a sweep whose process died before it could say so: others tell of it."""

import getpass

from interp.tracking import outbox
from interp.tracking.availability import reaching
from interp.tracking.messages import Opening, Part, now
from interp.tracking.record import Record
from interp.tracking.store import LONGEST_TAG, NoAnswerError, experiment_of
from interp.tracking.sweep import Child, Sweep


def record_death(
    sweep: Sweep, number: int, name: str, status: str, reason: str, since: int
) -> None:
    """Say of a job whose process died how it ended, under a run of its own where it had none.

    What it has said by itself stays. Where the store does not answer the news waits on disk.

    Args:
        sweep: the sweep.
        number: the job's number.
        name: what tells it from the others.
        status: KILLED or FAILED.
        reason: what is known of why.
        since: when the jobs were launched, in milliseconds of the epoch: runs that began before
            are those of an earlier launch.
    """
    end = Part(tags={"error": reason[:LONGEST_TAG]}, status=status, ended=now())
    if outbox.end_job(sweep, number, since, end):
        return
    tags = {
        "mlflow.user": getpass.getuser(),
        "mlflow.source.name": "interp",
        "mlflow.parentRunId": sweep.run_id,
        "job": str(number),
    }
    opening = Opening("", sweep.run_id, name, tags, now())
    begun: dict[int, Child] = {}
    try:
        with reaching(sweep.store):
            begun = {child.number: child for child in sweep.runs() if child.began >= since}
            experiment = experiment_of(sweep.store, sweep.run_id)
    except NoAnswerError:
        # Should there be a run already, this one comes later, and is what the sweep shows.
        Record.begin(sweep.store, opening).tell(end)
        return
    if number not in begun:
        Record.begin(sweep.store, opening).tell(end)
    elif begun[number].status not in ("FINISHED", "FAILED"):
        Record(sweep.store, experiment, begun[number].run_id, opening).tell(end)
