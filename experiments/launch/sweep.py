"""A multirun is one parent run with a child a job; Hydra's callbacks say when each begins."""

from contextvars import ContextVar
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from experiments.launch import report
from interp.tracking import CURRENT_JOB, Job, Store, Sweep

_OPEN: ContextVar[Sweep | None] = ContextVar("_OPEN", default=None)


class SweepCallback(Callback):  # type: ignore[misc]
    """Opens the parent run before the jobs, and tells each job its parent.

    Launchers copy this object to their workers, so what a worker must know is an attribute.
    """

    def __init__(self) -> None:
        self._parent = ""
        self._swept: tuple[str, ...] = ()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Open the parent run, named after what is swept."""
        overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        swept = [override for override in overrides if override.is_sweep_override()]
        self._swept = tuple(override.key_or_group for override in swept)
        store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
        named = [override.input_line for override in swept or overrides]
        sweep = Sweep.begin(store, config.tracking.experiment, named)
        self._parent = sweep.run_id
        _OPEN.set(sweep)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell the job, in whichever process it runs, its parent and its name."""
        if not self._parent:
            return
        overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        parts = []
        for override in overrides:
            if override.key_or_group in self._swept:
                given = override.value()
                value = given if isinstance(given, str) else override.get_value_element_as_str()
                _, dot, field = override.key_or_group.rpartition(".")
                parts.append(f"{field}={value}" if dot else value)
        CURRENT_JOB.set(Job(self._parent, " · ".join(parts) or f"job {config.hydra.job.num}"))


def close(*, completed: bool) -> bool:
    """End the sweep that this process launched, if it did, and report on its jobs.

    Returns:
        Whether jobs failed, each of which has been told of.
    """
    sweep = _OPEN.get()
    if sweep is None:
        return False
    _OPEN.set(None)
    CURRENT_JOB.set(None)
    children = sweep.end(completed=completed)
    if children:
        report.sweep(sweep, children)
    return any(child.status != "FINISHED" for child in children)
