"""How do the points lie at each layer: in what order, in which groups, along which direction?

A picture a layer, in axes that do not jump, and beside it what the eye cannot judge. Does a
component, or any direction, hold an order of the prompts (a length, a number) or of their tokens?
Are the groups apart? Each answer stands beside its null: the order shuffled among prompts, the
labels of the groups shuffled among prompts, in all layers alike, so that p is corrected for having
looked at all of them, and for having chosen the best component.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.order import ordering
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics.functional.points import in_few_dimensions
from interp.models import ModelSource
from interp.reductions import REDUCTIONS, Reduction
from interp.results.captions import Reading
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .layer_projections import frames, halves
from .order import ordered
from .picture import picture
from .separation import separated

if TYPE_CHECKING:
    from interp.forward.plan import Plan

Array = NDArray[np.float64]


@ANALYSES.register("layer_geometry")
@dataclass(frozen=True)
class LayerGeometry:
    """The points of each layer in two dimensions, their order, and how far their groups are apart.

    Attributes:
        basis: "layer": axes of each layer's own, turned towards those of the layer before; "all":
            the same axes for all layers, fitted on them together; or the number of a layer whose
            axes serve all.
        order: the order to look for: "auto", "none", "position" of tokens, "length" of prompts in
            tokens, or a numeric column of the prompts. "auto" is the position where prompts give
            several points, else the first numeric column, else none.
        permutations: draws of the nulls; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a layer counts as significant.
    """

    basis: Any = "layer"
    order: str = "auto"
    permutations: int = 999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        if self.basis not in ("layer", "all") and type(self.basis) is not int:
            raise ConfigError(f"basis must be layer, all, or a layer's number, not {self.basis!r}")

    def check(self, prompts: PromptSet, plan: "Plan", reduction: Reduction) -> None:
        """Refuse what cannot be drawn or ordered.

        Raises:
            ConfigError: a reduction to fewer than two components, or one that cannot do what the
                basis asks for; too few points; an order that the prompts do not have.
        """
        name = REDUCTIONS.name_of(reduction)
        components = getattr(reduction, "n_components", 0)
        if components < 2:
            given = f"reduction.n_components={components}" if components else f"reduction={name}"
            way_out = "reduction.n_components=2" if components else "reduction=pca"
            raise ConfigError(
                f"reduction: layer_geometry draws two components, which {given} does not give; "
                f"use {way_out}"
            )
        if type(self.basis) is int:
            if self.basis not in plan.layers:
                raise ConfigError(
                    f"analysis.basis: layer {self.basis} is not among the layers that are read: "
                    f"{', '.join(map(str, plan.layers))}"
                )
            if not reduction.inductive:
                raise ConfigError(
                    f"analysis.basis: {name} cannot be applied to points that it was not fitted "
                    "on; use basis=layer or basis=all"
                )
        if reduction.supervised:
            sizes = {group: len(prompts.members(group)) for group in prompts.group_names}
            if len(sizes) < 2 or min(sizes.values()) < 4:
                said = ", ".join(f"{size} ({group})" for group, size in sizes.items())
                raise ConfigError(
                    f"prompts: reduction={name} is fitted on one half of each group and shown on "
                    f"the other; it needs two groups of at least 4 prompts, not {said}"
                )
        fitted = len(halves(prompts, plan.samples["prompt"].to_numpy(), reduction)[0])
        together = len(plan.layers) if self.basis == "all" else 1
        if fitted * together < reduction.min_samples:
            settings = dataclasses.asdict(cast("Any", reduction)).items()
            raise ConfigError(
                f"prompts: reduction={name} ({', '.join(f'{k}={v}' for k, v in settings)}) needs "
                f"at least {reduction.min_samples} points, not {fitted * together}"
            )
        ordering(self.order, prompts, plan)

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        reduction: Reduction,
        plan: "Plan",
        rng: np.random.Generator,
    ) -> Result:
        """Draw the points of each layer, and ask for their order and their groups.

        Raises:
            ConfigError: a layer at which all points coincide, or that cannot be reduced.
        """
        samples = activations.samples
        in_axes = frames(activations, prompts, hook, reduction, self.basis)
        order = ordering(self.order, prompts, plan)
        units = "prompts" if len(samples) == len(prompts) else "tokens"
        reading = Reading(
            layers=activations.layers,
            names=plan.layer_names,
            model=source.title,
            hook=hook.label,
            position=f"position: {described(position)}",
            groups=prompts.group_names,
            units=f"{len(samples)} {units}",
            notice=plan.notice,
        )
        parts = [picture(in_axes, samples, reading, reduction, self.basis, order)]
        everyone = np.arange(len(samples))
        clouds = [_cloud(activations.points(i, everyone)) for i in range(len(reading.layers))]
        if order:
            parts.append(
                ordered(in_axes, clouds, order, reading, self.permutations, self.alpha, rng)
            )
        lonely = [group for group in prompts.group_names if len(prompts.members(group)) == 1]
        if len(prompts.group_names) > 1 and not lonely:
            parts.append(
                separated(clouds, samples, prompts, reading, self.permutations, self.alpha, rng)
            )
        elif len(prompts.group_names) > 1:
            parts.append(
                Result(finding=f"One prompt in {' and '.join(lonely)}: no telling groups apart.")
            )
        return _together(parts, reading)


def _cloud(points: Array) -> Array:
    """Return the points around their mean, in as few dimensions as they span."""
    return in_few_dimensions(points - points.mean(0))[0]


def _together(parts: list[Result], reading: Reading) -> Result:
    """Return what the questions found as one result."""
    import pandas as pd

    summaries = [part.tables["summary"] for part in parts if "summary" in part.tables]
    shown: dict[str, object] = {reading.unit: reading.ticks or reading.layers}
    if "explained_variance" in parts[0].series:
        shown["variance shown"] = [f"{v:.0%}" for v in parts[0].series["explained_variance"].values]
    summary = pd.concat([pd.DataFrame(shown), *summaries], axis=1)
    # What came out goes before what is shown.
    together = Result.merged([*parts[1:], parts[0]])
    return dataclasses.replace(together, tables={**together.tables, "summary": summary})
