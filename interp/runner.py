"""From a configuration to a tracked result: build, check, run, save, log."""

import dataclasses
import hashlib
import importlib.util
import inspect
import json
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.analysis import asks_for
from interp.config import Experiment, build, resolved, save
from interp.registry import ConfigError
from interp.result import Result
from interp.store import ActivationStore
from interp.tracking import CURRENT_JOB, Store, recorded

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from interp.activations import Activations
    from interp.clusterings import Clustering
    from interp.hooks import HookPoint
    from interp.metrics import Metric
    from interp.models import ModelSource
    from interp.models.language_model import LanguageModel
    from interp.plan import Plan
    from interp.positions import Position
    from interp.prompts import PromptSet, PromptSource
    from interp.reductions import Reduction
    from interp.reference import Reference
    from interp.reuse import Request

_VERSIONED = (
    *("interp", "torch", "transformers", "numpy", "scipy", "scikit-learn"),
    *("hydra-core", "mlflow"),
)
# Extras, which need not be there, by the module that they are imported as.
_VERSIONED_TOO = {"umap": "umap-learn", "pacmap": "pacmap"}


# Takes a step's number, and its values by name.
Track = Callable[[int, Mapping[str, float]], None]


def _nowhere(_step: int, _values: Mapping[str, float]) -> None:
    """Stand in for a run that has not begun."""


class Provisions:
    """What an analysis may ask for by name, each made when it is first asked for.

    Attributes:
        outputs: the folder that runs share: what takes long may be kept there, to go on from.
        track: sends values of a step to the run while it works, one curve a name.
    """

    def __init__(
        self,
        experiment: Experiment,
        outputs: Path,
        store: ActivationStore,
        also: Callable[[], Iterable["Request"]] = tuple,
    ) -> None:
        self._experiment = experiment
        self._store = store
        self._also = also
        self.outputs = outputs
        self.track: Track = _nowhere

    @cached_property
    def _request(self) -> "Request":
        from interp.reuse import Request

        e = self._experiment
        return Request(e.source, e.prompts, e.hook, e.position)

    @property
    def prompts(self) -> "PromptSet":
        """The prompt set."""
        return self._experiment.prompts

    @property
    def prompt_source(self) -> "PromptSource":
        """Where the prompts come from: the rule that made them, with its settings."""
        return self._experiment.prompt_source

    @property
    def source(self) -> "ModelSource":
        """The model's description: its title, without its weights."""
        return self._experiment.source

    @property
    def hook(self) -> "HookPoint":
        """Where activations are read."""
        return self._experiment.hook

    @property
    def position(self) -> "Position":
        """Which tokens are read."""
        return self._experiment.position

    @property
    def reduction(self) -> "Reduction":
        """The reduction."""
        return self._experiment.reduction

    @property
    def clustering(self) -> "Clustering":
        """The clustering."""
        return self._experiment.clustering

    @property
    def metric(self) -> "Metric":
        """The metric."""
        return self._experiment.metric

    @cached_property
    def rng(self) -> np.random.Generator:
        """The random generator, from the configured seed."""
        return np.random.default_rng(self._experiment.seed)

    @cached_property
    def plan(self) -> "Plan":
        """What will be read: tokens, layers, samples; no weight is loaded for it."""
        from interp.reuse import plan

        return plan(self._request, self._store)

    @property
    def samples(self) -> "pd.DataFrame":
        """The table of samples, one row each, before anything is read."""
        return self.plan.samples.copy()

    @property
    def model(self) -> "LanguageModel":
        """The model with its weights, and its head where it has one."""
        return self._experiment.source.load(head=True)

    @property
    def reference_source(self) -> "ModelSource | None":
        """The description of the model that the run is held against, where there is one."""
        return self._experiment.reference

    @cached_property
    def reference(self) -> "Reference":
        """The model that the run is held against; nothing of it is loaded until it is read."""
        from interp.reference import Reference
        from interp.reuse import activations, plan

        e = self._experiment
        # Without one there is nothing to draw, and the model stands in for its title.
        source = e.reference or e.source
        request = dataclasses.replace(self._request, source=source)
        what = plan(request, self._store)

        def drawn(i: int) -> "Activations":
            twin = dataclasses.replace(source, seed=source.seed + i)
            return activations(dataclasses.replace(request, source=twin), self._store)

        draws = e.reference_draws if source.is_drawn else 1
        draws = draws if e.reference else 0
        return Reference(source.title, what.layers, what.samples.copy(), what.space, draws, drawn)

    @cached_property
    def activations(self) -> "Activations":
        """The activations at hook and position."""
        from interp.reuse import activations

        return activations(self._request, self._store, self._also)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with the provisions that its parameters name.

        Raises:
            TypeError: a parameter that names none of them.
        """
        names = list(inspect.signature(function).parameters)
        known = [n for n in dir(self) if not n.startswith("_") and n != "call"]
        for name in names:
            if name not in known:
                raise TypeError(f"{function}: no provision {name!r} (there are {known})")
        return function(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished run: what it found, and where that lies."""

    result: Result
    folder: Path
    store: Store
    name: str
    url: str


def run(config: "DictConfig", folder: Path) -> Outcome:
    """Run the configured experiment, write `folder`, and log both to MLflow.

    Raises:
        ConfigError: something is wrong with the configuration; found before a weight is loaded
            wherever that can be known. Outside of a sweep nothing is left behind then.
        Exception: whatever the analysis raises, after the run has been marked FAILED.
    """
    try:
        settings = resolved(config)
        experiment = build(config)
        store = ActivationStore.of(config.outputs, config.activations.limit_gb)
        provisions = Provisions(experiment, Path(config.outputs).resolve(), store)
        _refuse_idle_choices(experiment, settings)
        if check := getattr(experiment.analysis, "check", None):
            provisions.call(check)
        tags = _tags(experiment, provisions, settings)
    except Exception:
        if CURRENT_JOB.get() is None:
            raise
        # A sweep shows every job, also the one that could not begin.
        with recorded(_store(config), config.tracking.experiment, "", folder):
            save(config, folder / "config.yaml")
            raise

    name = f"{experiment.source.title} · {_about(experiment, settings)}"
    at = settings["tracking"]["experiment"]
    with recorded(_store(config), at, name, folder, tags) as record:
        save(settings, folder / "config.yaml")
        record.log_setup(settings, experiment.prompts)
        provisions.track = record.log_step
        found: Result = provisions.call(experiment.analysis.__call__)
        tables = {"layers": found.layer_table()} if found.series else {}
        tables["prompts"] = experiment.prompts.table()
        result = dataclasses.replace(found, tables={**tables, **found.tables})
        result.save(folder)
        record.log_result(result, folder)
    return Outcome(result, folder, record.store, name, record.url())


def _about(experiment: Experiment, settings: dict[str, Any]) -> str:
    """What a run is called, beside its model: its metric, or where it uses none its question."""
    if asks_for(experiment.analysis, "metric"):
        return experiment.metric.label
    return str(settings["analysis"]["name"]).replace("_", " ")


def _refuse_idle_choices(experiment: Experiment, settings: dict[str, Any]) -> None:
    """Refuse a choice that the analysis would not look at, though the run would record it."""
    analysis = settings["analysis"]["name"]
    if experiment.reference and not asks_for(experiment.analysis, "reference", "reference_source"):
        raise ConfigError(f"reference: analysis={analysis} has no use for a reference model")
    reduction = settings["reduction"]["name"]
    if reduction != "identity" and not asks_for(experiment.analysis, "reduction"):
        raise ConfigError(f"reduction: analysis={analysis} reduces nothing, as {reduction} would")


def _store(config: "DictConfig") -> Store:
    return Store.of(config.outputs, config.tracking.uri, config.tracking.port)


def _tags(
    experiment: Experiment, provisions: Provisions, settings: dict[str, Any]
) -> dict[str, object]:
    from interp.hooks import HOOKS

    tags = {
        "analysis": settings["analysis"]["name"],
        "model": experiment.source.title,
        "revision": experiment.source.revision,
        "dtype": experiment.source.dtype,
        "prompts_sha256": experiment.prompts.content_hash,
        "git_commit": _git_commit(),
        "version.python": platform.python_version(),
        **_versions(),
    }
    reads = asks_for(experiment.analysis, "activations", "samples", "plan", "reference")
    if reads:
        plan = provisions.plan
        tags["hook"] = HOOKS.name_of(experiment.hook)
        one_a_prompt = len(plan.samples) == len(experiment.prompts)
        tags |= {
            "n": str(len(plan.samples)),
            "units": "prompts" if one_a_prompt else "tokens",
            "attention_kernel": plan.attention_kernel,
        }
        if plan.unembedding:
            tags["unembedding"] = plan.unembedding
    if experiment.reference:
        tags["reference"] = experiment.reference.title
        tags["reference_revision"] = experiment.reference.revision
        tags["reference_dtype"] = experiment.reference.dtype
    idle = {name for name in ("metric", "clustering") if not asks_for(experiment.analysis, name)}
    idle |= set() if reads else {"hook", "position"}
    return {**tags, "fingerprint": _fingerprint(tags, settings, idle)}


@cache
def _versions() -> dict[str, str]:
    from importlib import metadata

    extras = [name for module, name in _VERSIONED_TOO.items() if importlib.util.find_spec(module)]
    names = (*_VERSIONED, *extras)
    return {f"version.{name}": metadata.version(name) for name in names}


def _fingerprint(tags: dict[str, str], settings: dict[str, Any], idle: set[str]) -> str:
    """Digest of all that decides the result: choices, weights, prompts, code and versions.

    Where weights and prompts come from does not count, what they are does; nor does a choice that
    the analysis has no use for, or anything that moves values by round-off alone.
    """
    indifferent = {"outputs", "tracking", "activations", "model", "reference", "prompts"} | idle
    if settings["reference"] is None:
        indifferent.add("reference_draws")
    decisive = {key: value for key, value in settings.items() if key not in indifferent}
    return hashlib.sha256(json.dumps([decisive, tags], sort_keys=True).encode()).hexdigest()


@cache
def _git_commit() -> str:
    """Return the commit of the code that runs, marked where it was changed, or its version."""
    from importlib import metadata

    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Installed inside some other project's checkout, this is not that project's code.
        if Path(git("rev-parse", "--show-toplevel")).resolve() == root:
            return git("rev-parse", "HEAD") + (" with changes" if git("status", "-s") else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    return f"not a checkout (interp {metadata.version('interp')})"
