"""The neurons that a test chooses, over sentences that had no part in choosing them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.stats.two_sample import compared

from .contrast import Contrast
from .criterion import Criterion

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Neurons that a test has chosen, over sentences of both groups.

    Attributes:
        values: their activations, float64 [sentence, neuron].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the independent observation that it belongs to, [sentence].
        neurons: what the neurons are called, [neuron].
        t: the statistic that each was chosen for, on the sentences that chose them, [neuron].
        groups: the names of both groups.
        same_sentences: whether the sentences are those that chose the neurons.
    """

    values: Array
    in_first: NDArray[np.bool_]
    observation: NDArray[np.intp]
    neurons: tuple[str, ...]
    t: Array
    groups: tuple[str, str]
    same_sentences: bool


def chosen(
    tested: Contrast,
    sentences: Contrast,
    i: int,
    criterion: Criterion,
    split_half: bool,
    rng: np.random.Generator,
) -> Chosen:
    """Choose the significant neurons of one layer, by one half of the observations or by all.

    Where there are fewer than two sentences a group to choose by, none is chosen.

    Args:
        tested: an observation a row.
        sentences: the sentences that these are the averages of.
        i: the index of the layer.
        criterion: what makes a neuron significant.
        split_half: whether the sentences that are returned are those of the other half.
        rng: where the halves come from.
    """
    points, everyone = tested.points(i), np.ones(len(tested.in_first), bool)
    choosing = _half(tested, rng) if split_half else everyone
    in_first, observation = tested.in_first[choosing], tested.observation[choosing]
    t, keep = np.zeros(points.shape[1]), np.zeros(points.shape[1], bool)
    if min(in_first.sum(), (~in_first).sum()) > 1:
        found = compared(
            criterion.test, points[choosing], in_first[None], observation, tested.rounding(points)
        )
        t, keep = found.statistic[0], criterion.significant(found.p[0])
    shown = (~choosing if split_half else everyone)[sentences.rows_in(tested)]
    return Chosen(
        values=sentences.points(i)[shown][:, keep],
        in_first=sentences.in_first[shown],
        observation=sentences.observation[shown],
        neurons=tuple(name for name, yes in zip(sentences.neurons, keep, strict=True) if yes),
        t=t[keep],
        groups=sentences.groups,
        same_sentences=not split_half,
    )


def _half(contrast: Contrast, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw half of the observations, of pairs or of each group; returns [sentence]."""
    kind = kinds(contrast.observation, contrast.in_first)
    drawn = np.zeros(len(kind), bool)
    for each in np.unique(kind):
        order = rng.permutation(np.flatnonzero(kind == each))
        drawn[order[: -(-len(order) // 2)]] = True
    return drawn[contrast.observation]


def kinds(observation: NDArray[np.intp], in_first: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return which groups each observation has a sentence of: 1, 2, or 3 for both; [observation].

    Args:
        observation: of each sentence, 0, 1, …, [sentence].
        in_first: whether it is of the first group, [sentence].
    """
    return np.bincount(observation, weights=np.where(in_first, 1, 2)).astype(np.intp)
