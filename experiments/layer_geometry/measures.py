"""Whether the points of each layer hold an order, and whether their groups lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.design import units_and_parts
from interp.data.prompts import PromptSet
from interp.metrics.functional import separation
from interp.metrics.functional.order import folds, rank_correlations, ridge_r2
from interp.metrics.functional.points import Array, in_few_dimensions
from interp.stats import permutations
from interp.stats.permutation_tests import PermutationTest, corrected_p, permutation_test
from interp.stats.tested_series import TestedSeries

from .layer_projections import LayerProjections
from .ordering import Ordering


@dataclass(frozen=True)
class TestSettings:
    """How a statistic is tested.

    Attributes:
        permutations: the number of permutations of the null.
        alpha: the corrected p below which a layer is significant.
    """

    __test__ = False  # pytest collects classes whose names begin with "Test"

    permutations: int
    alpha: float


def centred_clouds(activations: Activations) -> list[Array]:
    """Return each layer's points around their mean, in as few dimensions as they span."""
    rows = np.arange(len(activations.samples))
    layers = (activations.points(i, rows) for i in range(len(activations.layers)))
    return [in_few_dimensions(points - points.mean(0))[0] for points in layers]


@dataclass(frozen=True, eq=False)
class OrderTests:
    """How closely the points of each layer follow an order.

    Attributes:
        order: what they are tested for.
        correlations: Spearman's correlation of each component with the order, [layer, component].
        component_p: the p of each component, corrected for all layers and for choosing the best
            component, [layer, component].
        component: the largest absolute correlation of a layer's components, with its null.
        probe: the cross-validated R² of a ridge regression of the order on all dimensions, with
            its null; at least 0.
        smallest_p: the smallest p that the permutations of the order allow.
    """

    order: Ordering
    correlations: Array
    component_p: Array
    component: TestedSeries
    probe: TestedSeries
    smallest_p: float

    @property
    def permuted(self) -> str:
        """What the null permutes."""
        return f"{self.order.name} permuted among {self.order.units_are}"

    @property
    def best(self) -> NDArray[np.intp]:
        """The index of the component with the largest absolute correlation, [layer]."""
        return np.asarray(np.abs(self.correlations).argmax(1))


def measure_order(
    projections: LayerProjections,
    clouds: Sequence[Array],
    order: Ordering,
    layers: tuple[int, ...],
    settings: TestSettings,
    rng: np.random.Generator,
) -> OrderTests:
    """Test each layer for the order: along one component, and along any direction.

    The null permutes the order among its units, in all layers alike. That of a component is the
    best component under each permutation, so that p accounts for having chosen the best.

    Args:
        projections: the components of each layer.
        clouds: the points of each layer in all dimensions, [n, d] each.
        order: what is looked for.
        layers: their numbers.
        settings: of the tests.
        rng: where permutations and folds come from.
    """
    counted = np.flatnonzero(order.counted)
    unit_of_row = order.unit_of_row[counted]
    orders = permutations.draw_reorderings(
        order.values[counted],
        unit_of_row,
        order.part_of_row[counted],
        settings.permutations,
        rng,
    )
    held_out = folds(unit_of_row, rng)
    # Which of the projected points are counted, and where they stand among the counted ones.
    _, projected, among = np.intersect1d(projections.rows, counted, return_indices=True)
    of_shown = orders[:, among]
    # [layer, 1 + permutation, component], and [layer, 1 + permutation].
    rho = np.array([rank_correlations(x[projected], of_shown) for x in projections.components])
    r2 = np.array([ridge_r2(x[counted], orders, held_out) for x in clouds])
    # Below 0 a probe predicts nothing, and how far below would only widen the null.
    r2 = np.maximum(r2, 0)
    best = np.abs(rho).max(2)
    observed, null = best[:, 0], best[:, 1:]
    return OrderTests(
        order=order,
        correlations=rho[:, 0],
        component_p=corrected_p(np.abs(rho[:, 0]), observed, null, "greater"),
        component=_tested_series(
            "order_rho", f"|ρ| with {order.name}, best component", layers, best, settings
        ),
        probe=_tested_series(
            "order_r2", f"R² of a probe for {order.name}, at least 0", layers, r2, settings
        ),
        smallest_p=_share_of_equal_orders(of_shown),
    )


@dataclass(frozen=True, eq=False)
class SeparationTests:
    """How far the groups of points lie apart at each layer.

    Attributes:
        silhouette: the mean silhouette coefficient, with its null.
        variance_between: the share of the variance that lies between the groups.
        accuracy: how often a held-out prompt lies nearest to the mean of its own group.
        permuted: what the null permutes.
        smallest_p: the smallest p that the permutations of the labels allow.
    """

    silhouette: TestedSeries
    variance_between: TestedSeries
    accuracy: TestedSeries
    permuted: str
    smallest_p: float

    @property
    def series(self) -> tuple[TestedSeries, ...]:
        """All three measures, the primary one first."""
        return self.silhouette, self.variance_between, self.accuracy


def measure_separation(
    clouds: Sequence[Array],
    prompts: PromptSet,
    prompt_of_row: NDArray[np.intp],
    layers: tuple[int, ...],
    settings: TestSettings,
    rng: np.random.Generator,
) -> SeparationTests:
    """Test how far the groups lie apart at each layer, in all dimensions.

    Args:
        clouds: the points of each layer, [n, d] each.
        prompts: at least two groups of two prompts.
        prompt_of_row: the prompt of each point, [n].
        layers: their numbers.
        settings: of the tests.
        rng: where permutations come from.
    """
    from tqdm import tqdm

    labels, permuted = _permuted_labels(prompts, prompt_of_row, settings, rng)
    measured = np.empty((3, len(layers), len(labels)))
    for i, x in enumerate(tqdm(clouds, "separation", unit="layer", delay=2, disable=None)):
        measured[:, i] = (
            separation.silhouette_of_points(x, labels),
            separation.variance_between(x, labels),
            separation.nearest_centroid_accuracy(x, labels, prompt_of_row),
        )
    names = {
        "silhouette": "silhouette",
        "variance_between": "share of variance between groups",
        "centroid_accuracy": "nearest-centroid accuracy",
    }
    silhouette, variance_between, accuracy = (
        _tested_series(name, label, layers, values, settings)
        for (name, label), values in zip(names.items(), measured, strict=True)
    )
    smallest = _share_of_equal_labels(labels)
    return SeparationTests(silhouette, variance_between, accuracy, permuted, smallest)


def _tested_series(
    name: str, label: str, layers: tuple[int, ...], values: Array, settings: TestSettings
) -> TestedSeries:
    """Return values [layer, 1 + permutation], the observed ones first, as a tested series."""
    observed, null = values[:, 0], values[:, 1:]
    test: PermutationTest = permutation_test(observed, null, "greater")
    return TestedSeries.from_test(
        name,
        label,
        layers,
        observed,
        test,
        direction="greater",
        alpha=settings.alpha,
        n_permutations=null.shape[1],
    )


def _permuted_labels(
    prompts: PromptSet,
    prompt_of_row: NDArray[np.intp],
    settings: TestSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], str]:
    """Return labels [1 + permutation, row], the given ones first, and how they are permuted.

    Where all groups are of one size, labels are permuted within each pair of i-th prompts: a shift
    that all pairs share would otherwise be lost among the differences between pairs. Where there
    are no pairs, or too few for any p below alpha, labels are permuted among prompts, which is
    valid for pairs too.
    """
    groups = [prompts.group_names.index(group) for group in prompts.groups]
    given = np.array(groups)[prompt_of_row]
    unit, part = units_and_parts(prompts)
    sets = len(np.unique(part))
    if sets > 1:
        labels = permutations.draw_labellings_within_units(
            given, unit[prompt_of_row], settings.permutations, rng
        )
        if _share_of_equal_labels(labels) < settings.alpha:
            within = "pairs" if sets == 2 else "sets"
            return labels, f"labels permuted within {within} of prompts"
    labels = permutations.draw_labellings(given, prompt_of_row, settings.permutations, rng)
    return labels, "labels permuted among prompts"


def _share_of_equal_orders(orders: Array) -> float:
    """Return the share of orders [b, n] that have the ranks of the first one, or their reverse."""
    from scipy.stats import rankdata

    ranks = rankdata(orders, axis=1)
    reverse = ranks.shape[1] + 1 - ranks[0]
    return float(((ranks == ranks[0]).all(1) | (ranks == reverse).all(1)).mean())


def _share_of_equal_labels(labels: NDArray[np.intp]) -> float:
    """Return the share of labellings [b, n] that divide the rows as the first one does."""
    # Each group is identified by its first row, so that its number does not matter.
    first = np.array([np.unique(row, return_index=True)[1][row] for row in labels])
    return float((first == first[0]).all(1).mean())
