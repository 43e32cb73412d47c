"""What a run prints when it is done: a table, what it means, and where everything lies."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interp import tracking
from interp.tracking import CURRENT_JOB, Store, Sweep

if TYPE_CHECKING:
    import pandas as pd

    from interp.results.comparison import RunRecord
    from interp.runner.run import Outcome


def print_job(outcome: "Outcome") -> None:
    """Print a run's summary; one line where it is a job of a sweep."""
    finding = outcome.result.finding
    if current := CURRENT_JOB.get():
        known = " (known already)" if outcome.reused else ""
        print(f"{current.number}  {current.name}: {finding.partition(' (')[0] or 'done'}{known}")
        return
    print(f"\n{outcome.name}\n")
    print(_table(outcome.result.summary_table()))
    if finding:
        print(f"\n{finding}")
    folder = shown_path(outcome.folder)
    if (outcome.folder / "figures").is_dir():
        print(f"\nfigures  {folder}/figures")
    print(f"run      {folder}")
    if outcome.reused:
        print(f"An equal run found this on {outcome.reused}; rerun=true computes it anew.")
    if outcome.url:
        print_where(outcome.store, outcome.url)
    if outcome.waits:
        print(f"waits    {shown_path(outcome.store.outputs / '.unsent')}: the next start sends it")


def print_failure() -> None:
    """Print at once that a sweep's job failed; the reason follows at the sweep's end."""
    if current := CURRENT_JOB.get():
        print(f"{current.number}  {current.name}: FAILED", file=sys.stderr)


def print_sweep(sweep: Sweep, jobs: "Sequence[RunRecord]", folder: Path, count: int) -> None:
    """Print a sweep's jobs, each failed one's error, and the link that charts them.

    Args:
        sweep: the parent run.
        jobs: those that have begun.
        folder: where the jobs' folders are, by number.
        count: how many jobs it has.
    """
    good = [job for job in jobs if job.is_finished]
    print(f"\n{len(good)} of {count} jobs finished\n")
    if good:
        print(table_of(good, [job.name for job in good]))
    for job in jobs:
        if not job.is_finished:
            print(f"{job.number}  {job.name}: {job.status}: {job.error}", file=sys.stderr)
    print()
    for figure in sorted((folder / "figures").glob("*.png")):
        print(f"figure   {shown_path(figure)}")
    # A job that was known already has no folder.
    if any(folder.glob("[0-9]*")):
        print(f"jobs     {shown_path(folder)}")
    print_where(sweep.store, sweep.url())


def table_of(runs: "Sequence[RunRecord]", names: Sequence[str]) -> str:
    """Return a table with one row per run: its largest departure from its null, or its numbers."""
    import pandas as pd

    from interp.results.comparison import are_jobs_of_one_sweep, format_peaks, peak_table

    table = format_peaks(peak_table(runs, names, most=1))
    if len(table):
        if table["what"].nunique() == 1:
            # What is equal in all rows is printed once, above them.
            return f"{table['what'].iloc[0]}\n{_table(table.drop(columns='what'))}"
        return _table(table)
    rows = [
        {**({"": run.number} if are_jobs_of_one_sweep(runs) else {}), "run": name, **run.scalars}
        for run, name in zip(runs, names, strict=True)
    ]
    return _table(pd.DataFrame(rows))


def print_waiting(sweep: Sweep, folder: Path) -> None:
    """Print what waits for a store that does not answer at a sweep's end, and why jobs failed.

    Args:
        sweep: the parent run.
        folder: where the jobs' folders are, by number.
    """
    for file in sorted(folder.glob("[0-9]*/traceback.txt")):
        lines = file.read_text(encoding="utf-8").strip().splitlines()
        print(f"{file.parent.name}: FAILED: {lines[-1]}", file=sys.stderr)
    if any(folder.glob("[0-9]*")):
        print(f"\njobs     {shown_path(folder)}")
    print_unsent(sweep.store, tracking.count_waiting_jobs(sweep.store, sweep.run_id))


def print_unsent(store: Store, count: int) -> None:
    """Print how many jobs of a sweep wait for its store; where none does, the sweep's end waits."""
    what = {0: "the sweep's end waits", 1: "1 result waits"}.get(count, f"{count} results wait")
    sent = "are" if count > 1 else "is"
    place = shown_path(store.outputs / ".unsent")
    print(f"{what} in {place} and {sent} sent on the next start")


def _table(table: "pd.DataFrame") -> str:
    return table.to_string(index=False, float_format=lambda value: f"{value:.4g}")


def shown_path(folder: Path) -> str:
    """Return the folder as one would type it from here."""
    relative = os.path.relpath(folder)
    return shlex.quote(str(folder) if relative.startswith("..") else relative)


def print_where(store: Store, url: str) -> None:
    """Print the command that opens the MLflow UI, where one is needed, and the page to see."""
    if not store.is_server():
        options = "" if store.port == 5000 else f" tracking.port={store.port}"
        if store.uri != Store.of(str(store.outputs), None, store.port).uri:
            options += f" tracking.uri={shlex.quote(store.uri)}"
        if store.outputs != Path("outputs").resolve():
            options += f" outputs={shown_path(store.outputs)}"
        print(f"MLflow   {_program()} ui{options}")
    print(f"page     {url}")


def _program() -> str:
    """Return what one types to start this program from here."""
    installed = Path(sys.executable).parent / "interp"
    if (found := shutil.which("interp")) and Path(found) == installed:
        return "interp"
    return shown_path(installed) if installed.exists() else "python -m interp"
