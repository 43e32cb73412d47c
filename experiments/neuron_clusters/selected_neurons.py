"""The neurons that a test selects, on sentences that had no part in the selection."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from interp.stats.two_sample import compare_groups

from .contrast import Contrast
from .criterion import Criterion

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SelectedNeurons:
    """Neurons that a test has selected, on sentences of both groups.

    Attributes:
        values: their activations, float64 [sentence, neuron].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the independent observation that it belongs to, [sentence].
        neurons: the names of the neurons, [neuron].
        t: the statistic that each was selected by, on the selecting sentences, [neuron].
        groups: the names of both groups.
        same_sentences: whether the neurons were selected on these sentences.
    """

    values: Array
    in_first: NDArray[np.bool_]
    observation: NDArray[np.intp]
    neurons: tuple[str, ...]
    t: Array
    groups: tuple[str, str]
    same_sentences: bool

    def __len__(self) -> int:
        return len(self.neurons)

    def subset(self, which: NDArray[np.intp]) -> "SelectedNeurons":
        """Return the neurons of the given indices."""
        return replace(
            self,
            values=self.values[:, which],
            neurons=tuple(self.neurons[i] for i in which),
            t=self.t[which],
        )

    def strongest(self, most: int) -> "SelectedNeurons":
        """Return at most so many neurons, those of the largest |t|, in their order."""
        order = np.argsort(-np.abs(self.t), kind="stable")
        return self.subset(np.sort(order[:most]))


def select_neurons(
    tested: Contrast,
    sentences: Contrast,
    i: int,
    criterion: Criterion,
    split_half: bool,
    rng: np.random.Generator,
) -> SelectedNeurons:
    """Select the significant neurons of one layer, by half of the observations or by all.

    With fewer than two sentences per group to select by, no neuron is selected.

    Args:
        tested: one row per observation.
        sentences: the sentences that these are the averages of.
        i: the index of the layer.
        criterion: what makes a neuron significant.
        split_half: whether to return only the sentences of the other half.
        rng: for the halves.
    """
    points, everyone = tested.points(i), np.ones(len(tested.in_first), bool)
    selecting = _half(tested, rng) if split_half else everyone
    in_first, observation = tested.in_first[selecting], tested.observation[selecting]
    t, keep = np.zeros(points.shape[1]), np.zeros(points.shape[1], bool)
    if min(in_first.sum(), (~in_first).sum()) > 1:
        found = compare_groups(
            criterion.test, points[selecting], in_first[None], observation, tested.rounding(points)
        )
        t, keep = found.statistic[0], criterion.significant(found.p[0])
    shown = (~selecting if split_half else everyone)[sentences.rows_in(tested)]
    return SelectedNeurons(
        values=sentences.points(i)[shown][:, keep],
        in_first=sentences.in_first[shown],
        observation=sentences.observation[shown],
        neurons=tuple(name for name, yes in zip(sentences.neurons, keep, strict=True) if yes),
        t=t[keep],
        groups=sentences.groups,
        same_sentences=not split_half,
    )


def _half(contrast: Contrast, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw half of the observations, of pairs or of each group; [sentence]."""
    kind = observation_kinds(contrast.observation, contrast.in_first)
    drawn = np.zeros(len(kind), bool)
    for each in np.unique(kind):
        order = rng.permutation(np.flatnonzero(kind == each))
        drawn[order[: -(-len(order) // 2)]] = True
    return drawn[contrast.observation]


def observation_kinds(
    observation: NDArray[np.intp], in_first: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Return the groups of each observation's sentences: 1, 2, or 3 for both; [observation].

    Args:
        observation: of each sentence, 0, 1, …, [sentence].
        in_first: whether it is of the first group, [sentence].
    """
    return np.bincount(observation, weights=np.where(in_first, 1, 2)).astype(np.intp)
