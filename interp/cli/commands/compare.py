"""`interp compare`: runs compared with one another, by what MLflow recorded of them."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interp import tracking
from interp.cli import report, sweep_comparison
from interp.cli.arguments import VerbParser
from interp.cli.settings import read_settings, tracking_store
from interp.core.errors import ConfigError
from interp.tracking import Store, Sweep, charts_url

if TYPE_CHECKING:
    from interp.results.comparison import RunRecord

_USAGE = "[RUN …] [outputs=FOLDER] [tracking.uri=DATABASE] [tracking.port=5000]"
_DESCRIPTION = """\
Compare finished runs: in what their configurations differ, where each departs from its null by
most, their curves in one figure, and the page that charts them in MLflow. Everything is read from
MLflow; the figures are written to FOLDER/comparisons."""
_RUN = """\
a run's id, its beginning (6 digits or more), or its name in quotes; of a sweep all its jobs are
compared. By default the last sweep."""

_KEYS = ("outputs", "tracking.uri", "tracking.port")


def serve(conf: Path, arguments: list[str]) -> None:
    """Compare the runs that are named; the overrides give their store, as for a run.

    Args:
        conf: the configuration folder, whose config.yaml gives what is not overridden.
        arguments: the command line without `compare`.

    Raises:
        ConfigError: an unknown or ambiguous run or setting, or runs of different analyses.
        TrackingError: the store does not answer.
        SystemExit: no run is finished.
    """
    parser = VerbParser("compare", _USAGE, _DESCRIPTION)
    parser.add_argument("given", metavar="RUN", nargs="*", help=_RUN)
    given: list[str] = parser.parse(arguments).given
    overrides = [argument for argument in given if _is_setting(argument)]
    store = tracking_store(read_settings("compare", conf, _KEYS, overrides))
    if not store.exists():
        raise ConfigError(f"compare: nothing has been logged to {store.uri}; give outputs=FOLDER")
    with tracking.connection(store):
        _compare(store, [argument for argument in given if argument not in overrides])


def _is_setting(argument: str) -> bool:
    """Whether an argument is a setting; a run's name may hold "=" too, as in "seed=1"."""
    key, equals, _ = argument.partition("=")
    return bool(equals) and (key in _KEYS or key.startswith(("tracking.", "out")))


def _compare(store: Store, named: Sequence[str]) -> None:
    from interp.results.comparison import label_runs
    from interp.tracking import runs

    ids = [runs.find_run_id(store, name) for name in named] or [runs.find_last_sweep(store)]
    records = runs.read_runs(store, ids)
    _refuse_several_questions(records)
    good = [record for record in records if record.is_finished]
    names = [" · ".join(label) for label in label_runs(good)]
    print(f"\n{len(good)} of {len(records)} runs are finished\n")
    if good:
        _print_found(good, names)
    for record in records:
        if not record.is_finished:
            reason = f": {record.error}" if record.error else ""
            print(f"{record.run_id[:8]}  {record.name}: {record.status}{reason}", file=sys.stderr)
    if unsent := sum(tracking.count_waiting_jobs(store, run_id) for run_id in ids):
        report.print_unsent(store, unsent)
    if not good:
        sys.exit(1)
    _write(store, ids, records, good, names)


def _refuse_several_questions(records: "Sequence[RunRecord]") -> None:
    """Refuse runs whose numbers answer different questions, on scales of their own."""
    asked: dict[str, list[str]] = {}
    for record in records:
        if record.is_finished:
            asked.setdefault(record.analysis, []).append(record.run_id[:8])
    if len(asked) > 1:
        found = "; ".join(f"{name}: {', '.join(ids[:4])}" for name, ids in asked.items())
        raise ConfigError(
            f"compare: only runs of one analysis can be compared, not of {len(asked)} ({found})"
        )


def _print_found(good: "Sequence[RunRecord]", names: Sequence[str]) -> None:
    from interp.results.comparison import difference_table, summarise

    table = difference_table(good, names)
    if len(table):
        print(f"The configurations differ in\n{table.to_string(index=False)}\n")
    elif len(good) > 1:
        print("The configurations are equal\n")
    print(report.table_of(good, names))
    if sentences := summarise(good, names):
        print("", *sentences, sep="\n")


def _write(
    store: Store,
    ids: Sequence[str],
    records: "Sequence[RunRecord]",
    good: "Sequence[RunRecord]",
    names: Sequence[str],
) -> None:
    """Write the comparison, and print where it is and where MLflow charts the runs."""
    from interp.results.comparison import Scope, describe_runs
    from interp.tracking.store import experiment_id_of

    parents = {record.parent for record in records}
    whole = ids[0] if parents == {ids[0]} else ""
    about = Sweep(store, whole).name() if whole else "runs: " + ", ".join(names)
    key_hash = hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()
    folder = store.outputs / "comparisons" / (whole or key_hash)[:12]
    called = {record.run_id: name for record, name in zip(good, names, strict=True)}
    shown = [called.get(record.run_id, record.name) for record in records]
    scope = Scope(f"a {about}" if whole else f"{len(records)} runs", len(records))
    _remove_earlier(folder)
    text = describe_runs(records, shown, scope)
    sweep_comparison.write(records, text, about, len(records), folder)
    print()
    for figure in sorted((folder / "figures").glob("*.png")):
        print(f"figure   {report.shown_path(figure)}")
    print(f"words    {report.shown_path(folder / 'finding.md')}")
    if whole:
        report.print_where(store, Sweep(store, whole).url())
        return
    experiments = list(dict.fromkeys(experiment_id_of(store, record.run_id) for record in good))
    listed = ", ".join(f"'{record.run_id}'" for record in good)
    report.print_where(store, charts_url(store, experiments, f"attributes.run_id IN ({listed})"))


def _remove_earlier(folder: Path) -> None:
    """Remove what was written of these runs before; a sweep that grows may lose figures."""
    for written in ("figures", "tables"):
        if (folder / written).is_dir():
            shutil.rmtree(folder / written)
    (folder / "finding.md").unlink(missing_ok=True)
