"""From a configuration to a tracked result: build, check, run, save, log."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.cache import ActivationStore
from interp.core.configuration import Experiment, build, resolved, save
from interp.core.errors import ConfigError
from interp.results.result import Result
from interp.runner.analysis import asks_for
from interp.runner.fingerprint import tags_of
from interp.runner.inputs import Provisions, SiblingRequests, alone
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
    """A finished run: what it found, and where that lies.

    Attributes:
        result: what it found; of an earlier run the numbers and tables alone.
        folder: where that lies.
        store: where it is logged.
        name: what it is called.
        url: its page; empty where the store could not be told of it yet.
        waits: whether it, or some of it, waits to be sent there.
        reused: when the earlier run ended that found it; "" where it was found now.
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
class Settled:
    """What a configuration comes to, before anything is computed.

    Attributes:
        settings: the configuration, every interpolation filled in.
        experiment: its components.
        provisions: what its analysis may ask for.
        tags: what the run is, its fingerprint among them.
    """

    settings: dict[str, Any]
    experiment: Experiment
    provisions: Provisions
    tags: dict[str, object]

    @property
    def name(self) -> str:
        """What the run is called: its model and metric, or where it uses none its question."""
        about = str(self.settings["analysis"]["name"]).replace("_", " ")
        if asks_for(self.experiment.analysis, "metric"):
            about = self.experiment.metric.label
        return f"{self.experiment.source.title} · {about}"


def settle(config: "DictConfig", siblings: SiblingRequests = alone) -> Settled:
    """Build and check what is configured, and settle what will be read; no weight is loaded.

    Raises:
        ConfigError: something is wrong with the configuration.
    """
    settings = resolved(config)
    experiment = build(config)
    store = ActivationStore.of(config.outputs, config.activations.limit_gb)
    provisions = Provisions(experiment, Path(config.outputs).resolve(), store, siblings)
    refuse_idle_choices(experiment, settings)
    if check := getattr(experiment.analysis, "check", None):
        provisions.call(check)
    return Settled(settings, experiment, provisions, tags_of(experiment, provisions, settings))


def _registered() -> None:
    """Stand in for whoever has registered already what the configuration names."""


def run(
    config: "DictConfig",
    folder: Path,
    siblings: SiblingRequests = alone,
    register: Callable[[], None] = _registered,
) -> Outcome:
    """Run the configured experiment, write `folder`, and log both to MLflow.

    What an equal run has found already is taken from there, unless `rerun` is set.

    Args:
        config: the configuration.
        folder: where the run's files go.
        siblings: given what this job reads, yields what other jobs of the sweep will read of
            the same model and prompts.
        register: registers what the configuration names; a job at which that fails is shown too.

    Raises:
        ConfigError: something is wrong with the configuration; found before a weight is loaded
            wherever that can be known. Outside of a sweep nothing is left behind then.
        Exception: whatever the analysis raises, after the run has been marked FAILED.
    """
    try:
        register()
        settled = settle(config, siblings)
    except Exception:
        if CURRENT_JOB.get() is None:
            raise
        # A sweep shows every job, also the one that could not begin.
        with recorded_run(_store(config), config.tracking.experiment, "", folder):
            save(config, folder / "config.yaml")
            raise

    at = settled.settings["tracking"]["experiment"]
    if CURRENT_JOB.get() is None:
        send_waiting(_store(config))
    if not config.rerun:
        for known in find_finished_runs(_store(config), at, str(settled.tags["fingerprint"])):
            # Where the store stops answering as it is asked what was found, that is found anew.
            with suppress(StoreUnavailableError):
                return _reused(known, folder)
    prompts = settled.experiment.prompts
    with recorded_run(_store(config), at, settled.name, folder, settled.tags) as logger:
        save(settled.settings, folder / "config.yaml")
        logger.log_setup(settled.settings, prompts)
        settled.provisions.track = logger.log_step
        found: Result = settled.provisions.call(settled.experiment.analysis.__call__)
        layers = found.layer_table()
        tables = {} if layers.empty else {"layers": layers}
        tables["prompts"] = prompts.table()
        result = dataclasses.replace(found, tables={**tables, **found.tables})
        result.save(folder)
        logger.log_result(result, folder)
    return Outcome(
        result, folder, logger.store, settled.name, logger.url(), waits=logger.is_waiting()
    )


def _reused(known: FinishedRun, folder: Path) -> Outcome:
    """Return what an earlier run found; in a sweep it becomes one of its jobs."""
    job, url = CURRENT_JOB.get(), known.run.url()
    if job is None:
        folder = known.fetch(folder)
        result = Result.load(folder)
    else:
        if not known.is_current_job:
            known.copy_to_sweep(folder)
        # Of a job no more is told.
        result = Result(finding=known.finding)
    return Outcome(result, folder, known.run.store, known.name, url, reused=known.ended)


def refuse_idle_choices(experiment: Experiment, settings: dict[str, Any]) -> None:
    """Refuse a choice that the analysis would not look at, though the run would record it."""
    analysis = settings["analysis"]["name"]
    if experiment.reference and not asks_for(experiment.analysis, "reference", "reference_source"):
        raise ConfigError(f"reference: analysis={analysis} has no use for a reference model")
    reduction = settings["reduction"]["name"]
    if reduction != "identity" and not asks_for(experiment.analysis, "reduction"):
        raise ConfigError(f"reduction: analysis={analysis} reduces nothing, as {reduction} would")


def _store(config: "DictConfig") -> Store:
    return Store.of(config.outputs, config.tracking.uri, config.tracking.port)
