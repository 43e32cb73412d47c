"""The comparison of a sweep's jobs in its parent run, refreshed as jobs end."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from interp.tracking import (
    LONGEST_TAG,
    Store,
    StoreUnavailableError,
    Sweep,
    guarded_connection,
    is_store_error,
    keep_sweep_end,
    one_line,
    take_ended_sweeps,
)

if TYPE_CHECKING:
    from interp.results.comparison import RunRecord

# A refresh is due once this many times as long has passed as the last one took.
_TIMES_ITS_LENGTH = 20
# Seconds that the first refresh is assumed to take.
_FIRST_LENGTH = 2.0


def begin(store: Store, parent: str) -> None:
    """Allow refreshing a sweep's parent run, by whichever process first finds it due."""
    _note(store, parent, _FIRST_LENGTH)


def refresh(store: Store, parent: str, jobs: Sequence[str]) -> bool:
    """Show what the jobs have found so far, if it is due and no other process does.

    Args:
        store: where the sweep is logged.
        parent: its run.
        jobs: what each job is called, by number; none where that is not known.

    Returns:
        Whether it was done.
    """
    if not is_due(store, parent):
        return False
    lock = _lock(store, parent)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    try:
        # Another process may have done it in the meantime.
        if not is_due(store, parent):
            return False
        began, least = time.monotonic(), _FIRST_LENGTH
        from interp.tracking.runs import read_jobs

        try:
            with TemporaryDirectory() as folder:
                show(Sweep(store, parent), read_jobs(store, parent), jobs, Path(folder))
            least = 0.0
        finally:
            # After a failure, however quick, the next attempt is not made at each job's end.
            _note(store, parent, max(least, time.monotonic() - began))
        return True
    finally:
        lock.release()


def complete(
    sweep: Sweep, records: "Sequence[RunRecord]", jobs: Sequence[str], folder: Path
) -> None:
    """Show what the jobs have found, when all of them have ended.

    A comparison of the same jobs that was logged already is fetched, and not drawn again.

    Args:
        sweep: the parent run.
        records: its jobs that have begun.
        jobs: what each job is called, by number; none where that is not known.
        folder: where the comparison is put for the user.
    """
    with _lock(sweep.store, sweep.run_id):
        _stamp(sweep.store, sweep.run_id).unlink(missing_ok=True)
        if sweep.compared_hash() == _shows(records, jobs):
            sweep.fetch_comparison(folder)
        else:
            with TemporaryDirectory() as drawn:
                show(sweep, records, jobs, Path(drawn))
                shutil.copytree(drawn, folder, dirs_exist_ok=True)


def show_late(except_run: str = "") -> None:
    """Show sweeps whose end was logged late, because the store had not answered before.

    A sweep that cannot be shown is reported in one line; what follows goes on.

    Args:
        except_run: the run of a sweep that was shown already.
    """
    for ended in take_ended_sweeps():
        from interp.tracking.runs import read_jobs

        sweep = ended.sweep
        if sweep.run_id == except_run:
            continue
        try:
            with (
                sweep.lock().acquire(blocking=False),
                guarded_connection(sweep.store),
                TemporaryDirectory() as folder,
            ):
                complete(sweep, read_jobs(sweep.store, sweep.run_id), ended.jobs, Path(folder))
        except Timeout:
            # Another process continues the sweep, and will show it.
            continue
        except StoreUnavailableError:
            keep_sweep_end(ended)
        except Exception as error:
            if not is_store_error(error):
                raise
            where = f"the comparison of sweep {sweep.run_id} cannot be logged to {sweep.store.uri}"
            print(f"tracking: {where}: {one_line(error)}", file=sys.stderr, flush=True)


def show(sweep: Sweep, records: "Sequence[RunRecord]", jobs: Sequence[str], folder: Path) -> None:
    """Write the comparison of a sweep's jobs into a folder, and log it to the parent run."""
    from interp.results.comparison import Scope, describe_runs, shorten

    about = f"a {sweep.name()}"
    begun = {record.number for record in records}
    missing = tuple(job for number, job in enumerate(jobs) if number not in begun)
    scope = Scope(about, max(len(jobs), len(records)), missing)
    names = [record.name for record in records]
    text = describe_runs(records, names, scope)
    write(records, text, sweep.name(), scope.count, folder)
    sweep.log_comparison(folder, shorten(text, LONGEST_TAG), _shows(records, jobs))


def write(records: "Sequence[RunRecord]", text: str, about: str, count: int, folder: Path) -> None:
    """Write finding.md, tables/peaks.csv, tables/differences.csv and the figures of a comparison.

    Args:
        records: the runs.
        text: what came out, in Markdown.
        about: what the runs are, below the figures' titles.
        count: how many runs there are to be.
        folder: where to.
    """
    from interp.results.comparison import (
        difference_table,
        draw_comparison,
        label_runs,
        peak_table,
    )

    good = [record for record in records if record.is_finished]
    labels = label_runs(good)
    names = [" · ".join(label) for label in labels]
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "finding.md").write_text(text, encoding="utf-8")
    for name, table in (
        ("peaks", peak_table(good, names)),
        ("differences", difference_table(good, names)),
    ):
        if len(table):
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    if drawn := draw_comparison(good, labels, about, count):
        from interp import plotting

        for name, figure in drawn.items():
            plotting.save(figure, folder / "figures" / name)


def _shows(records: "Sequence[RunRecord]", jobs: Sequence[str]) -> str:
    ended = [[record.run_id, record.status] for record in records]
    return hashlib.sha256(json.dumps([ended, len(jobs)]).encode()).hexdigest()


def _lock(store: Store, parent: str) -> FileLock:
    folder = store.outputs / ".sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{parent}.comparison.lock")


def _stamp(store: Store, parent: str) -> Path:
    return store.outputs / ".sweeps" / f"{parent}.comparison.json"


def _note(store: Store, parent: str, took: float) -> None:
    """Note that the parent run has been refreshed now, and how many seconds that took."""
    path = _stamp(store, parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Other processes may read it at any time.
    written = path.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps({"at": time.time(), "took": took}), encoding="utf-8")
    written.replace(path)


def is_due(store: Store, parent: str) -> bool:
    """Whether long enough has passed; never, where the sweep has ended or is unknown here."""
    path = _stamp(store, parent)
    if not path.is_file():
        return False
    last = json.loads(path.read_text(encoding="utf-8"))
    return bool(time.time() - last["at"] >= _TIMES_ITS_LENGTH * last["took"])
