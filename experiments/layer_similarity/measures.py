"""Similarity of two groups of points at each layer, its permutation null, and reference models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.metrics import Metric, TableMetric
from interp.metrics.functional.pairings import mean_over_pairs
from interp.reductions import Reduction
from interp.runner.analysis import at_layer
from interp.stats import permutation_tests, permutations
from interp.stats.calibration import Calibration, calibrate
from interp.stats.permutation_tests import PermutationTest

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TwoGroups:
    """The rows of the activations that belong to each of two groups of prompts.

    Attributes:
        names: of the groups.
        first: rows of the first group, [n1].
        second: rows of the second group, [n2].
        prompt_of_row: the prompt of each row, those of the first group first, [n1 + n2].
    """

    names: tuple[str, str]
    first: Rows
    second: Rows
    prompt_of_row: Rows

    @classmethod
    def of(cls, prompts: PromptSet, samples: "pd.DataFrame") -> "TwoGroups":
        """Return the rows of both groups of the prompts in the table of samples."""
        one, other = prompts.group_names
        group = samples["group"].to_numpy()
        first, second = np.flatnonzero(group == one), np.flatnonzero(group == other)
        prompt_of_row = samples["prompt"].to_numpy()[np.concatenate([first, second])]
        return cls((one, other), first, second, prompt_of_row)

    def permuted(self, paired: bool, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return the given arrangement and at most n permutations of it, as metrics take them.

        Where points are paired, which prompt of the second group belongs to which of the first is
        permuted; else the group labels of prompts are. The tokens of a prompt stay together.
        """
        if not paired:
            return permutations.draw_relabellings(self.prompt_of_row, len(self.first), n, rng)
        n_prompts = len(np.unique(self.prompt_of_row[: len(self.first)]))
        return permutations.draw_pairings(len(self.first), n_prompts, n, rng)


@dataclass(frozen=True, eq=False)
class GroupSimilarity:
    """The similarity of two groups at each layer.

    Attributes:
        calibration: values of the metric with their null, one per layer.
        tables: at each layer the metric of every pair of points, [n, n] each, with the given pairs
            on the diagonal; empty where the metric is no mean over pairs.
    """

    calibration: Calibration
    tables: tuple[Array, ...]


def compare_groups(
    activations: Activations,
    groups: TwoGroups,
    metric: Metric,
    reduction: Reduction,
    hook: HookPoint,
    permuted: NDArray[Any],
    alpha: float,
) -> GroupSimilarity:
    """Compute the similarity of the two groups at each layer, for every permutation.

    Args:
        activations: the points.
        groups: which rows are compared.
        metric: the similarity or distance.
        reduction: fitted at each layer on both groups together.
        hook: what errors call the layers by.
        permuted: the arrangements, the given one first; the same at every layer.
        alpha: the corrected p below which a layer is significant.

    Raises:
        ConfigError: a layer at which the metric is not defined.
    """
    from tqdm import tqdm

    layers, split = activations.layers, len(groups.first)
    rows = np.concatenate([groups.first, groups.second])
    values, identity = np.empty((len(layers), len(permuted))), np.empty(len(layers))
    tables: list[Array] = []
    for i, layer in enumerate(tqdm(layers, "comparing", unit="layer", delay=2, disable=None)):
        with at_layer(hook, layer, layers):
            degenerate = [activations.is_degenerate(i, of) for of in (groups.first, groups.second)]
            if any(degenerate) if metric.paired else all(degenerate):
                raise ValueError("all points of a group coincide up to rounding")
            reduced = reduction.estimator().fit_transform(activations.points(i, rows))
            x, y = metric.prepared(reduced[:split]), metric.prepared(reduced[split:])
            if isinstance(metric, TableMetric):
                tables.append(metric.table(x, y))
                values[i] = mean_over_pairs(tables[-1], permuted)
            else:
                values[i] = metric.evaluate_permutations([x], y, permuted)[0]
            identity[i] = metric.identity(y)
    calibration = calibrate(values[:, 0], values[:, 1:], identity, metric, alpha)
    return GroupSimilarity(calibration, tuple(tables))


@dataclass(frozen=True, eq=False)
class ReferenceComparison:
    """The same comparison in a reference model, for one or several seeds of its weights.

    Attributes:
        values: of the metric, [seed, layer].
        scores: the calibrated scores, [seed, layer].
        significant: the layers that are significant in the first seed's model, [layer].
        test: of the model's score, with the seeds' scores as its null; None for a single seed.
    """

    values: Array
    scores: Array
    significant: NDArray[np.bool_]
    test: PermutationTest | None

    @property
    def mean_value(self) -> Array:
        """The mean over seeds of the metric, [layer]."""
        return np.asarray(self.values.mean(0))

    @property
    def median_score(self) -> Array:
        """The median over seeds of the score, [layer].

        A mean would not do: where a null lies near identity a single score may be very large.
        """
        return np.asarray(np.median(self.scores, axis=0))


def compare_with_reference(
    own: Calibration, references: Sequence[Calibration], paired: bool
) -> ReferenceComparison:
    """Compare the model's scores with those of each seed of a reference model.

    Scores are compared, since the values themselves may depend on the architecture alone.

    Args:
        own: of the model.
        references: of each seed, at least one.
        paired: whether a larger score counts as extreme, as it does for paired metrics; else a
            smaller one.
    """
    values = np.array([one.observed for one in references])
    scores = np.array([one.score for one in references])
    test = None
    if len(references) > 1:
        tail: permutation_tests.Tail = "greater" if paired else "less"
        test = permutation_tests.permutation_test(own.score, scores.T, tail)
    return ReferenceComparison(values, scores, references[0].significant, test)
