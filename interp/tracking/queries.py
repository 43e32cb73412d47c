"""What was logged last, for whoever opens the UI or asks for no run by its name."""

from collections.abc import Sequence
from typing import Any

from interp.tracking import charts
from interp.tracking.availability import asking
from interp.tracking.store import Run, Store

# Of a sweep's own run.
_IS_SWEEP = "tags.sweep_fingerprint LIKE '%'"


def newest_sweep(store: Store) -> Sequence[Any]:
    """Return MLflow's record of the sweep that began last; empty where there is none."""
    return _last(store, _IS_SWEEP)


def latest(store: Store) -> str:
    """Return the page of the sweep that began last, or else of the last run, or else of them all.

    Raises:
        ConfigError: the store cannot be opened; NoAnswerError where it does not answer.
    """
    with asking(store):
        for sweep in newest_sweep(store):
            return charts.saved(store, sweep.info.run_id)
        for run in _last(store, ""):
            return Run(store, run.info.experiment_id, run.info.run_id).url()
        return store.address()


def _last(store: Store, query: str) -> Sequence[Any]:
    """Return the run that began last of those that a search finds, if it finds one."""
    client = store.client
    experiments = [found.experiment_id for found in client.search_experiments()]
    order = ["attributes.start_time DESC"]
    found: Sequence[Any] = client.search_runs(experiments, query, order_by=order, max_results=1)
    return found
