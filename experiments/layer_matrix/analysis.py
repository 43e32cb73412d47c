"""Which layer is similar to which? Every layer compared with every layer, of one model or of two.

The points are the prompts (or their tokens) at each layer. Within one model each layer is compared
with every other one; with a reference model, with every layer of that one, each model with its own
tokenizer. The null permutes prompts, in the same way for all pairs of layers, so that p-values are
corrected for all pairs by the most extreme pair of each permutation.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric
from interp.models import ModelSource
from interp.reductions import REDUCTIONS, Reduction, refuse_supervised
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.runner.reference_model import Reference
from interp.stats import permutations
from interp.stats.calibration import check_settings, describe_score

from . import report
from .measures import LayerPoints, compare_layers

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan


@ANALYSES.register("layer_matrix")
@dataclass(frozen=True)
class LayerMatrix:
    """Similarity of every layer to every layer, with its permutation null.

    Attributes:
        permutations: permutations of the null; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a pair of layers counts as significant.
    """

    permutations: int = 199
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(
        self,
        prompts: PromptSet,
        samples: "pd.DataFrame",
        plan: "Plan",
        metric: Metric,
        reduction: Reduction,
        reference: Reference,
    ) -> None:
        """Refuse what cannot be compared.

        Raises:
            ConfigError: too few prompts, prompts of unequal numbers of tokens, a reference model
                whose tokens are others, an unpaired metric between two models, one that compares
                axes where they are not the same, or a reduction that is fitted on the groups.
        """
        refuse_supervised(reduction)
        _check_points(prompts, samples, metric, reduction)
        if reference.draws:
            _check_spaces(metric, plan, reference)
            reference.check_samples(samples)

    def __call__(
        self,
        activations: Activations,
        prompts: PromptSet,
        source: ModelSource,
        hook: HookPoint,
        position: Position,
        metric: Metric,
        reduction: Reduction,
        reference: Reference,
        rng: np.random.Generator,
    ) -> Result:
        """Compare every pair of layers.

        Raises:
            ConfigError: a layer at which the metric is not defined.
        """
        from . import figures

        own = LayerPoints(activations, source.title, hook, metric, reduction)
        other = own
        if reference.draws:
            captured = next(reference.activations())
            other = LayerPoints(captured, reference.title, hook, metric, reduction)
        prompt_of_row = activations.samples["prompt"].to_numpy()
        permuted: NDArray[Any]
        if metric.paired:
            n = len(prompt_of_row)
            permuted = permutations.draw_pairings(n, len(prompts), self.permutations, rng)
        else:
            permuted = permutations.draw_swaps(prompt_of_row, self.permutations, rng)
        found = compare_layers(own, other, permuted, self.alpha)

        reduced_by = REDUCTIONS.name_of(reduction)
        words = report.Comparison(
            model=source.title,
            reference=reference.title if reference.draws else "",
            position=described(position),
            prompts=len(prompts),
            hook=hook.label,
            metric=metric,
            reduction="" if reduced_by == "identity" else reduced_by,
            reader=activations.unembedding.name if activations.unembedding else "",
            permutations=len(permuted) - 1,
            alpha=self.alpha,
        )
        return Result(
            tested=(report.best_matches(found, words),),
            series={"best_layer": report.best_layers(found)},
            scalars=report.scalars(found, words),
            tables=report.tables(found, words),
            figures={"matrix": figures.heatmap(found, words)},
            finding=report.describe_finding(found, words),
            null=f"{words.permuted}; {describe_score(metric)}",
        )


def _check_points(
    prompts: PromptSet, samples: "pd.DataFrame", metric: Metric, reduction: Reduction
) -> None:
    """Refuse too few points, and prompts that cannot be permuted."""
    if len(prompts) < 2:
        raise ConfigError("prompts: there is one prompt; a null needs at least two")
    counts = samples.groupby("prompt").size()
    if metric.paired and counts.nunique() > 1:
        raise ConfigError(
            f"position: the null permutes prompts, which give {counts.min()} to {counts.max()} "
            "tokens; pool them (position=mean) or take one (position=last)"
        )
    name, reduced_by = METRICS.name_of(metric), REDUCTIONS.name_of(reduction)
    needs = {f"metric={name}": metric.min_samples, "the reduction": reduction.min_samples}
    for what, fewest in needs.items():
        if len(samples) < fewest:
            raise ConfigError(f"prompts: {what} needs at least {fewest} points, not {len(samples)}")
    if (metric.same_width or not metric.paired) and reduced_by != "identity":
        raise ConfigError(
            f"reduction: metric={name} compares axis by axis, or its null does, but {reduced_by} "
            "finds axes of its own for each layer; leave reduction=identity, or choose "
            "metric=linear_cka"
        )


def _check_spaces(metric: Metric, plan: "Plan", reference: Reference) -> None:
    """Refuse a metric that cannot compare the spaces of two models."""
    name = METRICS.name_of(metric)
    if not metric.paired:
        raise ConfigError(
            f"metric={name} does not pair points, so that between the spaces of two models it "
            "has no null; choose a paired one, such as metric=linear_cka"
        )
    if metric.same_width and (reference.space != plan.space or not plan.space):
        both = (space or "an unknown space" for space in (plan.space, reference.space))
        raise ConfigError(
            f"metric={name} compares axis by axis, but the models read {' and '.join(both)}; "
            "linear_cka, rsa and procrustes compare across spaces"
        )
