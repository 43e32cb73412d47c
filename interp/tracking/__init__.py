"""MLflow: one store that several processes may open, and one record for each run."""

from interp.tracking.death import record_death
from interp.tracking.earlier import Earlier, earlier
from interp.tracking.latest import latest
from interp.tracking.past import Past, past
from interp.tracking.record import Record, one_line, recorded
from interp.tracking.silence import asking, reaching
from interp.tracking.store import LONGEST_TAG, NoAnswerError, Run, Store, is_refusal
from interp.tracking.sweep import CURRENT_JOB, Child, Job, Sweep
from interp.tracking.told import now
from interp.tracking.unsent import Ended, arrive, end_later, ended_late, waiting
from interp.tracking.view import charts_url

__all__ = [
    "CURRENT_JOB",
    "LONGEST_TAG",
    "Child",
    "Earlier",
    "Ended",
    "Job",
    "NoAnswerError",
    "Past",
    "Record",
    "Run",
    "Store",
    "Sweep",
    "arrive",
    "asking",
    "charts_url",
    "earlier",
    "end_later",
    "ended_late",
    "is_refusal",
    "latest",
    "now",
    "one_line",
    "past",
    "reaching",
    "record_death",
    "recorded",
    "waiting",
]
