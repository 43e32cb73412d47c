"""Activations: the values that a capture returns, with their labels."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

# Vectors decoded at once: enough for fast arithmetic, and only 130 MB with 250,000 words.
_DECODED_AT_ONCE = 128


class Unembedding(Protocol):
    """Turns vectors of the residual stream into logits."""

    @property
    def name(self) -> str:
        """The name in runs and figures: "lm_head (GPT2LMHeadModel)", "tied token embedding", …"""
        ...

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits [n, vocabulary] of vectors [n, d]."""
        ...


class StoredLayers:
    """Values [layer, sample, *unit] in memory-mapped files, of which one layer is read at a time.

    It is used like an array: `shape`, a loop over layers, and indexing whose first index is one
    layer.

    Args:
        chunks: the chunks of samples of each layer, float32 [sample, *unit], in order.
    """

    def __init__(self, chunks: Sequence[Sequence[NDArray[np.float32]]]) -> None:
        self._chunks = chunks
        samples = sum(len(chunk) for chunk in chunks[0])
        self.shape = (len(chunks), samples, *chunks[0][0].shape[1:])
        self.nbytes = sum(chunk.nbytes for of_layer in chunks for chunk in of_layer)
        self._ends = np.cumsum([len(chunk) for chunk in chunks[0]])

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[layer] for layer in range(len(self)))

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        layer, *rest = index if isinstance(index, tuple) else (index,)
        chunks = self._chunks[operator.index(layer)]
        if not rest:
            return np.concatenate(chunks)
        # Only the chunks of the samples are read, not the whole layer.
        samples = np.arange(self.shape[1])[rest[0]]
        found = np.empty((samples.size, *self.shape[2:]), np.float32)
        of_chunk = np.searchsorted(self._ends, samples.ravel(), side="right")
        for number in np.unique(of_chunk):
            own, start = of_chunk == number, self._ends[number] - len(chunks[number])
            found[own] = chunks[number][samples.ravel()[own] - start]
        return found.reshape(*samples.shape, *self.shape[2:])[
            (*[slice(None)] * samples.ndim, *rest[1:])
        ]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.stack(list(self)).astype(dtype or np.float32, copy=False)


Values = NDArray[np.float32] | StoredLayers


@dataclass(frozen=True)
class Activations:
    """Activations of some layers at some samples.

    Attributes:
        values: float32 [layer, sample, *unit].
        layers: the layer numbers, in the order of the first axis.
        samples: one row per sample, in the order of the second axis: `prompt` (index in the prompt
            set), `group`, `token` (the text that was read), `position` (index of the last token
            read, special ones included) and `n_tokens` (how many were pooled).
        resolution: the largest difference between two activations, relative to their size, that
            rounding alone may cause.
        unembedding: turns vectors into logits where the points are logits. `values` then holds the
            vectors before it, since the logits of all layers and samples would not fit in memory.
    """

    values: Values
    layers: tuple[int, ...]
    samples: "pd.DataFrame"
    resolution: float
    unembedding: Unembedding | None = None

    def __post_init__(self) -> None:
        expected = (len(self.layers), len(self.samples))
        if self.values.shape[:2] != expected:
            raise ValueError(f"values are {self.values.shape}, the labels are for {expected}")

    def is_degenerate(self, i: int, rows: NDArray[np.intp]) -> bool:
        """Whether some samples differ by rounding alone at one layer.

        In a causal model equal texts up to a token give equal vectors, up to rounding. That depends
        on a prompt's length, and may thus differ between groups as if it were an effect.

        Args:
            i: the index of the layer along the first axis, not its number.
            rows: the samples' indices along the second axis [n].
        """
        vectors = self.values[i, rows].astype(np.float64).reshape(len(rows), -1)
        if not np.isfinite(vectors).all():
            return False
        spread = ((vectors - vectors.mean(0)) ** 2).sum(1).mean()
        return bool(spread <= self.resolution**2 * (vectors**2).sum(1).mean())

    def points(self, i: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the points of some samples at one layer, as float64 [n, features].

        The features are the units, flattened, or the logits where there is an unembedding.

        Args:
            i: the index of the layer along the first axis, not its number.
            rows: the samples' indices along the second axis [n].

        Raises:
            ConfigError: attention scores of −∞.
            ValueError: logits that are infinite or not a number.
        """
        vectors = self.values[i, rows]
        if self.unembedding is None:
            units: NDArray[np.float64] = vectors.astype(np.float64)
            if not np.isfinite(units).all():
                raise ConfigError(
                    "hook: attn_scores are −∞ where a token may not attend or its prompt has "
                    "ended, and are no points; use hook=pattern"
                )
            return units.reshape(len(rows), -1)
        decoded = self.unembedding(vectors[:_DECODED_AT_ONCE])
        points = np.empty((len(rows), decoded.shape[1]))
        points[: len(decoded)] = decoded
        for start in range(len(decoded), len(rows), _DECODED_AT_ONCE):
            chunk = slice(start, start + _DECODED_AT_ONCE)
            points[chunk] = self.unembedding(vectors[chunk])
        if not all(np.isfinite(row).all() for row in points):
            raise ValueError(f"the {self.unembedding.name} gives logits that are not finite")
        return points
