"""What earlier runs of an analysis took, for whoever asks what the next one will take."""

from dataclasses import dataclass
from statistics import median

from interp.tracking.store import Store

# Of the last runs, how many are looked at; and how many of these are weighed, which takes a look
# at each folder of theirs.
_TIMED, _WEIGHED = 50, 3


@dataclass(frozen=True)
class Past:
    """Finished runs of one analysis.

    Attributes:
        count: how many were looked at; 0 where there is none.
        seconds: what one took, the median.
        bytes: what one left among the artifacts, the median.
    """

    count: int
    seconds: float
    bytes: float


def past(store: Store, experiment: str, analysis: str) -> Past:
    """Return what the last finished runs of an analysis took; nothing is created."""
    found = store.client.get_experiment_by_name(experiment) if store.exists() else None
    runs = []
    if found:
        query = f"tags.analysis = '{analysis}' and attributes.status = 'FINISHED'"
        order = ["attributes.start_time DESC"]
        ids = [str(found.experiment_id)]
        runs = store.client.search_runs(ids, query, order_by=order, max_results=_TIMED)
    # What was copied from another run took no time.
    own = [run for run in runs if "reused" not in run.data.tags]
    if not own:
        return Past(0, 0.0, 0.0)
    seconds = median((run.info.end_time - run.info.start_time) / 1000 for run in own)
    weights = median(_bytes(store, run.info.run_id, "") for run in own[:_WEIGHED])
    return Past(len(own), seconds, weights)


def _bytes(store: Store, run_id: str, path: str) -> int:
    files = store.client.list_artifacts(run_id, path or None)
    return sum(_bytes(store, run_id, f.path) if f.is_dir else int(f.file_size) for f in files)
