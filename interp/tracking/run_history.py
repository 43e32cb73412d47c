"""Time and disk space that finished runs of an analysis took, to estimate those of the next."""

from dataclasses import dataclass
from statistics import median

from interp.tracking.store import Store

# How many of the newest runs are timed; and how many of these are measured on disk, which lists
# the files of each.
_TIMED, _MEASURED = 50, 3


@dataclass(frozen=True)
class RunHistory:
    """Finished runs of one analysis.

    Attributes:
        count: how many were looked at; 0 where there is none.
        seconds: the median duration of a run.
        bytes: the median size of a run's artifacts.
    """

    count: int
    seconds: float
    bytes: float


def read_run_history(store: Store, experiment: str, analysis: str) -> RunHistory:
    """Return what the newest finished runs of an analysis took; creates nothing in the store."""
    found = store.client.get_experiment_by_name(experiment) if store.exists() else None
    runs = []
    if found:
        query = f"tags.analysis = '{analysis}' and attributes.status = 'FINISHED'"
        order = ["attributes.start_time DESC"]
        ids = [str(found.experiment_id)]
        runs = store.client.search_runs(ids, query, order_by=order, max_results=_TIMED)
    # A run that was copied from another one took no time.
    computed = [run for run in runs if "reused" not in run.data.tags]
    if not computed:
        return RunHistory(0, 0.0, 0.0)
    seconds = median((run.info.end_time - run.info.start_time) / 1000 for run in computed)
    size = median(_bytes(store, run.info.run_id, "") for run in computed[:_MEASURED])
    return RunHistory(len(computed), seconds, size)


def _bytes(store: Store, run_id: str, path: str) -> int:
    files = store.client.list_artifacts(run_id, path or None)
    return sum(_bytes(store, run_id, f.path) if f.is_dir else int(f.file_size) for f in files)
