"""MLflow: one store that several processes may open, and one record for each run."""

from interp.tracking.availability import asking, reaching
from interp.tracking.charts import charts_url
from interp.tracking.dead_jobs import record_death
from interp.tracking.messages import now
from interp.tracking.outbox import Ended, arrive, end_later, ended_late, waiting
from interp.tracking.queries import latest
from interp.tracking.record import Record, one_line, recorded
from interp.tracking.run_history import Past, past
from interp.tracking.run_reuse import Earlier, earlier
from interp.tracking.store import LONGEST_TAG, NoAnswerError, Run, Store, is_refusal
from interp.tracking.sweep import CURRENT_JOB, Child, Job, Sweep

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
