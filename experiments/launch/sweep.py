"""A multirun is one parent run with a child a job; Hydra's callbacks say when each begins."""

import hashlib
import json
import sys
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
from omegaconf import DictConfig, OmegaConf

from experiments.launch import batch, composition, launchers, report
from interp.registry import ConfigError
from interp.tracking import CURRENT_JOB, Child, Job, Store, Sweep, one_line
from interp.versions import code_digest, versions

# The sweep that this process launches, the folder of its jobs, and how many there are where that is
# known.
_OPEN: ContextVar[tuple[Sweep, Path, int] | None] = ContextVar("_OPEN", default=None)


class SweepCallback(Callback):  # type: ignore[misc]
    """Opens the parent run before the jobs, and tells each job its parent.

    Launchers copy this object to their workers, so what a worker must know is an attribute.
    """

    def __init__(self) -> None:
        self._parent = ""
        self._swept: tuple[str, ...] = ()
        self._jobs: list[list[str]] = []
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
        launchers.prepare(config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher)
        given, is_basic = list(config.hydra.overrides.task), _is(config.hydra.sweeper, BasicSweeper)
        if is_basic:
            # What a preset sweeps; the command line comes after, as it does for Hydra.
            presets = config.hydra.sweeper.params or {}
            given = [*(f"{key}={value}" for key, value in presets.items()), *given]
        overrides = _parsed(given, GlobalHydra.instance().config_loader())
        swept = [override for override in overrides if override.is_sweep_override()]
        self._swept = tuple(override.get_key_element() for override in swept)
        for key in self._swept:
            if key in ("outputs", "rerun") or key.startswith(("tracking", "activations")):
                raise ConfigError(f"{key} cannot be swept: one sweep is logged in one place")
        self._store = (config.outputs, config.tracking.uri, config.tracking.port)
        if is_basic:
            [self._jobs] = BasicSweeper.split_arguments(overrides, None)
            for override in swept:
                if not list(override.sweep_string_iterator()):
                    raise ConfigError(f"{override.input_line} stands for nothing")
        named = [override.input_line for override in swept or overrides]
        sweep = Sweep.begin(
            Store.of(*self._store),
            config.tracking.experiment,
            named,
            _fingerprint(config),
            anew=config.rerun,
        )
        self._parent = sweep.run_id
        if is_basic and _is(config.hydra.launcher, BasicLauncher):
            composition.compose_once()
        _OPEN.set((sweep, Path(config.hydra.sweep.dir), len(self._jobs)))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell the job, in whichever process it runs, its parent and its name."""
        if not self._parent:
            return
        number = int(config.hydra.job.num)
        name = self._name(list(config.hydra.overrides.task), number)
        CURRENT_JOB.set(Job(Store.of(*self._store), self._parent, number, name))
        batch.OTHERS.set(self._jobs[:number] + self._jobs[number + 1 :])

    def on_death(self, number: int, overrides: list[str], status: str, reason: str) -> None:
        """Show a job whose process ended before it could say so; launchers tell of it."""
        if opened := _OPEN.get():
            opened[0].record_death(number, self._name(overrides, number), status, reason)

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
    left_out = ("outputs=", "tracking.", "activations.", "hydra.", "hydra/")
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
    told = [chosen, texts, code_digest("interp", "experiments"), versions()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _is(plugin: DictConfig, cls: type) -> bool:
    return bool(plugin._target_ == f"{cls.__module__}.{cls.__name__}")


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
        return False
    _OPEN.set(None)
    CURRENT_JOB.set(None)
    composition.forget()
    sweep, folder, count = opened
    children = sweep.end(completed=completed)
    if children:
        figures = folder / "figures"
        if all(child.began < sweep.opened for child in children):
            sweep.fetch_folder(figures)
        else:
            _draw_scores(sweep, children, figures)
            _draw_spectra(sweep, children, figures)
            _draw_training(sweep, children, figures)
            if figures.is_dir():
                sweep.log_folder(figures)
        report.sweep(sweep, children, folder, max(count, len(children)))
    return any(child.status != "FINISHED" for child in children)


def _draw_scores(sweep: Sweep, children: list[Child], folder: Path) -> None:
    """Draw every job's calibrated scores over layers in one figure."""
    panels: dict[str, dict[str, dict[int, float]]] = {}
    for child in children:
        if child.status == "FINISHED" and (scores := sweep.curve(child, "layer/score")):
            panels.setdefault(child.null, {})[child.name] = scores
    if panels:
        from interp import figures

        count = sum(map(len, panels.values()))
        without = len(children) - count
        missing = f" ({without} of {len(children)} jobs have none)" if without else ""
        title = f"Calibrated scores, {sweep.name()}{missing}"
        figures.save(figures.calibrated_scores(panels, title=title), folder / "calibrated_scores")


def _draw_spectra(sweep: Sweep, children: list[Child], folder: Path) -> None:
    """Draw every job's singular values over one another."""
    good = [child for child in children if child.status == "FINISHED"]
    jobs = {child.name: sweep.curve(child, "component/relative_singular_value") for child in good}
    if jobs := {name: spectrum for name, spectrum in jobs.items() if spectrum}:
        from interp import figures

        title = f"Singular values, {sweep.name()}"
        ylabel = "singular value, relative to the largest"
        drawn = figures.spectra_together(jobs, title=title, ylabel=ylabel)
        figures.save(drawn, folder / "spectra")


def _draw_training(sweep: Sweep, children: list[Child], folder: Path) -> None:
    """Draw the test loss of every job that trained, and its accuracy, over the epochs."""
    good = [child for child in children if child.status == "FINISHED"]
    keys = {"test loss (nats)": "epoch/test_loss", "test accuracy": "epoch/test_accuracy"}
    panels = {
        label: {child.name: curve for child in good if (curve := sweep.curve(child, key))}
        for label, key in keys.items()
    }
    if all(panels.values()):
        from interp import figures

        drawn = figures.training_together(
            panels,
            {"test loss (nats)": "logarithmic", "test accuracy": "fraction"},
            title="Loss and accuracy of test pairs over the epochs of each job",
            subtitle=sweep.name(),
        )
        figures.save(drawn, folder / "training")
