"""The frequencies that a model's weights are made of."""

import numpy as np
from numpy.typing import NDArray

from interp.geometry.fourier import KeyFrequencies, key_frequencies
from interp.models.modular import EffectiveWeights

# Shuffles of the numbers' order, and the p that a key frequency may have: a model with random
# weights has a key frequency in one of a thousand draws.
DRAWS, ALPHA = 999, 0.001


def key_frequencies_of(
    weights: EffectiveWeights, order: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, KeyFrequencies]:
    """Return the key frequencies of each matrix, along the axis of the numbers.

    The model's are those of W_logit: a frequency that the embedding keeps and no neuron hands on
    answers nothing.

    Args:
        weights: of the model.
        order: the numbers in the order of their group.
        rng: where shuffles are drawn from.
    """
    along_numbers = {
        "W_E": weights.embedding,
        "W_neur": np.moveaxis(weights.neurons, 1, 0),
        "W_logit": weights.logits.T,
    }
    return {
        name: key_frequencies(matrix[order], DRAWS, ALPHA, rng)
        for name, matrix in along_numbers.items()
    }
