"""From a configuration to a tracked result: build, check, reuse, compute, save, log."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.cache import ActivationStore
from interp.core.configuration import resolved, save
from interp.core.errors import ConfigError
from interp.core.groups import GROUPS
from interp.results.result import Result
from interp.runner.analysis import asks_for
from interp.runner.build import Experiment, build
from interp.runner.fingerprint import tags_of
from interp.runner.inputs import Inputs, SiblingRequests, no_siblings, used_groups
from interp.tracking import (
    CURRENT_JOB,
    FinishedRun,
    Store,
    StoreUnavailableError,
    find_finished_runs,
    recorded_run,
    send_waiting,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished run: its result, and where that is kept.

    Attributes:
        result: the result; of a reused run the numbers and tables alone.
        folder: the folder that holds it.
        store: the store that it is logged to.
        name: the run's name.
        url: the run's page; empty where the store has no run of it yet.
        waits: whether some of it has not been sent to the store yet.
        reused: when the run that found the result ended; "" where it was computed now.
    """

    result: Result
    folder: Path
    store: Store
    name: str
    url: str
    reused: str = ""
    waits: bool = False

    def __repr__(self) -> str:
        return f"{self.name}\n{self.result.finding}\n{self.folder}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: finding, table and figures."""
        from interp.results.notebook import html

        return html(self.name, self.result, self.folder, self.url)


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """A configuration that has been built and checked, before anything is computed.

    Attributes:
        settings: the configuration, every interpolation filled in.
        experiment: its components.
        inputs: what its analysis may ask for.
        tags: what identifies the run, its fingerprint among them.
    """

    settings: dict[str, Any]
    experiment: Experiment
    inputs: Inputs
    tags: dict[str, object]

    @property
    def name(self) -> str:
        """The run's name: its model and its metric, or its analysis where that uses no metric."""
        about = str(self.settings["analysis"]["name"]).replace("_", " ")
        if asks_for(self.experiment.analysis, "metric"):
            about = self.experiment.metric.label
        return f"{self.experiment.source.title} · {about}"


def run(
    config: "DictConfig",
    folder: Path,
    siblings: SiblingRequests = no_siblings,
    register: Callable[[], None] | None = None,
) -> Outcome:
    """Run the configured experiment, write `folder`, and log both to MLflow.

    The result of an equal earlier run is reused, unless `rerun` is set.

    Args:
        config: the configuration.
        folder: where the run's files go.
        siblings: yields, for what this job reads, what other jobs of the sweep will read with it.
        register: registers the components of the user's own modules; where it fails in a sweep,
            the job is logged as failed.

    Raises:
        ConfigError: something is wrong with the configuration; found before a weight is loaded
            wherever that is possible. Outside of a sweep nothing is left behind then.
        Exception: whatever the analysis raises, after the run has been marked FAILED.
    """
    try:
        if register:
            register()
        prepared = prepare(config, siblings)
    except Exception:
        if CURRENT_JOB.get() is None:
            raise
        # A sweep shows every job, also one that could not begin.
        with recorded_run(_store(config), config.tracking.experiment, "", folder):
            save(config, folder / "config.yaml")
            raise

    at = prepared.settings["tracking"]["experiment"]
    if CURRENT_JOB.get() is None:
        send_waiting(_store(config))
    if not config.rerun:
        for known in find_finished_runs(_store(config), at, str(prepared.tags["fingerprint"])):
            # Where the store stops answering, the result is computed again.
            with suppress(StoreUnavailableError):
                return _reused(known, folder)

    with recorded_run(_store(config), at, prepared.name, folder, prepared.tags) as logger:
        save(prepared.settings, folder / "config.yaml")
        logger.log_setup(prepared.settings, prepared.experiment.prompts)
        prepared.inputs.record_steps(logger.log_step)
        result = _computed(prepared)
        result.save(folder)
        logger.log_result(result, folder)
    return Outcome(
        result, folder, logger.store, prepared.name, logger.url(), waits=logger.is_waiting()
    )


def prepare(config: "DictConfig", siblings: SiblingRequests = no_siblings) -> PreparedRun:
    """Build and check what is configured, and plan what will be read; no weight is loaded.

    Raises:
        ConfigError: something is wrong with the configuration.
    """
    settings = resolved(config)
    experiment = build(config)
    refuse_unused_choices(experiment, settings)
    store = ActivationStore.of(config.outputs, config.activations.limit_gb)
    inputs = Inputs(experiment, Path(config.outputs).resolve(), store, siblings)
    if check := getattr(experiment.analysis, "check", None):
        inputs.call(check)
    return PreparedRun(settings, experiment, inputs, tags_of(experiment, inputs, settings))


def refuse_unused_choices(experiment: Experiment, settings: dict[str, Any]) -> None:
    """Refuse a choice that the analysis does not use, where the run would seem to have used it.

    Raises:
        ConfigError: names the choice and the analysis.
    """
    used = used_groups(experiment.analysis)
    for group in GROUPS:
        if group.neutral is None or group in used or not experiment.components[group.name]:
            continue
        name = settings[group.name]["name"]
        if name != group.neutral:
            raise ConfigError(
                f"{group.name}: analysis={settings['analysis']['name']} does not use the chosen "
                f"{group.name}, {name}"
            )


def _computed(prepared: PreparedRun) -> Result:
    """Return what the analysis computes, with the tables that every run has."""
    found: Result = prepared.inputs.call(prepared.experiment.analysis.__call__)
    layers = found.layer_table()
    tables = {} if layers.empty else {"layers": layers}
    tables["prompts"] = prepared.experiment.prompts.table()
    return dataclasses.replace(found, tables={**tables, **found.tables})


def _reused(known: FinishedRun, folder: Path) -> Outcome:
    """Return the outcome of an earlier run; in a sweep it becomes one of the sweep's jobs."""
    job, url = CURRENT_JOB.get(), known.run.url()
    if job is None:
        folder = known.fetch(folder)
        result = Result.load(folder)
    else:
        if not known.is_current_job:
            known.copy_to_sweep(folder)
        # A sweep reports no more of a job.
        result = Result(finding=known.finding)
    return Outcome(result, folder, known.run.store, known.name, url, reused=known.ended)


def _store(config: "DictConfig") -> Store:
    return Store.of(config.outputs, config.tracking.uri, config.tracking.port)
