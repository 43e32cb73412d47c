"""MLflow: one store that several processes may open, and one record for each run."""

from interp.tracking.earlier import Earlier, earlier
from interp.tracking.latest import latest
from interp.tracking.past import Past, past
from interp.tracking.record import Record, one_line, recorded
from interp.tracking.store import LONGEST_TAG, Store
from interp.tracking.sweep import CURRENT_JOB, Child, Job, Sweep
from interp.tracking.view import charts_url

__all__ = [
    "CURRENT_JOB",
    "LONGEST_TAG",
    "Child",
    "Earlier",
    "Job",
    "Past",
    "Record",
    "Store",
    "Sweep",
    "charts_url",
    "earlier",
    "latest",
    "one_line",
    "past",
    "recorded",
]
