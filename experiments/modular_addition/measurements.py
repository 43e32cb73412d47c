"""All that is measured of a model, as one record for the report and the figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .key_frequencies import KeyFrequencies
from .logits import LogitWaves
from .neurons import Components, Neurons
from .predictions import Predictions
from .singular_vectors import SingularVectors
from .training_history import TrainingHistory

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExamplePattern:
    """The attention pattern of one prompt.

    Attributes:
        pattern: [head, query, key].
        tokens: of the prompt, [key].
    """

    pattern: NDArray[np.float32]
    tokens: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Measurements:
    """A model of modular addition, from its predictions to its circuit.

    Attributes:
        subject: the model and its arithmetic, as figures name them.
        predictions: the model's outputs for all pairs.
        example: the attention pattern of one prompt.
        keys_by_matrix: the key frequencies of W_E, W_neur and W_logit.
        chance_shares: the share of power at as many frequencies in a permuted order, per matrix.
        head_shares: the share of power of each head's W_neur by frequency, [head, F].
        singular_vectors: of W_E.
        neurons: the neurons by frequency.
        logits: the logits by frequency.
        components: the two-dimensional Fourier components of neurons and logits.
        history: the training that made the weights; None where it is not recorded.
    """

    subject: str
    predictions: Predictions
    example: ExamplePattern
    keys_by_matrix: dict[str, KeyFrequencies]
    chance_shares: dict[str, float]
    head_shares: Array
    singular_vectors: SingularVectors
    neurons: Neurons
    logits: LogitWaves
    components: Components
    history: TrainingHistory | None

    @property
    def keys(self) -> tuple[int, ...]:
        """The model's key frequencies: those of W_logit."""
        return self.keys_by_matrix["W_logit"].keys
