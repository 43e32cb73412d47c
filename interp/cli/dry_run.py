"""`dry=true`: the jobs, which of them are done, what they would read, and about what that takes."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from interp.cli.errors import CONFIG_ERRORS, explain

if TYPE_CHECKING:
    from interp.runner.forecast import Forecast

# The number and the name of the current job of a sweep, and the MLflow experiment that it goes to.
JOB: ContextVar[tuple[int, str, str]] = ContextVar("JOB", default=(0, "", ""))


@dataclass
class _Noted:
    """What is known of the jobs so far.

    Attributes:
        rows: number, name and state of each.
        forecasts: of those that can run.
        config: of the last: where things are kept is the same for all.
    """

    rows: list[tuple[int, str, str]] = field(default_factory=list)
    forecasts: list["Forecast"] = field(default_factory=list)
    config: DictConfig = field(default_factory=lambda: DictConfig({}))

    @property
    def failed(self) -> int:
        """How many cannot run."""
        return len(self.rows) - len(self.forecasts)


_NOTED = _Noted()


# Hydra writes down what it sweeps, wherever it is told.
_NOWHERE: list[TemporaryDirectory[str]] = []


def nowhere() -> str:
    """Return a folder that goes as this process ends."""
    _NOWHERE.append(TemporaryDirectory())
    return _NOWHERE[-1].name


def open_store(config: DictConfig) -> None:
    """Open the store where there is one: what is done already stands there.

    Raises:
        ConfigError: it cannot be opened.
    """
    from interp.tracking import Store

    store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
    if store.exists():
        store.client.search_experiments(max_results=1)


def note(config: DictConfig) -> None:
    """Look at one job; a mistake in its configuration is its state.

    Raises:
        ConfigError: the store cannot be opened.
    """
    from interp.cli.hydra.job import register
    from interp.runner.forecast import forecast

    number, name, experiment = JOB.get()
    open_store(config)
    _NOTED.config = config
    try:
        register(config)
        found = forecast(config, experiment)
    except CONFIG_ERRORS as error:
        _NOTED.rows.append((number, name, f"cannot run: {explain(error)}"))
        return
    _NOTED.forecasts.append(found)
    state = f"done on {found.known}" if found.known else "to do"
    _NOTED.rows.append((number, name or found.name, state))


def report() -> bool:
    """Print what was noted, if anything was.

    Returns:
        Whether a job cannot run.
    """
    if not _NOTED.rows:
        return False
    waiting = [one for one in _NOTED.forecasts if not one.known]
    done = len(_NOTED.forecasts) - len(waiting)
    parts = [f"{len(waiting)} to do", f"{done} done"]
    parts += [f"{_NOTED.failed} that cannot run"] * bool(_NOTED.failed)
    count = len(_NOTED.rows)
    print(f"{count} job{'s' * (count != 1)}: {', '.join(parts)}; nothing was run\n")
    wide = max(len(name) for _, name, _ in _NOTED.rows)
    for number, name, state in _NOTED.rows:
        print(f"{number:>{len(str(count - 1))}}  {name:<{wide}}  {state}")
    if waiting:
        print()
        _estimate(_NOTED.config, waiting)
    return _NOTED.failed > 0


def _estimate(config: DictConfig, waiting: Sequence["Forecast"]) -> None:
    """Print what would be read, and about how much time and disk all of it takes."""
    from interp.cache.files import format_bytes
    from interp.runner.forecast import passes
    from interp.tracking import Store, read_run_history

    seconds = size = 0.0
    for request, one in passes(waiting):
        from interp.forward.throughput import products_per_second

        takes = one.products / products_per_second(request.source)
        seconds, size = seconds + takes, size + one.bytes
        print(f"read   {one.title}: {one.prompts:,} prompts, {one.tokens:,} tokens at most")
        for site in one.sites:
            print(f"       {site}")
    if not size:
        print("read   nothing: the store has all activations that are needed")
    told = [f"reading {_duration(seconds)} at most"] * bool(size)
    stored = [f"activations {format_bytes(int(size))}"] * bool(size)
    store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
    unknown = []
    for analysis in sorted({one.analysis for one in waiting}):
        jobs = [one for one in waiting if one.analysis == analysis]
        history = read_run_history(store, jobs[0].experiment, analysis)
        if not history.count:
            unknown.append(analysis)
            continue
        seconds += len(jobs) * history.seconds
        # A run's folder is there once more among MLflow's artifacts.
        size += len(jobs) * 2 * history.bytes
        median = f"median of {history.count} of {analysis}"
        told.append(f"{len(jobs)} × {_duration(history.seconds)} ({median})")
        stored.append(f"{len(jobs)} × {format_bytes(int(2 * history.bytes))}")
    more = f", and what {' and '.join(unknown)} takes: no run of it has finished yet"
    end = more if unknown else ""
    if told:
        print(f"time   about {_duration(seconds)}: {', '.join(told)}{end}")
        print(f"disk   about {format_bytes(int(size))}: {', '.join(stored)}{end}")
    else:
        print(f"time   unknown{end.replace(', and', ':')}")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 0.1):.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes / 60:.1f} h"
