"""At which layers do neurons distinguish the groups: how many, how strongly, decoded how well?"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.order import folds
from interp.metrics.functional.points import Array
from interp.stats import permutations
from interp.stats.permutation_tests import PermutationTest, permutation_test
from interp.stats.two_sample import correct_p

from .contrast import Contrast
from .criterion import Criterion
from .probe import probe_accuracy


@dataclass(frozen=True, eq=False)
class NeuronTests:
    """The test of every neuron of a layer, [neuron] each; NaN where a neuron has no test.

    Attributes:
        statistic: positive where the first group is larger.
        p: two-sided.
        p_corrected: over the neurons of the layer.
        d: Cohen's d.
        significant: whether the corrected p is below the level.
    """

    statistic: Array
    p: Array
    p_corrected: Array
    d: Array
    significant: NDArray[np.bool_]

    @property
    def has_test(self) -> NDArray[np.bool_]:
        """Whether a neuron varies enough for a test, [neuron]."""
        return np.isfinite(self.p)


@dataclass(frozen=True, eq=False)
class LayerTests:
    """The test of every neuron at every layer, and its null under permuted labels.

    Attributes:
        neurons: the tests of each layer's neurons.
        significant: the number of significant neurons, [layer, 1 + permutation], the given labels
            first.
        effect_size: the mean of |d| over neurons, 0 where none has a test,
            [layer, 1 + permutation].
        probe_accuracy: of a linear probe, [layer, 1 + permutation].
        share_unchanged: the share of permutations that divide the sentences as the given labels do.
    """

    neurons: tuple[NeuronTests, ...]
    significant: Array
    effect_size: Array
    probe_accuracy: Array
    share_unchanged: float

    @property
    def quantities(self) -> dict[str, Array]:
        """The quantities that are compared with their null, [layer, 1 + permutation] each."""
        return {
            "significant": self.significant,
            "effect_size": self.effect_size,
            "probe_accuracy": self.probe_accuracy,
        }

    @cached_property
    def tests(self) -> dict[str, PermutationTest]:
        """The test of each quantity, corrected over layers."""
        return {
            name: permutation_test(values[:, 0], values[:, 1:], "greater")
            for name, values in self.quantities.items()
        }

    @property
    def n_permutations(self) -> int:
        """How many permutations the null has."""
        return int(self.significant.shape[1]) - 1

    @property
    def strongest(self) -> int:
        """The index of the layer with most significant neurons, of the largest effect if tied."""
        return int(np.lexsort((self.effect_size[:, 0], self.significant[:, 0]))[-1])


def compare_layers(
    tested: Contrast,
    sentences: Contrast,
    layers: tuple[int, ...],
    criterion: Criterion,
    n_permutations: int,
    rng: np.random.Generator,
) -> LayerTests:
    """Test every neuron of every layer, under the given labels and under permutations of them.

    The two sentences of a pair exchange their labels; where there are no pairs, labels are permuted
    among sentences. All layers share the permutations. The probe reads every sentence, with the
    label and the fold of the observation that it was averaged into.

    Args:
        tested: one row per observation, at least two per group; pairs where the test is of pairs.
        sentences: the sentences that these are the averages of.
        layers: their numbers.
        criterion: what makes a neuron significant.
        n_permutations: of the null.
        rng: for permutations and folds.
    """
    from tqdm import tqdm

    labels = _permuted_labels(tested, n_permutations, rng)
    row = sentences.rows_in(tested)
    held_out = folds(tested.observation[row], rng)
    values = np.empty((3, len(layers), len(labels)))
    neurons = []
    for i in tqdm(range(len(layers)), "testing", unit="layer", delay=2, disable=None):
        found = tested.compare(tested.points(i), criterion.test, labels)
        p_corrected = correct_p(found.p[0], criterion.correction)
        significant = p_corrected < criterion.alpha
        neurons.append(
            NeuronTests(found.statistic[0], found.p[0], p_corrected, found.d[0], significant)
        )
        has_test = neurons[-1].has_test
        # Rounding may differ between groups, by the length of their words: it must not be decoded.
        points = sentences.points(i)
        varying = points[:, points.std(0) > sentences.rounding(points)]
        values[:, i] = (
            criterion.significant(found.p[:, has_test]).sum(1),
            np.abs(found.d[:, has_test]).sum(1) / max(has_test.sum(), 1),
            probe_accuracy(varying, labels[:, row], held_out),
        )
    unchanged = (labels == labels[0]).all(1) | (labels != labels[0]).all(1)
    return LayerTests(tuple(neurons), values[0], values[1], values[2], float(unchanged.mean()))


def _permuted_labels(
    contrast: Contrast, n_permutations: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return which sentences are of the first group, the given ones first; [1 + b, sentence]."""
    if contrast.are_pairs:
        n_pairs = int(contrast.observation.max()) + 1
        swapped = permutations.draw_exchanges(n_pairs, n_permutations, rng)
        return contrast.in_first ^ swapped[:, contrast.observation]
    rows = np.arange(len(contrast.in_first))
    return permutations.draw_relabellings(rows, contrast.sizes[0], n_permutations, rng)
