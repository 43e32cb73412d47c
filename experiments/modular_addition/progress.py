"""Progress measures: how far the key frequencies have come, before the test loss tells.

Of Nanda et al. (2023), "Progress measures for grokking via mechanistic interpretability".
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arithmetic import Pairs
from .fourier import gini, power_by_frequency
from .waves import excluded, restricted

if TYPE_CHECKING:
    from .model.effective_weights import EffectiveWeights

Array = NDArray[np.float64]


def cross_entropy(logits: NDArray[np.floating], answers: NDArray[np.int64]) -> Array:
    """Return −log softmax(logits) at the answers, in nats and float64; [...].

    Args:
        logits: [..., output].
        answers: [...].
    """
    moved = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    chosen = np.take_along_axis(moved, answers[..., None], -1)[..., 0]
    return np.asarray(np.log(np.exp(moved).sum(-1)) - chosen)


@dataclass(frozen=True)
class Ablated:
    """Losses of logits from which frequencies have been taken, in nats.

    Attributes:
        restricted: mean loss of all pairs where nothing but the key frequencies of a ± b is left
            beside the mean.
        excluded: mean loss of the training pairs where just these are gone; of all pairs where it
            is not known which these are.
    """

    restricted: float
    excluded: float


def ablated(
    logits: NDArray[np.floating], pairs: Pairs, train: NDArray[np.bool_], keys: Collection[int]
) -> Ablated:
    """Return restricted and excluded loss.

    Under multiplication pairs with 0 are left out: they are no elements of the group.

    Args:
        logits: [p, p, output].
        pairs: the pairs.
        train: which of them the excluded loss is of, [p, p].
        keys: the key frequencies.
    """
    order = pairs.arithmetic.order
    among = np.ix_(order, order)
    of_group, answers = logits[among], pairs.answers[among]
    kept = restricted(of_group, keys, pairs.arithmetic.sign)
    left = excluded(of_group, keys, pairs.arithmetic.sign)[train[among]]
    return Ablated(
        float(cross_entropy(kept, answers).mean()),
        float(cross_entropy(left, answers[train[among]]).mean()),
    )


def sparsity(weights: "EffectiveWeights") -> dict[str, float]:
    """Return the Gini coefficients of the norms by frequency, of W_E and of W_logit.

    The weights are in the order of the group.

    0 where all frequencies are alike, near 1 where a few are all there is.
    """
    return {
        "gini_embedding": gini(np.sqrt(power_by_frequency(weights.embedding))),
        "gini_logits": gini(np.sqrt(power_by_frequency(weights.logits.T))),
    }
