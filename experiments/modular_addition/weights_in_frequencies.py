"""The frequencies that a model's weights are made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .fourier import KeyFrequencies, key_frequencies, power_by_frequency

if TYPE_CHECKING:
    from .model.effective_weights import EffectiveWeights

# Shuffles of the numbers' order, and the p that a key frequency may have: a model with random
# weights has a key frequency in one of a thousand draws.
DRAWS, ALPHA = 999, 0.001
# Shuffles that say what as many frequencies hold by chance.
_SHUFFLES = 20


def key_frequencies_of(
    weights: "EffectiveWeights", rng: np.random.Generator
) -> dict[str, KeyFrequencies]:
    """Return the key frequencies of each matrix, along the axis of the numbers.

    The model's are those of W_logit: a frequency that the embedding keeps and no neuron hands on
    answers nothing.

    Args:
        weights: of the model, in the order of the group.
        rng: where shuffles are drawn from.
    """
    return {
        name: key_frequencies(matrix, DRAWS, ALPHA, rng)
        for name, matrix in _along_numbers(weights).items()
    }


def by_chance(
    weights: "EffectiveWeights", keys: Mapping[str, KeyFrequencies], rng: np.random.Generator
) -> dict[str, float]:
    """Return the share of power that as many strongest frequencies hold where numbers are shuffled.

    Args:
        weights: of the model, of the elements of the group alone.
        keys: the key frequencies of each matrix.
        rng: where shuffles are drawn from.
    """
    found = {}
    for name, matrix in _along_numbers(weights).items():
        powers = np.array([power_by_frequency(rng.permutation(matrix)) for _ in range(_SHUFFLES)])
        strongest = np.sort(powers)[:, ::-1][:, : len(keys[name].keys)].sum(1)
        found[name] = float((strongest / powers.sum(1)).mean())
    return found


def _along_numbers(weights: "EffectiveWeights") -> dict[str, NDArray[np.float64]]:
    """Return each matrix with the numbers along its first axis."""
    return {
        "W_E": weights.embedding,
        "W_neur": np.moveaxis(weights.neurons, 1, 0),
        "W_logit": weights.logits.T,
    }
