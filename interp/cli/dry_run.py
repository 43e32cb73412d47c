"""`dry=true`: the jobs, which of them are done, what they would read, and about what that takes."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from interp.cli.console import table
from interp.cli.errors import EXPLAINED_ERRORS, explain
from interp.cli.overrides import CONF
from interp.tracking import Store

if TYPE_CHECKING:
    from interp.cache.request import Request
    from interp.runner.forecast import Forecast, Pass

# The number and the name of the current job of a sweep, and the MLflow experiment that it goes to.
JOB: ContextVar[tuple[int, str, str]] = ContextVar("JOB", default=(0, "", ""))


@dataclass
class _Jobs:
    """What is known of the jobs so far.

    Attributes:
        rows: number, name and state of each.
        forecasts: of those that can run.
        config: of the last one: where things are kept is the same for all.
    """

    rows: list[tuple[int, str, str]] = field(default_factory=list)
    forecasts: list["Forecast"] = field(default_factory=list)
    config: DictConfig = field(default_factory=lambda: DictConfig({}))

    @property
    def n_failed(self) -> int:
        """How many cannot run."""
        return len(self.rows) - len(self.forecasts)


# The jobs that this process looks at.
_JOBS: ContextVar[_Jobs | None] = ContextVar("_JOBS", default=None)
# Where Hydra writes of a sweep that is not run; it is removed with this variable.
_FOLDER: ContextVar[TemporaryDirectory[str] | None] = ContextVar("_FOLDER", default=None)


def temporary_folder() -> str:
    """Return a folder for what Hydra writes; it is removed when this process ends."""
    folder = TemporaryDirectory()
    _FOLDER.set(folder)
    return folder.name


def open_store(config: DictConfig) -> None:
    """Open the store where there is one: what is done already stands there.

    Raises:
        ConfigError: its address is wrong.
        TrackingError: it cannot be opened.
    """
    store = _store(config)
    if store.exists():
        store.client.search_experiments(max_results=1)


def note(config: DictConfig, register: Callable[[DictConfig], None]) -> None:
    """Look at one job; a mistake in its configuration is its state.

    Args:
        config: of the job.
        register: imports what the configuration names.

    Raises:
        ConfigError: the store's address is wrong.
        TrackingError: the store cannot be opened.
    """
    from interp.runner.forecast import forecast

    jobs = _JOBS.get() or _Jobs()
    _JOBS.set(jobs)
    number, name, experiment = JOB.get()
    open_store(config)
    jobs.config = config
    try:
        register(config)
        found = forecast(config, experiment)
    except EXPLAINED_ERRORS as error:
        jobs.rows.append((number, name, f"cannot run: {explain(error, CONF)}"))
        return
    jobs.forecasts.append(found)
    state = f"done on {found.known}" if found.known else "to do"
    jobs.rows.append((number, name or found.name, state))


def report() -> bool:
    """Print what was noted, if anything was.

    Returns:
        Whether a job cannot run.
    """
    jobs = _JOBS.get()
    if jobs is None:
        return False
    _JOBS.set(None)
    waiting = [one for one in jobs.forecasts if not one.known]
    parts = [f"{len(waiting)} to do", f"{len(jobs.forecasts) - len(waiting)} done"]
    parts += [f"{jobs.n_failed} that cannot run"] * bool(jobs.n_failed)
    count = len(jobs.rows)
    print(f"{count} job{'s' * (count != 1)}: {', '.join(parts)}; nothing was run\n")
    digits = len(str(count - 1))
    print(table([(f"{number:>{digits}}", name, state) for number, name, state in jobs.rows]))
    if waiting:
        print()
        _print_estimate(_store(jobs.config), waiting)
    return jobs.n_failed > 0


@dataclass
class _Estimate:
    """About how much time and disk something takes, and what that consists of."""

    seconds: float = 0.0
    bytes: float = 0.0
    of_time: list[str] = field(default_factory=list)
    of_disk: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def _print_estimate(store: Store, waiting: Sequence["Forecast"]) -> None:
    """Print what would be read, and about how much time and disk all of it takes."""
    from interp.cache.files import format_bytes
    from interp.runner.forecast import passes

    estimate = _Estimate()
    _add_passes(estimate, list(passes(waiting)))
    _add_jobs(estimate, store, waiting)
    unknown = " and ".join(estimate.unknown)
    rest = f"what {unknown} takes: no run of it has finished yet" if unknown else ""
    more = f", and {rest}" if rest else ""
    if estimate.of_time:
        time = f"about {_duration(estimate.seconds)}: {', '.join(estimate.of_time)}"
        disk = f"about {format_bytes(int(estimate.bytes))}: {', '.join(estimate.of_disk)}"
        print(f"time   {time}{more}")
        print(f"disk   {disk}{more}")
    else:
        print(f"time   unknown: {rest}")


def _add_passes(estimate: _Estimate, passes: "Sequence[tuple[Request, Pass]]") -> None:
    """Print which forward passes would be run, and add what they take."""
    from interp.cache.files import format_bytes
    from interp.forward.throughput import products_per_second

    for request, work in passes:
        estimate.seconds += work.products / products_per_second(request.source)
        estimate.bytes += work.bytes
        print(f"read   {work.title}: {work.prompts:,} prompts, {work.tokens:,} tokens at most")
        for site in work.sites:
            print(f"       {site}")
    if estimate.bytes:
        estimate.of_time.append(f"reading {_duration(estimate.seconds)} at most")
        estimate.of_disk.append(f"activations {format_bytes(int(estimate.bytes))}")
    else:
        print("read   nothing: the store has all activations that are needed")


def _add_jobs(estimate: _Estimate, store: Store, waiting: Sequence["Forecast"]) -> None:
    """Add what the jobs themselves take, by the runs of their analyses that have finished."""
    from interp.cache.files import format_bytes
    from interp.tracking import read_run_history

    for analysis in sorted({one.analysis for one in waiting}):
        jobs = [one for one in waiting if one.analysis == analysis]
        history = read_run_history(store, jobs[0].experiment, analysis)
        if not history.count:
            estimate.unknown.append(analysis)
            continue
        # MLflow's artifacts hold a second copy of a run's folder.
        per_job = 2 * history.bytes
        estimate.seconds += len(jobs) * history.seconds
        estimate.bytes += len(jobs) * per_job
        median = f"median of {history.count} of {analysis}"
        estimate.of_time.append(f"{len(jobs)} × {_duration(history.seconds)} ({median})")
        estimate.of_disk.append(f"{len(jobs)} × {format_bytes(int(per_job))}")


def _store(config: DictConfig) -> Store:
    return Store.of(config.outputs, config.tracking.uri, config.tracking.port)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.1):.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:.1f} h"
