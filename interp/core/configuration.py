"""The configuration's schema, and the step from a configuration to validated components."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import MISSING, DictConfig, OmegaConf

if TYPE_CHECKING:
    from interp.clusterings import Clustering
    from interp.data.positions import Position
    from interp.data.prompts import PromptSet, PromptSource
    from interp.hooks import HookPoint
    from interp.metrics import Metric
    from interp.models import ModelSource
    from interp.reductions import Reduction
    from interp.runner.analysis import Analysis


@dataclass
class Tracking:
    """Where MLflow keeps the runs.

    Attributes:
        uri: a tracking server or database; empty for the sqlite database in `outputs`.
        experiment: the MLflow experiment that the runs go to.
        port: where `interp ui` serves the store, and where printed links point.
    """

    uri: str | None = None
    experiment: str = "${analysis.name}"
    port: int = 5000


@dataclass
class StoredActivations:
    """What is kept of captured activations, in the folder `activations` of `outputs`.

    Attributes:
        limit_gb: GB (10⁹ bytes) above which the least recently used go.
    """

    limit_gb: float = 50.0


@dataclass
class Config:
    """The root of every configuration; it stands first in the defaults and catches typos.

    Attributes:
        model, prompts, hook, position, reduction, clustering, metric, analysis: a `name` and the
            fields of the component registered under it.
        reference: a model that the run is held against, chosen with `model@reference=…`.
        reference_draws: how often a reference with random weights is drawn.
        imports: modules of one's own, which register their components as they are imported.
        rerun: compute what an equal run has found already.
        dry: tell what would be done, and do none of it.
        seed: of everything that the analysis draws.
        outputs: the folder for runs, the MLflow database and its artifacts.
        activations: what is kept of captured activations.
        tracking: where MLflow keeps the runs.
    """

    model: Any = MISSING
    prompts: Any = MISSING
    hook: Any = MISSING
    position: Any = MISSING
    reduction: Any = MISSING
    clustering: Any = MISSING
    metric: Any = MISSING
    analysis: Any = MISSING
    reference: Any = None
    reference_draws: int = 20
    imports: list[str] = field(default_factory=list)
    rerun: bool = False
    dry: bool = False
    seed: int = 0
    outputs: str = "outputs"
    activations: StoredActivations = field(default_factory=StoredActivations)
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, eq=False)
class Experiment:
    """The validated components of one run; nothing has been loaded but the prompts."""

    source: "ModelSource"
    reference: "ModelSource | None"
    reference_draws: int
    prompt_source: "PromptSource"
    prompts: "PromptSet"
    hook: "HookPoint"
    position: "Position"
    reduction: "Reduction"
    clustering: "Clustering"
    metric: "Metric"
    analysis: "Analysis"
    seed: int


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return the configuration with every interpolation filled in."""
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))


def save(settings: dict[str, Any] | DictConfig, path: Path) -> None:
    """Write a configuration as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(settings), path)


def build(config: DictConfig, prompts: "PromptSet | None" = None) -> Experiment:
    """Build every component that the configuration names.

    A metric in vocabulary space, where it is used, reads the hook's layers through the unembedding.

    Args:
        config: the configuration.
        prompts: the prompts that it names, where they have been loaded before.

    Raises:
        ConfigError: the first thing that is wrong with it.
    """
    from interp.clusterings import CLUSTERINGS
    from interp.core.errors import ConfigError, nearest
    from interp.data.positions import POSITIONS
    from interp.data.prompts import PROMPTS
    from interp.hooks import HOOKS
    from interp.metrics import METRICS
    from interp.models import MODELS
    from interp.reductions import REDUCTIONS
    from interp.runner.analysis import ANALYSES, asks_for

    known = [field.name for field in dataclasses.fields(Config)]
    for key in config:
        # A "+" on the command line gets past the schema.
        if key not in known:
            raise ConfigError(f"there is no {str(key)!r}{nearest(key, known)}")
    for name, least in (("seed", 0), ("reference_draws", 1)):
        if config[name] < least:
            raise ConfigError(f"{name} must be at least {least}, not {config[name]}")
    if isinstance(config.reference, str):
        raise ConfigError(f"reference is chosen as model@reference={config.reference}")
    hook, metric = HOOKS.build(config.hook), METRICS.build(config.metric)
    analysis = ANALYSES.build(config.analysis)
    prompt_source = PROMPTS.build(config.prompts)
    in_vocabulary = metric.in_vocabulary and asks_for(analysis, "metric")
    return Experiment(
        source=MODELS.build(config.model),
        reference=MODELS.build(config.reference, at="reference") if config.reference else None,
        reference_draws=config.reference_draws,
        prompt_source=prompt_source,
        prompts=prompt_source.load() if prompts is None else prompts,
        hook=hook.in_vocabulary() if in_vocabulary else hook,
        position=POSITIONS.build(config.position),
        reduction=REDUCTIONS.build(config.reduction),
        clustering=CLUSTERINGS.build(config.clustering),
        metric=metric,
        analysis=analysis,
        seed=config.seed,
    )
