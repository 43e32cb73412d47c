"""What was logged last, for whoever opens the UI."""

from interp.tracking import view
from interp.tracking.store import Run, Store


def latest(store: Store) -> str:
    """Return the page of the sweep that began last, or else of the last run, or else of them all.

    Raises:
        ConfigError: the store cannot be opened.
    """
    client = store.client
    experiments = [found.experiment_id for found in client.search_experiments(max_results=1000)]
    for query in ("tags.sweep_fingerprint != ''", ""):
        order = ["attributes.start_time DESC"]
        for run in client.search_runs(experiments, query, order_by=order, max_results=1):
            if query:
                return view.saved(store, run.info.run_id)
            return Run(store, run.info.experiment_id, run.info.run_id).url()
    return store.address()
