"""Which layer is like which? Every layer against every layer, of one model or of two.

The points are the prompts (or their tokens) at each layer. Within one model a layer is held against
every other; with a reference model, against every layer of that one, each with its own tokenizer.
The null rearranges prompts, the same way for all pairs of layers, so that the most extreme pair of
each draw gives a p-value corrected for having looked at all of them.
"""

from collections.abc import Callable
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
from interp.results.primary_series import Headline
from interp.results.result import Result, Series
from interp.runner.analysis import ANALYSES, at_layer
from interp.runner.reference_model import Reference
from interp.stats import permutations
from interp.stats.calibration import calibrate, check_settings, describe_score

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan

# Bytes of points, all layers together, up to which each layer is made once and kept. Logits of many
# prompts take more: they are made a pair of layers at a time.
_HELD_AT_ONCE = 2**30


@ANALYSES.register("layer_matrix")
@dataclass(frozen=True)
class LayerMatrix:
    """Similarity of every layer to every layer, with its permutation null.

    Attributes:
        permutations: draws of the null; the smallest p is 1 / (permutations + 1).
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
        name = METRICS.name_of(metric)
        if len(prompts) < 2:
            raise ConfigError("prompts: there is one prompt; a null needs at least two")
        counts = samples.groupby("prompt").size()
        if metric.paired and counts.nunique() > 1:
            raise ConfigError(
                f"position: the null rearranges prompts, which give {counts.min()} to "
                f"{counts.max()} tokens; pool them (position=mean) or take one (position=last)"
            )
        needs = {f"metric={name}": metric.min_samples, "the reduction": reduction.min_samples}
        for what, fewest in needs.items():
            if len(samples) < fewest:
                raise ConfigError(
                    f"prompts: {what} needs at least {fewest} points, not {len(samples)}"
                )
        reduced_by = REDUCTIONS.name_of(reduction)
        if (metric.same_width or not metric.paired) and reduced_by != "identity":
            raise ConfigError(
                f"reduction: metric={name} compares axis by axis, or its null does, but "
                f"{reduced_by} finds axes of its own for each layer; leave reduction=identity, or "
                "choose metric=linear_cka"
            )
        if not reference.draws:
            return
        if not metric.paired:
            raise ConfigError(
                f"metric={name} does not pair points, so that between the spaces of two models it "
                "has no null; choose a paired one, such as metric=linear_cka"
            )
        if metric.same_width and (reference.space != plan.space or not plan.space):
            both = (space or "an unknown space" for space in (plan.space, reference.space))
            raise ConfigError(
                f"metric={name} compares axis by axis, but the models read "
                f"{' and '.join(both)}; linear_cka, "
                "rsa and procrustes compare across spaces"
            )
        if not reference.samples["prompt"].equals(samples["prompt"]):
            raise ConfigError(
                f"reference: {reference.title} gives other tokens than the model; pool them "
                "(position=mean) or take one (position=last)"
            )

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
        import pandas as pd
        from tqdm import tqdm

        from interp import plotting

        between = reference.draws > 0
        other = next(reference.activations()) if between else activations
        prompt_of_row = activations.samples["prompt"].to_numpy()
        draws: NDArray[Any]
        if metric.paired:
            draws = permutations.pairings(len(prompt_of_row), len(prompts), self.permutations, rng)
        else:
            draws = permutations.swaps(prompt_of_row, self.permutations, rng)

        # A layer of one model is itself, and most metrics need not hear of a pair twice.
        shape = (len(activations.layers), len(other.layers))
        asked = np.ones(shape, bool)
        if not between:
            asked = np.triu(asked, 1) if metric.symmetric else ~np.eye(len(asked), dtype=bool)
        if not asked.any():
            raise ConfigError("hook: one layer has no other to be held against; read more layers")

        y_at = self._prepared(other, reference.title or source.title, hook, metric, reduction)
        x_at = self._prepared(activations, source.title, hook, metric, reduction)
        width = other.points(0, np.arange(1)).shape[1]
        together = 8 * width * len(prompt_of_row) * sum(shape) <= _HELD_AT_ONCE
        if together:
            # The reference first: it is the model in memory.
            ys = [y_at(j) for j in range(shape[1])]
            xs = [x_at(i) for i in range(shape[0])] if between else ys
            x_at, y_at = xs.__getitem__, ys.__getitem__
        values = np.zeros((*shape, len(draws)))
        identity = np.zeros(shape[1])
        for j in tqdm(range(shape[1]), "comparing", unit="layer", delay=2, disable=None):
            y = y_at(j)
            wanted = np.flatnonzero(asked[:, j]).tolist()
            for block in [wanted] if together else [[i] for i in wanted]:
                if block:
                    with at_layer(hook, other.layers[j], other.layers):
                        values[block, j] = metric.evaluate_permutations([x_at(i) for i in block], y, draws)
            identity[j] = metric.identity(y)

        pairs = np.argwhere(asked)
        found = calibrate(
            values[asked][:, 0],
            values[asked][:, 1:],
            identity[pairs[:, 1]],
            metric,
            self.alpha,
        )
        pair_at = np.full(shape, -1)
        pair_at[asked] = np.arange(len(pairs))
        if not between and metric.symmetric:
            pair_at.T[asked] = np.arange(len(pairs))
        itself = pair_at < 0
        similarity = np.where(itself, identity, found.observed[pair_at])
        significant = itself | found.significant[pair_at]
        best = np.where(itself, -np.inf, found.score[pair_at]).argmax(1)
        best_pair = pair_at[np.arange(len(best)), best]

        rows, columns = activations.layers, other.layers
        count = int(found.significant[best_pair].sum())
        alike = "above chance" if metric.paired else "apart"
        top = int(found.score.argmax())
        i, j = pairs[top]
        of_reference = f" of {reference.title}" if between else ""
        finding = (
            f"{int(found.significant.sum())} of {len(pairs)} pairs of layers are {alike} "
            f"(p < {self.alpha:g}, corrected over all pairs). The highest score is that of layer "
            f"{rows[i]} and layer {columns[j]}{of_reference}: {metric.label} "
            f"{found.observed[top]:.3f}, chance {found.test.null_mean[top]:.3f}, score "
            f"{found.score[top]:.2f}, corrected p = {found.test.p_corrected[top]:.3g}."
        )
        if between:
            title = f"{count} of {len(rows)} layers have a match {alike} in {reference.title}"
        else:
            near = int((np.abs(np.subtract(np.array(columns)[best], rows)) == 1).sum())
            title = f"The best match of {near} of {len(rows)} layers is a neighbouring one"
        finding += f" {title}."
        if found.smallest_p >= self.alpha:
            title = "Too few prompts or draws to tell which layers are alike"
        finding += found.describe_smallest_p(self.alpha)

        reduced_by, reader = REDUCTIONS.name_of(reduction), activations.unembedding
        null_name = "prompts paired anew" if metric.paired else "layers swapped prompt by prompt"
        heatmap = plotting.layer_matrix(
            rows,
            columns,
            similarity,
            significant,
            np.column_stack([np.arange(len(rows)), best]),
            title=title,
            subtitle=" · ".join(
                [
                    source.title,
                    f"position: {described(position)}",
                    f"{len(prompts)} prompts",
                    *([f"read through the {reader.name}"] if reader else []),
                    *([reduced_by] if reduced_by != "identity" else []),
                    f"null: {null_name}, {found.null.shape[1]} draws",
                ]
            ),
            ylabel=f"layer of {source.title} ({hook.label})",
            xlabel=f"layer of {reference.title if between else source.title} ({hook.label})",
            framed_label="highest score of a row",
            label=metric.label,
            faint_label=f"p ≥ {self.alpha:g}, corrected over {len(pairs)} pairs",
            larger_is_closer=metric.larger_is_closer,
        )
        numbered: dict[str, object] = {
            "layer": [rows[i] for i, _ in pairs],
            "other": [columns[j] for _, j in pairs],
        }
        series = {
            "best_layer": np.array(columns)[best],
            "best_value": found.observed[best_pair],
            "best_score": found.score[best_pair],
            "best_p_corrected": found.test.p_corrected[best_pair],
            "best_null_mean": found.test.null_mean[best_pair],
            "best_null_low": found.test.null_low[best_pair],
            "best_null_high": found.test.null_high[best_pair],
        }
        pair_table = found.summary(numbered, metric.label)
        best_table = pair_table.iloc[best_pair].assign(layer=rows, other=series["best_layer"])
        matrix = pd.DataFrame(similarity, rows, list(map(str, columns)))
        matrix = matrix.rename_axis("layer").reset_index()
        return Result(
            series={key: Series.over(rows, values) for key, values in series.items()},
            scalars={
                "significant_pairs": int(found.significant.sum()),
                **({"matched_layers": count} if metric.paired else {}),
                "closest_score": float(found.score[top]),
            },
            tables={
                "pairs": pair_table,
                "summary": best_table.rename(columns={"other": f"best match{of_reference}"}),
                "matrix": matrix,
            },
            figures={"matrix": heatmap},
            finding=finding,
            null=f"{null_name}; {describe_score(metric)}",
            headlines=(
                Headline(
                    "best_value",
                    f"{metric.label}, to the layer that is most alike",
                    "best_",
                    direction=found.tail,
                    alpha=self.alpha,
                ),
            ),
        )

    @staticmethod
    def _prepared(
        activations: Activations,
        title: str,
        hook: HookPoint,
        metric: Metric,
        reduction: Reduction,
    ) -> Callable[[int], Any]:
        """Return what gives a layer's points in the metric's own form, by the layer's index."""
        everything = np.arange(len(activations.samples))

        def at(i: int) -> Any:
            with at_layer(hook, activations.layers[i], activations.layers, title):
                if activations.is_degenerate(i, everything):
                    raise ValueError("all points coincide up to rounding")
                points = activations.points(i, everything)
                return metric.prepared(reduction.estimator().fit_transform(points))

        return at
