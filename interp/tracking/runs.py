"""Runs read back from MLflow: which there are, and their results."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import Any

from interp.core.errors import ConfigError, nearest
from interp.results.comparison import Curve, RunRecord
from interp.results.primary_series import BESIDE, Headline, from_text, guessed
from interp.tracking import series_tags
from interp.tracking.queries import find_newest_sweep
from interp.tracking.store import Store, experiment_id_of

# Of an id, which has 32 digits.
_SHORTEST_ID = 6
# Names that are looked through for what was meant.
_MOST_NAMES = 1000
# A server is asked for several runs at a time; a database answers sooner than a thread starts.
_AT_ONCE = 8


def read_jobs(store: Store, parent: str) -> list[RunRecord]:
    """Return a sweep's jobs that have begun, in the order of their numbers.

    Of a job that ran several times, the last.
    """
    query = f"tags.mlflow.parentRunId = '{parent}'"
    found = _searched(store, [experiment_id_of(store, parent)], query)
    return _read(store, list({int(run.data.tags.get("job", -1)): run for run in found}.values()))


def read_runs(store: Store, run_ids: Sequence[str]) -> list[RunRecord]:
    """Return runs by their ids, in that order; of a sweep its jobs."""
    found: dict[str, RunRecord] = {}
    for run_id in run_ids:
        run = store.client.get_run(run_id)
        is_sweep = "sweep_fingerprint" in run.data.tags
        read = read_jobs(store, run_id) if is_sweep else _read(store, [run])
        found |= {record.run_id: record for record in read}
    return list(found.values())


def find_run_id(store: Store, given: str) -> str:
    """Return the id of the run that is meant: by its id, the beginning of one, or its name.

    Raises:
        ConfigError: there is none, or several.
    """
    experiments = [e.experiment_id for e in store.client.search_experiments()]
    found: list[Any] = []
    if re.fullmatch(r"[0-9a-f]{1,32}", given) and len(given) >= _SHORTEST_ID:
        found = _searched(store, experiments, f"attributes.run_id LIKE '{given}%'")
    if not found:
        quoted = f'"{given}"' if "'" in given else f"'{given}'"
        found = _searched(store, experiments, f"attributes.run_name = {quoted}")
    if len(found) > 1:
        named = ", ".join(f"{run.info.run_id[:8]} ({_told(run)})" for run in reversed(found[-6:]))
        more = ", …" * (len(found) > 6)
        raise ConfigError(f"compare: {given!r} is {len(found)} runs: {named}{more}; give an id")
    if not found:
        newest = store.client.search_runs(
            experiments, order_by=["attributes.start_time DESC"], max_results=_MOST_NAMES
        )
        names = list(dict.fromkeys(str(run.info.run_name) for run in newest))
        said = nearest(given, names)
        if len(names) > _SHORTEST_ID:
            # Of many names those that come near are enough.
            said = f"{said.partition(' (known: ')[0]} ({len(names)} names are known)"
        raise ConfigError(
            f"compare: there is no run {given!r}: expected a name, or at least {_SHORTEST_ID} "
            f"digits of an id{said}"
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


def _searched(store: Store, experiments: Sequence[str], query: str) -> list[Any]:
    """Return all runs that a search finds, in the order in which they began."""
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


def _told(run: Any) -> str:
    began = datetime.fromtimestamp(run.info.start_time / 1000).astimezone()
    return f"{run.info.run_name}, {began:%Y-%m-%d %H:%M}"


def _read(store: Store, runs: Sequence[Any]) -> list[RunRecord]:
    """Return what runs recorded, in the order of their jobs' numbers."""
    ordered = sorted(runs, key=lambda run: int(run.data.tags.get("job", -1)))
    if not store.is_server():
        return [_record(store, run) for run in ordered]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda run: _record(store, run), ordered))


def _record(store: Store, run: Any) -> RunRecord:
    tags: Mapping[str, str] = run.data.tags
    status, recorded = run.info.status, run.data.metrics
    curves: tuple[Curve, ...] = ()
    if status == "FINISHED":
        headlines = (
            tuple(_headline(one) for one in series_tags.from_tags(tags))
            or from_text(tags.get("headlines", ""))
            or guessed(recorded)
        )
        curves = tuple(
            _curve(store, run.info.run_id, headline, frozenset(recorded))
            for headline in headlines
            if headline.key in recorded
        )
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
        scalars={key: value for key, value in recorded.items() if "/" not in key},
        curves=curves,
    )


def _headline(specification: Mapping[str, Any]) -> Headline:
    """Return how the comparison calls a tested series, until it reads these itself."""
    name, direction = specification["name"], specification["direction"]
    return Headline(
        name,
        specification["label"],
        f"{name}_",
        "both" if direction == "two-sided" else direction,
        specification["alpha"],
        specification["axis"],
        "logarithmic" if specification["scale"] == "log" else "linear",
    )


@cache
def _curve(store: Store, run_id: str, headline: Headline, recorded: frozenset[str]) -> Curve:
    """Read a curve of a finished run, which never changes."""

    def values(key: str) -> dict[int, float]:
        history = store.client.get_metric_history(run_id, key)
        # Of a step that was logged twice the later value.
        return {m.step: m.value for m in sorted(history, key=lambda m: m.timestamp)}

    beside = {what: headline.beside(what) for what in BESIDE}
    return Curve.of(
        headline,
        values(headline.key),
        {what: values(key) for what, key in beside.items() if key in recorded},
    )
