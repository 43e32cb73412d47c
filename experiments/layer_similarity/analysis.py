"""How alike are two groups of prompts at each layer, and is that more than chance?

One similarity a layer stands beside its permutation null. Paired metrics ask whether the pairs are
closer than the same prompts paired anew; unpaired metrics whether the two groups differ more than
two groups drawn from the same prompts. The same draws serve every layer, so that the most extreme
layer of each draw gives a p-value corrected for having looked at all layers. With a reference model
drawn at random, a second null says how much of it is there without training.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric, TableMetric
from interp.metrics.functional.pairings import mean_over_pairs
from interp.models import ModelSource
from interp.reductions import REDUCTIONS, Reduction, refuse_supervised
from interp.results.result import Result, Series
from interp.runner.analysis import ANALYSES, at_layer
from interp.runner.reference_model import Reference
from interp.stats import permutation_tests, permutations
from interp.stats.calibration import (
    Calibration,
    calibrate,
    check_settings,
    describe_layers,
    describe_score,
)

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

# More points than there are pixels for are not drawn pair by pair.
_LARGEST_TABLE = 300


@ANALYSES.register("layer_similarity")
@dataclass(frozen=True)
class LayerSimilarity:
    """One similarity a layer between two groups of prompts, with its permutation null.

    Attributes:
        permutations: draws of the null; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a layer counts as significant.
    """

    permutations: int = 999
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
        """Refuse prompts that the metric cannot compare.

        Raises:
            ConfigError: other than two groups, too few prompts, a paired metric with groups that
                do not pair up, prompt by prompt and token by token, a reduction that is fitted on
                the groups, or a reference model with other layers or tokens.
        """
        refuse_supervised(reduction)
        groups = prompts.group_names
        if len(groups) != 2:
            raise ConfigError(
                f"prompts: layer_similarity compares two groups, not {len(groups)}: "
                f"{', '.join(groups)}; a prompt's group is its key in prompts.groups, or a file's "
                "group column"
            )
        name = METRICS.name_of(metric)
        sizes = [len(prompts.members(group)) for group in groups]
        if metric.paired and sizes[0] != sizes[1]:
            raise ConfigError(
                f"prompts: metric={name} pairs the prompts of both groups, which have "
                f"{sizes[0]} ({groups[0]}) and {sizes[1]} ({groups[1]})"
            )
        for group, size in zip(groups, sizes, strict=True):
            if size < 2:
                raise ConfigError(
                    f"prompts: group {group!r} has one prompt; a null needs at least two"
                )
        counts = samples.groupby("prompt").size()
        if metric.paired and counts.nunique() > 1:
            raise ConfigError(
                f"position: metric={name} pairs tokens, but prompts give {counts.min()} to "
                f"{counts.max()} of them; pool them (position=mean) or take one (position=last)"
            )
        # Shuffled groups must have enough points too, also where the shortest prompts meet.
        fewest = int(np.sort(counts)[: min(sizes)].sum())
        if fewest < metric.min_samples:
            raise ConfigError(
                f"prompts: metric={name} needs at least {metric.min_samples} points a group, "
                f"not {fewest}; give more prompts{_or_lower(metric)}"
            )
        if len(samples) < reduction.min_samples:
            raise ConfigError(
                f"reduction: it needs at least {reduction.min_samples} points, not {len(samples)}"
            )
        if not reference.draws:
            return
        if reference.layers != plan.layers:
            raise ConfigError(
                f"reference: {reference.title} has {len(reference.layers)} layers to read, the "
                f"model {len(plan.layers)}; analysis=layer_matrix compares models of unequal depth"
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
        """Compare the two groups at each layer.

        Raises:
            ConfigError: a layer at which the metric is not defined, say because all points
                coincide.
        """
        from tqdm import tqdm

        from interp import plotting

        from . import figures

        group = activations.samples["group"].to_numpy()
        first, second = (np.flatnonzero(group == name) for name in prompts.group_names)
        prompt_of_row = activations.samples["prompt"].to_numpy()[np.concatenate([first, second])]
        draws: NDArray[Any]
        if metric.paired:
            n_prompts = len(prompts.members(prompts.group_names[0]))
            draws = permutations.pairings(len(first), n_prompts, self.permutations, rng)
        else:
            draws = permutations.relabellings(prompt_of_row, len(first), self.permutations, rng)

        def measured(found: Activations) -> tuple[Calibration, list[Array]]:
            return self._measured(found, first, second, metric, reduction, hook, draws)

        found, tables = measured(activations)
        drawn = tqdm(
            reference.activations(),
            "drawing the reference",
            reference.draws,
            delay=2,
            disable=None,
            leave=False,
        )
        twins = [measured(twin)[0] for twin in drawn]

        layers, test = activations.layers, found.test
        groups = " and ".join(prompts.group_names)
        peak = int(found.excess.argmax())
        verdict = (
            f"{groups} {'are closer' if metric.paired else 'differ more'} than chance at "
            f"{describe_layers(layers, found.significant)}"
        )
        finding = (
            f"{verdict} (p < {self.alpha:g}, corrected over layers). "
            f"Furthest from chance that way is layer {layers[peak]}: {metric.label} "
            f"{found.observed[peak]:.3f}, chance {test.null_mean[peak]:.3f} "
            f"[{test.null_low[peak]:.3f}, {test.null_high[peak]:.3f}], z = {test.z[peak]:.1f}, "
            f"corrected p = {test.p_corrected[peak]:.3g}."
        )
        finding += found.describe_smallest_p(self.alpha)
        finding += found.describe_opposite_tail(layers, metric, self.alpha)

        reader = activations.unembedding
        if reader:
            finding += f" Read through the {reader.name}."
        n = [int((activations.samples["group"] == group).sum()) for group in prompts.group_names]
        units = "prompts" if sum(n) == len(prompts) else "tokens"
        reduced_by = REDUCTIONS.name_of(reduction)
        setting = " · ".join(
            [
                source.title,
                f"position: {described(position)}",
                f"{n[0]} and {n[1]} {units}",
                *([f"read through the {reader.name}"] if reader else []),
                *([reduced_by] if reduced_by != "identity" else []),
                f"{found.null.shape[1]} draws",
            ]
        )
        null_name = "prompts paired anew" if metric.paired else "group labels shuffled"
        xlabel = f"layer ({hook.label})"
        too_few = "too few prompts or draws to tell from chance"
        curve = plotting.similarity_over_layers(
            layers,
            found.observed,
            test,
            found.significant,
            found.score,
            np.array([twin.score for twin in twins]).reshape(len(twins), len(layers)),
            title=verdict if found.smallest_p < self.alpha else f"{groups}: {too_few}",
            subtitle=setting,
            xlabel=xlabel,
            ylabel=metric.label,
            null_label=f"95% of the null: {null_name}",
            significant_label=f"p < {self.alpha:g}, corrected over layers",
            other_label=f"p ≥ {self.alpha:g}, corrected over layers",
            label=source.title,
            reference_label=_drawn(reference),
        )
        nulls = figures.null_distributions(
            layers,
            found.observed,
            found.null,
            titles=[f"Layer {layer}: {groups} against chance" for layer in layers],
            subtitle=setting,
            xlabel=metric.label,
        )
        images = {"null_distribution": nulls}
        if tables and n[0] <= _LARGEST_TABLE:
            images["pairs"] = plotting.pair_tables(
                layers,
                tables,
                titles=[f"Layer {layer}: every prompt with every other" for layer in layers],
                subtitle=setting,
                xlabel=f"{units} of {prompts.group_names[1]}",
                ylabel=f"{units} of {prompts.group_names[0]}",
                label=metric.label,
            )
        result = Result(
            series=found.series(layers),
            scalars={
                "peak_layer": layers[peak],
                "peak_value": float(found.observed[peak]),
                "peak_excess": float(found.observed[peak] - test.null_mean[peak]),
                "peak_z": float(test.z[peak]),
                "peak_p_corrected": float(test.p_corrected[peak]),
                "peak_score": float(found.score[peak]),
                "significant_layers": int(found.significant.sum()),
            },
            tables={"summary": found.summary({"layer": layers}, metric.label)},
            figures={"similarity": curve},
            images=images,
            finding=finding,
            null=f"{null_name}; {describe_score(metric)}",
            headlines=(found.headline(metric.label, self.alpha),),
        )
        return self._against_reference(result, found, twins, reference, metric) if twins else result

    def _measured(
        self,
        activations: Activations,
        first: Rows,
        second: Rows,
        metric: Metric,
        reduction: Reduction,
        hook: HookPoint,
        draws: NDArray[Any],
    ) -> tuple[Calibration, list[Array]]:
        """Hold the groups against each other at each layer, under every arrangement.

        Returns the calibrated values, and the table of every pair of points at each layer, where
        the metric is a mean over pairs.
        """
        from tqdm import tqdm

        layers = activations.layers
        values, identity = np.empty((len(layers), len(draws))), np.empty(len(layers))
        rows, split = np.concatenate([first, second]), len(first)
        tables: list[Array] = []

        def compare(i: int) -> None:
            alike = [activations.is_degenerate(i, group) for group in (first, second)]
            if any(alike) if metric.paired else all(alike):
                raise ValueError("all points of a group coincide up to rounding")
            reduced = reduction.estimator().fit_transform(activations.points(i, rows))
            x, y = metric.prepared(reduced[:split]), metric.prepared(reduced[split:])
            if isinstance(metric, TableMetric):
                tables.append(metric.table(x, y))
                values[i] = mean_over_pairs(tables[-1], draws)
            else:
                values[i] = metric.evaluate_permutations([x], y, draws)[0]
            identity[i] = metric.identity(y)

        for i, layer in enumerate(tqdm(layers, "comparing", unit="layer", delay=2, disable=None)):
            with at_layer(hook, layer, layers):
                compare(i)
        found = calibrate(values[:, 0], values[:, 1:], identity, metric, self.alpha)
        return found, tables

    def _against_reference(
        self,
        result: Result,
        found: Calibration,
        twins: list[Calibration],
        reference: Reference,
        metric: Metric,
    ) -> Result:
        """Add what the reference model gives, and a test where it was drawn several times."""
        import pandas as pd

        layers = result.series["score"].layers
        values, scores = (
            np.array([getattr(twin, name) for twin in twins]) for name in ("observed", "score")
        )
        # Where a null lies near identity a single score may be enormous.
        middle = np.median(scores, axis=0)
        series = {"reference_value": values.mean(0), "reference_score": middle}
        columns = {
            f"{metric.label} (reference, mean)": values.mean(0),
            "score (reference, median)": middle,
        }
        draws = pd.DataFrame(scores, columns=[str(layer) for layer in layers])
        scalars = dict(result.scalars)
        if len(twins) > 1:
            # Scores, since a similarity's height alone may come from the architecture.
            test = permutation_tests.permutation_test(
                found.score, scores.T, "greater" if metric.paired else "less"
            )
            beyond = test.p_corrected < self.alpha
            series |= {
                "reference_score_low": scores.min(0),
                "reference_score_high": scores.max(0),
                "reference_p_corrected": test.p_corrected,
            }
            columns["p (against reference)"] = test.p_corrected
            scalars["layers_beyond_reference"] = int(beyond.sum())
            said = (
                f" The score lies {'above' if metric.paired else 'below'} that of "
                f"{_drawn(reference)}, at {describe_layers(layers, beyond)} (p < {self.alpha:g}, "
                "corrected over layers)."
            )
            if 1 / (len(twins) + 1) >= self.alpha:
                said = (
                    f" {len(twins)} draws of {reference.title} are too few to lie beyond at p < "
                    f"{self.alpha:g}; give reference_draws={math.floor(1 / self.alpha)} or more."
                )
        else:
            said = (
                f" In {reference.title} they {'are closer' if metric.paired else 'differ more'} "
                f"than chance at {describe_layers(layers, twins[0].significant)}."
            )
        return dataclasses.replace(
            result,
            series=result.series | {key: Series.over(layers, v) for key, v in series.items()},
            scalars=scalars,
            tables={
                **result.tables,
                "summary": result.tables["summary"].assign(**columns),
                "reference_scores": draws.rename_axis("draw").reset_index(),
            },
            finding=result.finding + said,
        )


def _drawn(reference: Reference) -> str:
    if reference.draws < 2:
        return reference.title
    return f"{reference.title}, {reference.draws} draws"


def _or_lower(metric: Metric) -> str:
    known = [name for name in ("components", "k", "folds") if hasattr(metric, name)]
    return f", or lower metric.{known[0]}" if known else ""
