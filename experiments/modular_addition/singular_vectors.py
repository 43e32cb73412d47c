"""The singular vectors of W_E, and which of them are waves over the numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.stats.permutation_tests import draw_permutations

from .fourier import dominant_frequencies, power_of_columns
from .key_frequencies import ALPHA, N_PERMUTATIONS

Array = NDArray[np.float64]

# Embeddings with permuted columns that singular values are compared with.
_N_NULL = 99
# Permutations that mirror or rotate the order give the same share, up to rounding.
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class SingularVectors:
    """The singular vectors of W_E [p, d], and which of them are waves over the numbers.

    Attributes:
        values: singular values, [k].
        null: those of embeddings whose columns are each permuted on their own, [permutation, k].
        vectors: left singular vectors, [p, k].
        frequencies: the dominant frequency of each vector, [k].
        shares: the share of the vector's power at that frequency, [k].
        p: of the share, by permutations of the numbers, corrected over the vectors by the maximum
            (Westfall and Young, 1993); nan for a vector with no more than an even share of the
            variance, which is not tested; [k].
    """

    values: Array
    null: Array
    vectors: Array
    frequencies: NDArray[np.intp]
    shares: Array
    p: Array

    @property
    def is_wave(self) -> NDArray[np.bool_]:
        """The vectors with more than an even share of the variance that are waves, [k]."""
        return np.asarray(self.p <= ALPHA)

    @property
    def wave_frequencies(self) -> tuple[int, ...]:
        """The dominant frequencies of the waves, in increasing order."""
        return tuple(sorted({int(k) for k in self.frequencies[self.is_wave]}))

    @property
    def cumulative(self) -> Array:
        """The share of the variance up to each singular value, [k]."""
        return _cumulative(self.values)

    @property
    def null_cumulative(self) -> Array:
        """The same of the permuted embeddings, [permutation, k]."""
        return _cumulative(self.null)

    def leading(self, fewest: int, most: int) -> NDArray[np.intp]:
        """Return the indices of the waves, and after them of other leading vectors up to fewest."""
        count = min(max(int(self.is_wave.sum()), fewest), most)
        return np.argsort(~self.is_wave, kind="stable")[:count]

    def shares_by_frequency(self, chosen: NDArray[np.intp]) -> Array:
        """Return the power of the chosen vectors by frequency, as shares; [F, chosen]."""
        power = power_of_columns(self.vectors[:, chosen])
        return np.asarray(power / power.sum(0))

    @property
    def variance(self) -> float:
        """The share of the variance that the waves hold."""
        return float((self.values[self.is_wave] ** 2).sum() / (self.values**2).sum())

    @property
    def variance_by_chance(self) -> float:
        """The share that as many leading vectors hold where the columns are permuted."""
        count = int(self.is_wave.sum())
        return float(self.null_cumulative[:, count - 1].mean()) if count else 0.0


def singular_vectors(embedding: Array, rng: np.random.Generator) -> SingularVectors:
    """Decompose an embedding [p, d] around its mean, which distinguishes no numbers.

    Singular values are compared with those of embeddings whose columns are each permuted on their
    own; the vectors' largest shares with those in permuted orders of the numbers.
    """
    centred = embedding - embedding.mean(0)
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    frequencies, shares = dominant_frequencies(vectors)
    p = np.full(len(values), np.nan)
    orders = draw_permutations(len(vectors), N_PERMUTATIONS, rng)
    strong = np.flatnonzero(values**2 > (values**2).mean())
    largest = np.max([dominant_frequencies(vectors[orders, i].T)[1] for i in strong], axis=0)
    reached = largest >= (1 - _TIE) * shares[strong, None]
    p[strong] = (reached.sum(1) + 1) / (N_PERMUTATIONS + 1)
    null = np.array(
        [np.linalg.svd(rng.permuted(centred, axis=0), compute_uv=False) for _ in range(_N_NULL)]
    )
    return SingularVectors(values, null, vectors, frequencies, shares, p)


def _cumulative(values: Array) -> Array:
    squares = values**2
    return np.asarray(np.cumsum(squares, -1) / squares.sum(-1, keepdims=True))
