"""MLflow: one store that several processes may open, and one record for each run."""

from interp.tracking.earlier import Earlier, earlier
from interp.tracking.record import Record, one_line, recorded
from interp.tracking.silence import reaching
from interp.tracking.store import NoAnswerError, Run, Store
from interp.tracking.sweep import CURRENT_JOB, Child, Job, Sweep
from interp.tracking.told import now
from interp.tracking.unsent import Ended, arrive, end_later, ended_late, waiting

__all__ = [
    "CURRENT_JOB",
    "Child",
    "Earlier",
    "Ended",
    "Job",
    "NoAnswerError",
    "Record",
    "Run",
    "Store",
    "Sweep",
    "arrive",
    "earlier",
    "end_later",
    "ended_late",
    "now",
    "one_line",
    "reaching",
    "recorded",
    "waiting",
]
