"""How alike are two groups of prompts at each layer, and is that more than chance?

One similarity a layer stands beside its permutation null. Paired metrics ask whether the pairs are
closer than the same prompts paired anew; unpaired metrics whether the two groups differ more than
two groups drawn from the same prompts. The same draws serve every layer, so that the most extreme
layer of each draw gives a p-value corrected for having looked at all layers.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from interp import figures, statistics
from interp.activations import Activations
from interp.analysis import ANALYSES
from interp.hooks import HookPoint
from interp.metrics import METRICS, Metric
from interp.models import ModelSource
from interp.positions import POSITIONS, Position
from interp.prompts import PromptSet
from interp.reductions import REDUCTIONS, Reduction
from interp.registry import ConfigError
from interp.result import Result, Series

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


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
        if self.permutations < 1:
            raise ConfigError(f"permutations must be at least 1, not {self.permutations}")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"alpha must lie between 0 and 1, not {self.alpha}")

    def check(
        self, prompts: PromptSet, samples: pd.DataFrame, metric: Metric, reduction: Reduction
    ) -> None:
        """Refuse prompts that the metric cannot compare.

        Raises:
            ConfigError: other than two groups, too few prompts, or a paired metric with groups
                that do not pair up, prompt by prompt and token by token.
        """
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
        fewest = min(int((samples["group"] == group).sum()) for group in groups)
        if fewest < metric.min_samples:
            raise ConfigError(
                f"prompts: metric={name} needs at least {metric.min_samples} points a group, "
                f"not {fewest}"
            )
        if len(samples) < reduction.min_samples:
            raise ConfigError(
                f"reduction: it needs at least {reduction.min_samples} points, not {len(samples)}"
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
        rng: np.random.Generator,
    ) -> Result:
        """Compare the groups at each layer, draw the null, and correct over layers.

        The peak is the layer whose value exceeds what chance gives by most, in the direction
        tested.
        """
        layers = activations.layers
        samples = activations.samples
        is_first = (samples["group"] == prompts.group_names[0]).to_numpy()
        rows = np.concatenate([np.flatnonzero(is_first), np.flatnonzero(~is_first)])
        split = int(is_first.sum())
        prompt_of_row = samples["prompt"].to_numpy()[rows]
        arrangements = self._paired if metric.paired else self._relabelled
        draws = arrangements(prompt_of_row, split, rng)

        observed = np.empty(len(layers))
        null = np.empty((len(layers), self.permutations))
        points = activations.of_samples(rows)
        for i, layer in enumerate(tqdm(layers, "comparing", unit="layer", delay=2, disable=None)):
            try:
                self._refuse_rounding(points[i], split, metric, activations.resolution)
                reduced = reduction.fit_transform(points[i])
                x, y = reduced[:split], reduced[split:]
                observed[i], null[i] = metric(x, y), metric.rearranged(x, y, draws)
            except ValueError as error:
                raise ConfigError(
                    f"{hook.label} {layer}: {error}; leave the layer out with hook.layers=[…], or "
                    "read another position"
                ) from error

        # Pairs may be closer than chance; groups may differ more than chance.
        towards: Literal["greater", "less"]
        towards = "greater" if metric.paired == metric.larger_is_closer else "less"
        test = statistics.permutation_test(observed, null, towards)
        significant = test.p_corrected < self.alpha
        excess = observed - test.null_mean
        peak = int((excess if towards == "greater" else -excess).argmax())

        groups = " and ".join(prompts.group_names)
        verdict = (
            f"{groups} {'are closer' if metric.paired else 'differ more'} than chance at "
            f"{_in_words(layers, significant)}"
        )
        finding = (
            f"{verdict} (p < {self.alpha:g}, corrected over layers). "
            f"The largest excess over chance is at layer {layers[peak]}: {metric.label} "
            f"{observed[peak]:.3f}, chance {test.null_mean[peak]:.3f} [{test.null_low[peak]:.3f}, "
            f"{test.null_high[peak]:.3f}], z = {test.z[peak]:.1f}, corrected p = "
            f"{test.p_corrected[peak]:.3g}."
        )
        if (smallest := self._smallest_p(prompts, metric)) >= self.alpha:
            finding += f" With so few prompts or draws no p can fall below {smallest:.2g}."
        beyond = observed < test.null_low if towards == "greater" else observed > test.null_high
        if beyond.any():
            finding += (
                f" At {_in_words(layers, beyond)} the value lies on the other side of the null, "
                "which this one-sided test does not count."
            )

        units = "prompts" if len(rows) == len(prompts) else "tokens"
        where = POSITIONS.name_of(position).replace("_", " ")
        reduced_by = REDUCTIONS.name_of(reduction)
        setting = " · ".join(
            [
                source.title,
                f"position: {where}",
                f"{split} and {len(rows) - split} {units}",
                *([reduced_by] if reduced_by != "identity" else []),
                f"{self.permutations} draws",
            ]
        )
        curve = figures.similarity_over_layers(
            layers,
            observed,
            test,
            significant,
            title=verdict,
            subtitle=setting,
            xlabel=f"layer ({hook.label})",
            ylabel=metric.label,
            null_label="95% of the null: "
            + ("prompts paired anew" if metric.paired else "group labels shuffled"),
            significant_label=f"p < {self.alpha:g}, corrected over layers",
            other_label=f"p ≥ {self.alpha:g}",
        )
        nulls = figures.null_distributions(
            layers,
            observed,
            null,
            titles=[f"Layer {layer}: {groups} against chance" for layer in layers],
            subtitle=setting,
            xlabel=metric.label,
        )
        series = {
            "similarity": observed,
            "null_mean": test.null_mean,
            "null_low": test.null_low,
            "null_high": test.null_high,
            "z": test.z,
            "p": test.p,
            "p_corrected": test.p_corrected,
        }
        return Result(
            series={key: Series.over(layers, values) for key, values in series.items()},
            scalars={
                "peak_layer": layers[peak],
                "peak_similarity": float(observed[peak]),
                "peak_excess": float(excess[peak]),
                "peak_z": float(test.z[peak]),
                "peak_p_corrected": float(test.p_corrected[peak]),
                "significant_layers": int(significant.sum()),
            },
            figures={"similarity": curve},
            images={"null_distribution": nulls},
            finding=finding,
        )

    @staticmethod
    def _refuse_rounding(points: Array, split: int, metric: Metric, resolution: float) -> None:
        """Refuse points that differ by rounding alone.

        In a causal model the same text before a token gives the same vector, up to rounding that
        depends on a prompt's length, and with it on its group: it would look like a finding.
        """
        spreads = []
        for cloud in (points[:split], points[split:]):
            spread = np.sqrt(((cloud - cloud.mean(0)) ** 2).sum(1).mean())
            spreads.append(spread <= resolution * np.sqrt((cloud**2).sum(1).mean()))
        if any(spreads) if metric.paired else all(spreads):
            raise ValueError("all points of a group coincide up to rounding")

    def _smallest_p(self, prompts: PromptSet, metric: Metric) -> float:
        """Return the smallest p that the draws and the number of arrangements allow."""
        first, second = (len(prompts.members(group)) for group in prompts.group_names)
        arrangements = math.factorial(first) if metric.paired else math.comb(first + second, first)
        return max(1 / (self.permutations + 1), 1 / arrangements)

    def _paired(self, prompt_of_row: Rows, split: int, rng: np.random.Generator) -> Rows:
        """Draw which prompt of the second group goes with which of the first; [draw, row]."""
        n_prompts = len(np.unique(prompt_of_row[split:]))
        tokens = split // n_prompts
        orders = statistics.permutations(n_prompts, self.permutations, rng)
        return (orders[:, :, None] * tokens + np.arange(tokens)).reshape(self.permutations, split)

    def _relabelled(
        self, prompt_of_row: Rows, split: int, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Draw which prompts form the first group; all tokens of a prompt go together."""
        prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
        in_first = np.isin(np.arange(len(prompts)), prompt_of_row[:split])
        labels = statistics.permutations(len(prompts), self.permutations, rng)
        return in_first[labels][:, prompt_of_row]


def _in_words(layers: tuple[int, ...], which: NDArray[np.bool_]) -> str:
    chosen = [layer for layer, yes in zip(layers, which, strict=True) if yes]
    if not chosen:
        return "no layer"
    if len(chosen) == len(layers) > 2:
        return f"all {len(layers)} layers"
    if len(chosen) > 3:
        return f"{len(chosen)} of {len(layers)} layers"
    return f"layer{'s' * (len(chosen) > 1)} {', '.join(map(str, chosen))}"
