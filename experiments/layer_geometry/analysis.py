"""How do the points lie at each layer: in what order, in which groups, along which direction?

The points of each layer are drawn in two dimensions whose axes layers have in common. Tests decide
what a picture cannot: whether one component, or any direction, follows an order of the prompts (a
length, a number) or of their tokens, and whether the groups lie apart. The null permutes the order,
or the labels of the groups, among prompts, in all layers alike, so that p-values are corrected for
all layers, and for choosing the best component.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.models import ModelSource
from interp.reductions import REDUCTIONS, Reduction
from interp.results.captions import Caption
from interp.results.result import Result, Series
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from . import report
from .layer_projections import fitted_and_shown, project_layers
from .measures import (
    OrderTests,
    SeparationTests,
    TestSettings,
    centred_clouds,
    measure_order,
    measure_separation,
)
from .ordering import ordering

if TYPE_CHECKING:
    from interp.forward.plan import Plan


@ANALYSES.register("layer_geometry")
@dataclass(frozen=True)
class LayerGeometry:
    """The points of each layer in two dimensions, their order, and how far their groups are apart.

    Attributes:
        basis: "layer": axes of each layer's own, rotated towards those of the layer before; "all":
            the same axes for all layers, fitted on them together; or the number of the layer whose
            axes are used for all.
        order: the order to look for: "auto", "none", "position" of tokens, "length" of prompts in
            tokens, or a numeric column of the prompts. "auto" is the position where prompts give
            several points, else the first numeric column, else none.
        permutations: permutations of the nulls; the smallest p is 1 / (permutations + 1).
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
        _check_components(reduction)
        _check_basis(self.basis, plan, reduction)
        _check_points(prompts, plan, reduction, together=self.basis == "all")
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
        """Draw the points of each layer, and test them for their order and their groups.

        Raises:
            ConfigError: a layer at which all points coincide, or that cannot be reduced.
        """
        from . import figures

        samples, layers = activations.samples, activations.layers
        units = "prompts" if len(samples) == len(prompts) else "tokens"
        caption = Caption(
            layers=layers,
            names=plan.layer_names,
            model=source.title,
            hook=hook.label,
            position=f"position: {described(position)}",
            groups=prompts.group_names,
            units=f"{len(samples)} {units}",
            notice=plan.notice,
        )
        projections = project_layers(activations, prompts, hook, reduction, self.basis)
        order = ordering(self.order, prompts, plan)
        clouds, settings = centred_clouds(activations), TestSettings(self.permutations, self.alpha)
        in_order = of_groups = None
        if order:
            in_order = measure_order(projections, clouds, order, layers, settings, rng)
        names = prompts.group_names if len(prompts.group_names) > 1 else ()
        lonely = [group for group in names if len(prompts.members(group)) == 1]
        if names and not lonely:
            prompt_of_row = samples["prompt"].to_numpy()
            of_groups = measure_separation(clouds, prompts, prompt_of_row, layers, settings, rng)

        shares = report.shares_shown(projections, self.basis)
        panels, animation = figures.points_of_layers(
            projections, samples, order, caption, reduction, self.basis
        )
        picture = Result(
            series={"explained_variance": Series.over(layers, shares)} if shares else {},
            tables={"summary": report.summary_table(shares, in_order, of_groups, caption)},
            figures={"layers": panels},
            animations={"layers": animation},
            finding=report.picture_finding(projections, caption, self.basis),
        )
        # The tests come before the picture in the finding.
        parts = [_order_result(in_order, caption), _separation_result(of_groups, lonely, caption)]
        return Result.merged([*parts, picture])


def _order_result(found: OrderTests | None, caption: Caption) -> Result:
    from . import figures

    if found is None:
        return Result()
    return Result(
        tested=(found.component, found.probe),
        scalars=report.order_scalars(found),
        tables={"components": report.component_table(found, caption)},
        figures={
            "order": figures.order_curves(found, caption),
            "components": figures.component_heatmap(found, caption),
        },
        finding=report.order_finding(found, caption),
        null=found.permuted,
    )


def _separation_result(
    found: SeparationTests | None, lonely: list[str], caption: Caption
) -> Result:
    from . import figures

    if found is None:
        return Result(finding=report.describe_lonely_groups(lonely))
    return Result(
        tested=found.series,
        scalars=report.separation_scalars(found),
        figures={"separation": figures.separation_curves(found, caption)},
        finding=report.separation_finding(found, caption),
        null=found.permuted,
    )


def _check_components(reduction: Reduction) -> None:
    """Refuse a reduction to fewer than two components."""
    components = getattr(reduction, "n_components", 0)
    if components >= 2:
        return
    name = REDUCTIONS.name_of(reduction)
    given = f"reduction.n_components={components}" if components else f"reduction={name}"
    way_out = "reduction.n_components=2" if components else "reduction=pca"
    raise ConfigError(
        f"reduction: layer_geometry draws two components, which {given} does not give; use "
        f"{way_out}"
    )


def _check_basis(basis: Any, plan: "Plan", reduction: Reduction) -> None:
    """Refuse the axes of a layer that is not read, or that cannot be used for other layers."""
    if type(basis) is not int:
        return
    if basis not in plan.layers:
        raise ConfigError(
            f"analysis.basis: layer {basis} is not among the layers that are read: "
            f"{', '.join(map(str, plan.layers))}"
        )
    if not reduction.inductive:
        raise ConfigError(
            f"analysis.basis: {REDUCTIONS.name_of(reduction)} cannot be applied to points that it "
            "was not fitted on; use basis=layer or basis=all"
        )


def _check_points(
    prompts: PromptSet, plan: "Plan", reduction: Reduction, *, together: bool
) -> None:
    """Refuse too few points for the reduction; `together`: those of all layers count."""
    name = REDUCTIONS.name_of(reduction)
    if reduction.supervised:
        sizes = {group: len(prompts.members(group)) for group in prompts.group_names}
        if len(sizes) < 2 or min(sizes.values()) < 4:
            given = ", ".join(f"{size} ({group})" for group, size in sizes.items())
            raise ConfigError(
                f"prompts: reduction={name} is fitted on one half of each group and shown on "
                f"the other; it needs two groups of at least 4 prompts, not {given}"
            )
    fitted, _ = fitted_and_shown(prompts, plan.samples["prompt"].to_numpy(), reduction)
    count = len(fitted) * (len(plan.layers) if together else 1)
    if count < reduction.min_samples:
        fields = dataclasses.asdict(cast("Any", reduction)).items()
        raise ConfigError(
            f"prompts: reduction={name} ({', '.join(f'{k}={v}' for k, v in fields)}) needs at "
            f"least {reduction.min_samples} points, not {count}"
        )
