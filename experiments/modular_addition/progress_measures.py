"""Progress measures: how far the model relies on the key frequencies, before the test loss falls.

From Nanda et al. (2023), "Progress measures for grokking via mechanistic interpretability".
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
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    at_answer = np.take_along_axis(shifted, answers[..., None], -1)[..., 0]
    return np.asarray(np.log(np.exp(shifted).sum(-1)) - at_answer)


@dataclass(frozen=True)
class AblatedLosses:
    """Losses of logits that are restricted to the key frequencies or lack them, in nats.

    Attributes:
        restricted: mean loss of all pairs where the logits keep their mean and the key frequencies
            of a ± b alone.
        excluded: mean loss of the training pairs where the logits lack the key frequencies; of all
            pairs where the training pairs are not known.
    """

    restricted: float
    excluded: float


def ablated_losses(
    logits: NDArray[np.floating], pairs: Pairs, train: NDArray[np.bool_], keys: Collection[int]
) -> AblatedLosses:
    """Return restricted and excluded loss.

    Under multiplication pairs with 0 are left out: 0 is no element of the group.

    Args:
        logits: [p, p, output].
        pairs: the pairs.
        train: the pairs whose excluded loss is taken, [p, p].
        keys: the key frequencies.
    """
    order = pairs.arithmetic.order
    among = np.ix_(order, order)
    of_group, answers = logits[among], pairs.answers[among]
    kept = restricted(of_group, keys, pairs.arithmetic.sign)
    left = excluded(of_group, keys, pairs.arithmetic.sign)[train[among]]
    return AblatedLosses(
        float(cross_entropy(kept, answers).mean()),
        float(cross_entropy(left, answers[train[among]]).mean()),
    )


def sparsity(weights: "EffectiveWeights") -> dict[str, float]:
    """Return the Gini coefficients of the norms by frequency, of W_E and of W_logit.

    0 where all frequencies are alike, near 1 where a few hold all power.

    Args:
        weights: of the model, in the order of the group.
    """
    return {
        "gini_embedding": gini(np.sqrt(power_by_frequency(weights.embedding))),
        "gini_logits": gini(np.sqrt(power_by_frequency(weights.logits.T))),
    }
