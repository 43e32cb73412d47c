"""The neurons of one layer ranked by their p, and the test of sentences' mean activations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.two_sample import cohens_d_interval

from .contrast import Contrast
from .criterion import Criterion
from .layer_tests import NeuronTests

_MAX_RANKED = 50


@dataclass(frozen=True, eq=False)
class RankedNeurons:
    """The neurons of the smallest p at one layer, at most 50.

    Attributes:
        tests: the tests of all neurons of the layer.
        order: the indices of the ranked neurons, [rank].
        mean_first: their mean activation in the first group, [rank].
        mean_second: the same in the second group, [rank].
        d_low: the lower limit of the 95% interval of d, [rank].
        d_high: the upper limit, [rank].
    """

    tests: NeuronTests
    order: NDArray[np.intp]
    mean_first: Array
    mean_second: Array
    d_low: Array
    d_high: Array

    def __len__(self) -> int:
        return len(self.order)


def rank_neurons(
    tests: NeuronTests, contrast: Contrast, i: int, criterion: Criterion
) -> RankedNeurons:
    """Rank the tested neurons of the layer of index i; none where no neuron has a test.

    By p, which goes with the statistic where all neurons have the same degrees of freedom.
    """
    n_tested = int(tests.has_test.sum())
    order = np.lexsort((-np.abs(tests.statistic), tests.p))[:n_tested][:_MAX_RANKED]
    points = contrast.points(i)[:, order]
    low, high = d_interval(tests.d[order], contrast, criterion)
    return RankedNeurons(
        tests=tests,
        order=order,
        mean_first=points[contrast.in_first].mean(0),
        mean_second=points[~contrast.in_first].mean(0),
        d_low=low,
        d_high=high,
    )


def d_interval(d: Array, contrast: Contrast, criterion: Criterion) -> tuple[Array, Array]:
    """Return the limits of the 95% intervals of Cohen's d."""
    if not len(d):
        return d, d
    return cohens_d_interval(d, *contrast.sizes, paired=criterion.is_paired)


@dataclass(frozen=True)
class MeanTest:
    """One test of sentences' mean activations over neurons, uncorrected.

    Attributes:
        statistic: positive where the first group is larger.
        p: two-sided; NaN where the means do not vary by more than rounding.
    """

    statistic: float
    p: float


def compare_sentence_means(contrast: Contrast, i: int, criterion: Criterion) -> MeanTest | None:
    """Test whether the sentences' means at the layer of index i differ between the groups.

    None where there are too few sentences for a test.
    """
    if not contrast.can_be_tested:
        return None
    means = contrast.points(i).mean(1)
    found = contrast.compare(means[:, None], criterion.test, contrast.in_first[None])
    return MeanTest(float(found.statistic[0, 0]), float(found.p[0, 0]))
