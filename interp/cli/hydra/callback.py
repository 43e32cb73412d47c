"""A multirun is one parent run with a child per job; Hydra's callbacks report when each begins."""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from interp.cli import console, dry_run, report, sweep_comparison
from interp.cli.hydra import launchers, sibling_jobs, sweeper
from interp.cli.hydra.composition import JOB_COMPOSER, parse
from interp.cli.hydra.open_sweep import OPEN_SWEEP, OpenSweep, job_name
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
    send_waiting,
)

# Overrides that change what a sweep does with its jobs, and not which jobs there are.
_NOT_OF_JOBS = ("outputs=", "dry=", "tracking.", "activations.", "hydra.", "hydra/")


class SweepCallback(Callback):  # type: ignore[misc]
    """Opens the parent run before the jobs, and gives each job its parent.

    Launchers copy this object to their workers, so what a worker must know is an attribute.
    """

    def __init__(self) -> None:
        self._parent = ""
        self._swept: tuple[str, ...] = ()
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
        is_known = sweeper.is_chosen(config)
        given = sweeper.given_overrides(config) if is_known else config.hydra.overrides.task
        overrides = parse(given, GlobalHydra.instance().config_loader())
        swept = [override for override in overrides if override.is_sweep_override()]
        self._swept = tuple(override.get_key_element() for override in swept)
        _refuse_several_stores(self._swept)
        self._store = (config.outputs, config.tracking.uri, config.tracking.port)
        self._experiment = config.tracking.experiment
        self._jobs = sweeper.jobs_of(overrides) if is_known else []
        if config.dry:
            _prepare_dry_run(config)
        else:
            launcher = config.hydra.launcher
            launchers.check_launcher(config.hydra.runtime.choices["hydra/launcher"], launcher)
            self._open(config, swept or overrides)

    def _open(self, config: DictConfig, named_after: list[Override]) -> None:
        """Open the parent run."""
        began, store = now(), Store.of(*self._store)
        send_waiting(store)
        sweep = Sweep.begin(
            store,
            self._experiment,
            [override.input_line for override in named_after],
            _fingerprint(config),
            rerun=config.rerun,
        )
        self._parent = sweep.run_id
        sweep_comparison.begin(sweep.store, sweep.run_id)
        folder = Path(config.hydra.sweep.dir)
        opened = OpenSweep(sweep, folder, self._swept, self._jobs, began)
        self._names = opened.names
        OPEN_SWEEP.set(opened)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give the job, in whichever process it runs, its parent and its name."""
        if not self._swept and not self._parent:
            return
        number = int(config.hydra.job.num)
        name = job_name(list(config.hydra.overrides.task), self._swept, number)
        dry_run.JOB.set((number, name, self._experiment))
        if not self._parent:
            return
        CURRENT_JOB.set(Job(Store.of(*self._store), self._parent, number, name))
        sibling_jobs.SIBLINGS.set(self._jobs[:number] + self._jobs[number + 1 :])

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """Show in the parent run what has been found so far, now and then."""
        current = CURRENT_JOB.get()
        # Most often it is too early, and then a silent store is not asked whether it is back.
        if current and sweep_comparison.is_due(current.store, current.parent):
            with suppress(StoreUnavailableError), guarded_connection(current.store):
                sweep_comparison.refresh(current.store, current.parent, self._names)


def _refuse_several_stores(swept: tuple[str, ...]) -> None:
    for key in swept:
        if key in ("outputs", "rerun", "dry") or key.startswith(("tracking", "activations")):
            raise ConfigError(f"{key} cannot be swept: one sweep is logged in one place")


def _prepare_dry_run(config: DictConfig) -> None:
    # The jobs are described together, so one process looks at all of them.
    with flag_override(config, "readonly", False):
        config.hydra.launcher = {"_target_": launchers.SEQUENTIAL}
        config.hydra.sweep.dir = dry_run.temporary_folder()
    dry_run.open_store(config)


def _fingerprint(config: DictConfig) -> str:
    """Hash what decides which jobs a sweep has: overrides, configuration files, code, versions.

    Whatever else the jobs read, such as a file of prompts, is in their own fingerprints.
    """
    given = [o for o in config.hydra.overrides.task if not o.startswith(_NOT_OF_JOBS)]
    folders = [Path(s.path) for s in config.hydra.runtime.config_sources if s.schema == "file"]
    # No deeper than groups lie: a folder of configurations may hold `outputs` too.
    deep = ("*.yaml", "*/*.yaml", "*/*/*.yaml")
    files = [file for folder in folders for depth in deep for file in sorted(folder.glob(depth))]
    # Where jobs run does not change what they are.
    files = [file for file in files if file.parent.name != "launcher"]
    texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
    presets = OmegaConf.select(config, "hydra.sweeper.params")
    chosen = [config.hydra.job.config_name, str(presets), given]
    decisive = [chosen, texts, source_hash(), versions()]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def close(*, completed: bool) -> bool:
    """End the sweep that this process launched, if it did, and report on its jobs.

    Returns:
        Whether jobs failed, each of which has been reported.
    """
    opened = OPEN_SWEEP.get()
    if opened is None:
        sweep_comparison.show_late()
        return False
    OPEN_SWEEP.set(None)
    CURRENT_JOB.set(None)
    JOB_COMPOSER.set(None)
    sweep = opened.sweep
    try:
        send_waiting(sweep.store)
        with guarded_connection(sweep.store):
            return _end(opened, completed)
    except StoreUnavailableError:
        keep_sweep_end(EndedSweep(sweep, completed, now(), tuple(opened.names)))
        report.print_waiting(sweep, opened.folder)
        return not completed
    finally:
        # One that was ended late as it was started again has just been shown, or waits again.
        sweep_comparison.show_late(except_run=sweep.run_id)


def _end(opened: OpenSweep, completed: bool) -> bool:
    """End a sweep, compare its jobs and report on them; return whether some failed."""
    sweep, folder, jobs = opened.sweep, opened.folder, opened.names
    children = sweep.end(completed=completed)
    if children:
        from interp.tracking.runs import read_jobs

        records = read_jobs(sweep.store, sweep.run_id)
        try:
            sweep_comparison.complete(sweep, records, jobs, folder)
        finally:
            with console.to_a_reader():
                report.print_sweep(sweep, records, folder, max(len(jobs), len(records)))
    return any(child.status != "FINISHED" for child in children)
