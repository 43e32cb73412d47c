"""Runs read back from MLflow: which there are, and their results."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import Any

from interp.core.errors import ConfigError, nearest
from interp.results.comparison import RunRecord, finite_series
from interp.stats.tested_series import TestedSeries
from interp.tracking import series_tags
from interp.tracking.queries import find_newest_sweep
from interp.tracking.store import Store, experiment_id_of

# The fewest digits of an id, which has 32.
_SHORTEST_ID = 6
# How many names are searched for one that is close to a wrong one.
_MOST_NAMES = 1000
# Requests to a server at the same time; a database answers sooner than a thread starts.
_AT_ONCE = 8


def read_jobs(store: Store, parent: str) -> list[RunRecord]:
    """Return a sweep's jobs that have begun, by number.

    A job that ran several times has its last run here.
    """
    query = f"tags.mlflow.parentRunId = '{parent}'"
    found = _search(store, [experiment_id_of(store, parent)], query)
    return _read(store, list({int(run.data.tags.get("job", -1)): run for run in found}.values()))


def read_runs(store: Store, run_ids: Sequence[str]) -> list[RunRecord]:
    """Return runs by their ids, in that order; a sweep stands for its jobs."""
    found: dict[str, RunRecord] = {}
    for run_id in run_ids:
        run = store.client.get_run(run_id)
        is_sweep = "sweep_fingerprint" in run.data.tags
        read = read_jobs(store, run_id) if is_sweep else _read(store, [run])
        found |= {record.run_id: record for record in read}
    return list(found.values())


def find_run_id(store: Store, given: str) -> str:
    """Return the id of the run with that id, with an id that begins so, or with that name.

    Raises:
        ConfigError: there is none, or several.
    """
    experiments = [e.experiment_id for e in store.client.search_experiments()]
    found: list[Any] = []
    if re.fullmatch(r"[0-9a-f]{1,32}", given) and len(given) >= _SHORTEST_ID:
        found = _search(store, experiments, f"attributes.run_id LIKE '{given}%'")
    if not found:
        quoted = f'"{given}"' if "'" in given else f"'{given}'"
        found = _search(store, experiments, f"attributes.run_name = {quoted}")
    if len(found) > 1:
        newest = [f"{run.info.run_id[:8]} ({_name_and_date(run)})" for run in found[:-7:-1]]
        named = ", ".join(newest)
        more = ", …" * (len(found) > 6)
        raise ConfigError(f"compare: {given!r} is {len(found)} runs: {named}{more}; give an id")
    if not found:
        newest = store.client.search_runs(
            experiments, order_by=["attributes.start_time DESC"], max_results=_MOST_NAMES
        )
        names = list(dict.fromkeys(str(run.info.run_name) for run in newest))
        suggestion = nearest(given, names)
        if len(names) > _SHORTEST_ID:
            # The list of many names would fill the screen.
            suggestion = f"{suggestion.partition(' (known: ')[0]} ({len(names)} names are known)"
        raise ConfigError(
            f"compare: there is no run {given!r}: expected a name, or at least {_SHORTEST_ID} "
            f"digits of an id{suggestion}"
        )
    return str(found[0].info.run_id)


def find_last_sweep(store: Store) -> str:
    """Return the id of the sweep that began last.

    Raises:
        ConfigError: there is none.
    """
    found = find_newest_sweep(store)
    if not found:
        raise ConfigError(
            f"compare: {store.uri} has no sweep; name the runs, or sweep first: interp -m …"
        )
    return str(found[0].info.run_id)


def _search(store: Store, experiments: Sequence[str], query: str) -> list[Any]:
    """Return all runs that match a query, in the order in which they began."""
    found: list[Any] = []
    token: str | None = ""
    while token is not None:
        page = store.client.search_runs(
            list(experiments),
            query,
            order_by=["attributes.start_time ASC"],
            page_token=token or None,
        )
        found += page
        token = page.token or None
    return found


def _name_and_date(run: Any) -> str:
    began = datetime.fromtimestamp(run.info.start_time / 1000).astimezone()
    return f"{run.info.run_name}, {began:%Y-%m-%d %H:%M}"


def _read(store: Store, runs: Sequence[Any]) -> list[RunRecord]:
    """Return the records of runs, in the order of their jobs' numbers."""
    ordered = sorted(runs, key=lambda run: int(run.data.tags.get("job", -1)))
    if not store.is_server():
        return [_record(store, run) for run in ordered]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda run: _record(store, run), ordered))


def _record(store: Store, run: Any) -> RunRecord:
    tags: Mapping[str, str] = run.data.tags
    status, metrics = run.info.status, run.data.metrics
    return RunRecord(
        run_id=run.info.run_id,
        parent=tags.get("mlflow.parentRunId", ""),
        number=int(tags.get("job", -1)),
        name=run.info.run_name,
        status="RUNNING" if status == "SCHEDULED" else status,
        error=tags.get("error", ""),
        finding=tags.get("mlflow.note.content", ""),
        null=tags.get("null", ""),
        analysis=tags.get("analysis", ""),
        model=tags.get("model", ""),
        prompts=" and ".join(given.dataset.name for given in run.inputs.dataset_inputs),
        site=tags.get("hook", ""),
        params=run.data.params,
        scalars={key: value for key, value in metrics.items() if "/" not in key},
        tested=_tested(store, run) if status == "FINISHED" else (),
    )


def _tested(store: Store, run: Any) -> tuple[TestedSeries, ...]:
    """Read the tested series of a finished run."""
    series = []
    for specification in series_tags.from_tags(run.data.tags):
        own = f"{specification['axis']}/{specification['name']}"
        keys = [own, *(f"{own}_{name}" for name in specification["statistics"])]
        metrics = {
            key: _history(store, run.info.run_id, key) for key in keys if key in run.data.metrics
        }
        if own in metrics:
            series.append(finite_series(specification, metrics))
    return tuple(series)


@cache
def _history(store: Store, run_id: str, key: str) -> dict[int, float]:
    """Return the value at each step of a metric of a finished run, which never changes."""
    history = store.client.get_metric_history(run_id, key)
    # The dictionary keeps the later value of a step that was logged twice.
    return {point.step: point.value for point in sorted(history, key=lambda m: m.timestamp)}
