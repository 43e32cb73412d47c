"""The newest sweep and run of a store, for `interp ui` and for `interp compare` without names."""

from collections.abc import Sequence
from typing import Any

from interp.tracking import charts
from interp.tracking.availability import connection
from interp.tracking.store import Run, Store

# The parent run of a sweep has this tag, and no other run has.
_IS_SWEEP = "tags.sweep_fingerprint LIKE '%'"


def find_newest_sweep(store: Store) -> Sequence[Any]:
    """Return MLflow's record of the sweep that began last; empty where there is none."""
    return _find_newest(store, _IS_SWEEP)


def find_newest_page(store: Store) -> str:
    """Return the page of the newest sweep, else of the newest run, else the start page.

    Raises:
        TrackingError: the store cannot be opened; StoreUnavailableError where it does not answer.
    """
    with connection(store):
        for sweep in find_newest_sweep(store):
            return charts.save_view(store, sweep.info.run_id)
        for run in _find_newest(store, ""):
            return Run(store, run.info.experiment_id, run.info.run_id).url()
        return store.address()


def _find_newest(store: Store, query: str) -> Sequence[Any]:
    """Return the run that began last among those that match a query; empty where none does."""
    client = store.client
    experiments = [found.experiment_id for found in client.search_experiments()]
    order = ["attributes.start_time DESC"]
    found: Sequence[Any] = client.search_runs(experiments, query, order_by=order, max_results=1)
    return found
