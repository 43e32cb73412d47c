"""A multirun is one parent run with a child a job; Hydra's callbacks say when each begins."""

import hashlib
import json
import sys
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from interp.cli import dry_run, report, sweep_comparison
from interp.cli.hydra import composition, launchers, sibling_jobs
from interp.core.errors import ConfigError
from interp.core.versions import source_hash, versions
from interp.tracking import (
    CURRENT_JOB,
    EndedSweep,
    Job,
    Store,
    StoreUnavailableError,
    Sweep,
    guarded_connection,
    keep_sweep_end,
    now,
    one_line,
    record_dead_job,
    send_waiting,
)

# The sweep that this process launches, the folder of its jobs, and what each is called where that
# is known.
_OPEN: ContextVar[tuple[Sweep, Path, list[str]] | None] = ContextVar("_OPEN", default=None)


class SweepCallback(Callback):  # type: ignore[misc]
    """Opens the parent run before the jobs, and tells each job its parent.

    Launchers copy this object to their workers, so what a worker must know is an attribute.
    """

    def __init__(self) -> None:
        self._parent = ""
        self._swept: tuple[str, ...] = ()
        self._launched = 0
        self._experiment = ""
        self._jobs: list[list[str]] = []
        self._names: list[str] = []
        self._store: tuple[str, str | None, int] = ("", None, 0)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Open the parent run, named after what is swept.

        Raises:
            SystemExit: it cannot be opened. An exception would only make Hydra warn, and the jobs
                would run without their parent.
        """
        try:
            self._begin(config)
        except Exception as error:
            sys.exit(f"interp: {one_line(error)}")

    def _begin(self, config: DictConfig) -> None:
        given, is_basic = list(config.hydra.overrides.task), _is(config.hydra.sweeper, BasicSweeper)
        if is_basic:
            # What a preset sweeps; the command line comes after, as it does for Hydra.
            presets = config.hydra.sweeper.params or {}
            given = [*(f"{key}={value}" for key, value in presets.items()), *given]
        overrides = _parsed(given, GlobalHydra.instance().config_loader())
        swept = [override for override in overrides if override.is_sweep_override()]
        self._swept = tuple(override.get_key_element() for override in swept)
        for key in self._swept:
            if key in ("outputs", "rerun", "dry") or key.startswith(("tracking", "activations")):
                raise ConfigError(f"{key} cannot be swept: one sweep is logged in one place")
        if config.dry:
            # What is to be told together is found in one process.
            with flag_override(config, "readonly", False):
                config.hydra.launcher = {"_target_": _path(BasicLauncher)}
                config.hydra.sweep.dir = dry_run.nowhere()
        self._store = (config.outputs, config.tracking.uri, config.tracking.port)
        if is_basic:
            [self._jobs] = BasicSweeper.split_arguments(overrides, None)
            for override in swept:
                if not list(override.sweep_string_iterator()):
                    raise ConfigError(f"{override.input_line} stands for nothing")
        if config.dry:
            dry_run.open_store(config)
            self._experiment = config.tracking.experiment
            return
        launchers.prepare(config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher)
        self._launched = now()
        named = [override.input_line for override in swept or overrides]
        send_waiting(store := Store.of(*self._store))
        sweep = Sweep.begin(
            store,
            config.tracking.experiment,
            named,
            _fingerprint(config),
            rerun=config.rerun,
        )
        self._parent = sweep.run_id
        if is_basic and _is(config.hydra.launcher, BasicLauncher):
            composition.compose_once()
        sweep_comparison.begin(sweep.store, sweep.run_id)
        self._names = [self._name(overrides, number) for number, overrides in enumerate(self._jobs)]
        _OPEN.set((sweep, Path(config.hydra.sweep.dir), self._names))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell the job, in whichever process it runs, its parent and its name."""
        if not self._swept and not self._parent:
            return
        number = int(config.hydra.job.num)
        name = self._name(list(config.hydra.overrides.task), number)
        dry_run.JOB.set((number, name, self._experiment))
        if not self._parent:
            return
        CURRENT_JOB.set(Job(Store.of(*self._store), self._parent, number, name))
        sibling_jobs.OTHERS.set(self._jobs[:number] + self._jobs[number + 1 :])

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """Let the parent run show what has been found so far, now and then."""
        current = CURRENT_JOB.get()
        # Most often it is too early, and then a silent store is not asked whether it is back.
        if current and sweep_comparison.is_due(current.store, current.parent):
            with suppress(StoreUnavailableError), guarded_connection(current.store):
                sweep_comparison.refresh(current.store, current.parent, self._names)

    def on_death(self, number: int, overrides: list[str], status: str, reason: str) -> None:
        """Show a job whose process ended before it could say so; launchers tell of it."""
        if opened := _OPEN.get():
            name = self._name(overrides, number)
            record_dead_job(opened[0], number, name, status, reason, since=self._launched)

    def _name(self, overrides: list[str], number: int) -> str:
        """Return what tells a job from the others: its values of what is swept."""
        parts = []
        for override in _parsed(overrides):
            if override.get_key_element() in self._swept:
                given = override.value()
                value = given if isinstance(given, str) else override.get_value_element_as_str()
                _, dot, field = (override.package or override.key_or_group).rpartition(".")
                parts.append(f"{field}={value}" if dot or override.package else value)
        return " · ".join(parts) or f"job {number}"


def _fingerprint(config: DictConfig) -> str:
    """Digest what decides which jobs a sweep has: overrides, configuration files, code, versions.

    What the jobs read besides, such as a file of prompts, is told by their own fingerprints.
    """
    left_out = ("outputs=", "dry=", "tracking.", "activations.", "hydra.", "hydra/")
    given = [o for o in config.hydra.overrides.task if not o.startswith(left_out)]
    folders = [Path(s.path) for s in config.hydra.runtime.config_sources if s.schema == "file"]
    # No deeper than groups lie: a folder of configurations may hold `outputs` too.
    deep = ("*.yaml", "*/*.yaml", "*/*/*.yaml")
    files = [file for folder in folders for depth in deep for file in sorted(folder.glob(depth))]
    # Where jobs run is not what they are.
    files = [file for file in files if file.parent.name != "launcher"]
    texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
    presets = OmegaConf.select(config, "hydra.sweeper.params")
    chosen = [config.hydra.job.config_name, str(presets), given]
    told = [chosen, texts, source_hash(), versions()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _is(plugin: DictConfig, cls: type) -> bool:
    return bool(plugin._target_ == _path(cls))


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _parsed(lines: list[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Parse overrides; the loader tells what a `glob` stands for."""
    overrides: list[Override] = OverridesParser.create(loader).parse_overrides(lines)
    return overrides


def close(*, completed: bool) -> bool:
    """End the sweep that this process launched, if it did, and report on its jobs.

    Returns:
        Whether jobs failed, each of which has been told of.
    """
    opened = _OPEN.get()
    if opened is None:
        sweep_comparison.show_late()
        return False
    _OPEN.set(None)
    CURRENT_JOB.set(None)
    composition.forget()
    sweep, folder, jobs = opened
    try:
        send_waiting(sweep.store)
        with guarded_connection(sweep.store):
            return _end(sweep, folder, jobs, completed)
    except StoreUnavailableError:
        keep_sweep_end(EndedSweep(sweep, completed, now(), tuple(jobs)))
        report.waiting(sweep, folder)
        return not completed
    finally:
        # One that was ended late as it was started again has just been shown, or waits again.
        sweep_comparison.show_late(besides=sweep.run_id)


def _end(sweep: Sweep, folder: Path, jobs: list[str], completed: bool) -> bool:
    """End a sweep, show its jobs side by side and report on them; whether some failed."""
    children = sweep.end(completed=completed)
    if children:
        from interp.tracking.runs import read_jobs

        records = read_jobs(sweep.store, sweep.run_id)
        try:
            sweep_comparison.complete(sweep, records, jobs, folder)
        finally:
            with report.to_a_reader():
                report.sweep(sweep, records, folder, max(len(jobs), len(records)))
    return any(child.status != "FINISHED" for child in children)
