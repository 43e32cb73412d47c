"""The record that a capture returns: a matrix that never loses its labels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Activations:
    """Activations of some layers at some samples.

    Attributes:
        values: float32 [layer, sample, *unit].
        layers: the layer numbers, in the order of the first axis.
        samples: one row a sample, in the order of the second axis: `prompt` (index in the prompt
            set), `group`, `token` (the text that was read), `position` (index of the last token
            read, special ones counted) and `n_tokens` (how many were pooled).
        resolution: the difference, relative to their size, below which two activations may differ
            by rounding alone.
    """

    values: NDArray[np.float32]
    layers: tuple[int, ...]
    samples: pd.DataFrame
    resolution: float

    def __post_init__(self) -> None:
        expected = (len(self.layers), len(self.samples))
        if self.values.shape[:2] != expected:
            raise ValueError(f"values are {self.values.shape}, the labels say {expected}")

    def of_samples(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return some samples as float64 points [layer, sample, features], units flattened."""
        chosen = self.values[:, rows].astype(np.float64)
        return chosen.reshape(len(self.layers), len(rows), -1)
