"""`interp compare`: runs side by side, from what MLflow recorded of them."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from interp import tracking
from interp.cli import choices, report, sweep_comparison
from interp.core.errors import ConfigError, nearest
from interp.tracking import Store, Sweep, charts_url

if TYPE_CHECKING:
    from interp.results.comparison import RunRecord

_HELP = """\
interp compare [RUN …] [outputs=FOLDER] [tracking.uri=DATABASE] [tracking.port=5000]
Compare finished runs: in what their configurations differ, where each departs from its null by
most, their curves in one figure, and the page that charts them in MLflow.

  RUN   a run's id, its beginning (6 digits or more), or its name in quotes; of a sweep all its jobs
        are compared. Without any: the last sweep.

Everything is read from MLflow; the figures are written to FOLDER/comparisons."""

_KEYS = ("outputs", "tracking.uri", "tracking.port")


def serve(conf: str, arguments: list[str]) -> None:
    """Compare the runs that are named; the overrides say where they are, as they do for a run.

    Args:
        conf: the configuration folder, whose config.yaml gives what is not overridden.
        arguments: the command line after `compare`.

    Raises:
        ConfigError: an unknown or ambiguous run or setting, or runs of different analyses;
            StoreUnavailableError where the store does not answer.
        SystemExit: no run is finished.
    """
    if {"-h", "--help"} & set(arguments):
        print(_HELP)
        return
    # Such a folder adds choices to groups, and no setting of this verb is one.
    own, arguments = choices.split_folder(arguments)
    choices.check_folder(own)
    store, named = _read(conf, arguments)
    with tracking.connection(store):
        _compare(store, named)


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
        report.say_unsent(store, unsent)
    if not good:
        sys.exit(1)
    _write(store, ids, records, good, names)


def _read(conf: str, arguments: list[str]) -> tuple[Store, list[str]]:
    """Return the store and the runs that are named.

    A name may hold "=", as in "seed=1"; what begins as a setting is one.
    """
    config = OmegaConf.load(Path(conf) / "config.yaml")
    settings: dict[str, Any] = {key: OmegaConf.select(config, key) for key in _KEYS}
    named = []
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if not equals or (key not in _KEYS and not key.startswith(("tracking.", "out"))):
            named.append(argument)
            continue
        if key not in _KEYS:
            raise ConfigError(f"compare: there is no {key!r}{nearest(key, _KEYS)}")
        [override] = OverridesParser.create().parse_overrides([argument])
        settings[key] = override.value()
    if not settings["outputs"]:
        raise ConfigError("outputs needs a folder")
    port = settings["tracking.port"]
    if isinstance(port, bool) or not isinstance(port, int):
        raise ConfigError(f"tracking.port must be a number, not {port!r}")
    uri = settings["tracking.uri"]
    store = Store.of(str(settings["outputs"]), str(uri) if uri else None, port)
    if not store.exists():
        raise ConfigError(f"compare: nothing has been logged to {store.uri}; give outputs=FOLDER")
    return store, named


def _refuse_several_questions(records: "Sequence[RunRecord]") -> None:
    """Refuse runs whose numbers answer different questions, on scales of their own."""
    asked: dict[str, list[str]] = {}
    for record in records:
        if record.is_finished:
            asked.setdefault(record.analysis, []).append(record.run_id[:8])
    if len(asked) > 1:
        said = "; ".join(f"{name}: {', '.join(ids[:4])}" for name, ids in asked.items())
        raise ConfigError(
            f"compare: runs of one analysis can be held against each other, not of {len(asked)} "
            f"({said})"
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
    """Write the comparison, and say where it is and where MLflow charts the runs."""
    from interp.results.comparison import Scope, describe_runs
    from interp.tracking.store import experiment_id_of

    parents = {record.parent for record in records}
    whole = ids[0] if parents == {ids[0]} else ""
    about = Sweep(store, whole).name() if whole else "runs: " + ", ".join(names)
    digest = hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()
    folder = store.outputs / "comparisons" / (whole or digest)[:12]
    called = {record.run_id: name for record, name in zip(good, names, strict=True)}
    told = [called.get(record.run_id, record.name) for record in records]
    scope = Scope(f"a {about}" if whole else f"{len(records)} runs", len(records))
    _remove_earlier(folder)
    text = describe_runs(records, told, scope)
    sweep_comparison.write(records, text, about, len(records), folder)
    print()
    for figure in sorted((folder / "figures").glob("*.png")):
        print(f"figure   {report.shown_path(figure)}")
    print(f"words    {report.shown_path(folder / 'finding.md')}")
    if whole:
        report.say_where(store, Sweep(store, whole).url())
        return
    experiments = list(dict.fromkeys(experiment_id_of(store, record.run_id) for record in good))
    listed = ", ".join(f"'{record.run_id}'" for record in good)
    report.say_where(store, charts_url(store, experiments, f"attributes.run_id IN ({listed})"))


def _remove_earlier(folder: Path) -> None:
    """Remove what was written of these runs before: of a sweep that grows, figures may go out."""
    for written in ("figures", "tables"):
        if (folder / written).is_dir():
            shutil.rmtree(folder / written)
    (folder / "finding.md").unlink(missing_ok=True)
