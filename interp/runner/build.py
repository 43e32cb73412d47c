"""From a configuration to validated components: every mistake is found, and no weight is loaded."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from interp.core.configuration import Config
from interp.core.errors import ConfigError, nearest
from interp.core.groups import GROUPS
from interp.runner.analysis import Analysis, asks_for

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from interp.data.positions import Position
    from interp.data.prompts import PromptSet, PromptSource
    from interp.hooks import HookPoint
    from interp.metrics import Metric
    from interp.models import ModelSource


@dataclass(frozen=True, eq=False)
class Experiment:
    """The validated components of one run; nothing has been loaded but the prompts.

    Attributes:
        components: the component of each group, by the group's name; those that the runner itself
            works with are properties too.
        prompts: the prompts, loaded.
        reference_draws: how many times the weights of a random reference model are drawn.
        seed: of everything that the analysis draws at random.
    """

    components: Mapping[str, object]
    prompts: "PromptSet"
    reference_draws: int
    seed: int

    @property
    def source(self) -> "ModelSource":
        """Where the model's weights come from."""
        return cast("ModelSource", self.components["model"])

    @property
    def reference(self) -> "ModelSource | None":
        """Where the reference model's weights come from, if one is configured."""
        return cast("ModelSource | None", self.components["reference"])

    @property
    def prompt_source(self) -> "PromptSource":
        """Where the prompts come from."""
        return cast("PromptSource", self.components["prompts"])

    @property
    def hook(self) -> "HookPoint":
        """Where activations are read."""
        return cast("HookPoint", self.components["hook"])

    @property
    def position(self) -> "Position":
        """Which tokens are read."""
        return cast("Position", self.components["position"])

    @property
    def metric(self) -> "Metric":
        """The metric."""
        return cast("Metric", self.components["metric"])

    @property
    def analysis(self) -> Analysis:
        """The question."""
        return cast("Analysis", self.components["analysis"])


def build(config: "DictConfig", prompts: "PromptSet | None" = None) -> Experiment:
    """Build every component that the configuration names.

    Where the analysis uses a metric in vocabulary space, the hook's layers are read through the
    unembedding.

    Args:
        config: the configuration.
        prompts: the prompts that it names, where they have been loaded before.

    Raises:
        ConfigError: the first mistake in it.
    """
    known = [field.name for field in dataclasses.fields(Config)]
    for key in config:
        # A "+" on the command line gets past the schema.
        if key not in known:
            raise ConfigError(f"there is no {str(key)!r}{nearest(key, known)}")
    for name, least in (("seed", 0), ("reference_draws", 1)):
        if config[name] < least:
            raise ConfigError(f"{name} must be at least {least}, not {config[name]}")
    components: dict[str, object] = {}
    for group in GROUPS:
        chosen = config[group.name]
        if isinstance(chosen, str) and group.override != group.name:
            raise ConfigError(f"{group.name} is chosen as {group.override}={chosen}")
        is_chosen = chosen or not group.is_optional
        components[group.name] = group.registry.build(chosen, group.name) if is_chosen else None
    experiment = Experiment(
        components,
        cast("PromptSource", components["prompts"]).load() if prompts is None else prompts,
        config.reference_draws,
        config.seed,
    )
    if experiment.metric.in_vocabulary and asks_for(experiment.analysis, "metric"):
        components["hook"] = experiment.hook.in_vocabulary()
    return experiment
