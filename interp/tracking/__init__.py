"""MLflow: one store that several processes may open, and one logger per run."""

from interp.tracking.availability import connection, guarded_connection
from interp.tracking.charts import charts_url
from interp.tracking.dead_jobs import record_dead_job
from interp.tracking.messages import now
from interp.tracking.outbox import (
    EndedSweep,
    count_waiting_jobs,
    keep_sweep_end,
    send_waiting,
    take_ended_sweeps,
)
from interp.tracking.queries import find_newest_page
from interp.tracking.run_history import RunHistory, read_run_history
from interp.tracking.run_logger import RunLogger, one_line, recorded_run
from interp.tracking.run_reuse import FinishedRun, find_finished_runs
from interp.tracking.store import (
    LONGEST_TAG,
    Run,
    Store,
    StoreUnavailableError,
    is_store_error,
)
from interp.tracking.sweep import CURRENT_JOB, Child, Job, Sweep

__all__ = [
    "CURRENT_JOB",
    "LONGEST_TAG",
    "Child",
    "EndedSweep",
    "FinishedRun",
    "Job",
    "Run",
    "RunHistory",
    "RunLogger",
    "Store",
    "StoreUnavailableError",
    "Sweep",
    "charts_url",
    "connection",
    "count_waiting_jobs",
    "find_finished_runs",
    "find_newest_page",
    "guarded_connection",
    "is_store_error",
    "keep_sweep_end",
    "now",
    "one_line",
    "read_run_history",
    "record_dead_job",
    "recorded_run",
    "send_waiting",
    "take_ended_sweeps",
]
