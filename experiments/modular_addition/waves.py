"""Waves over pairs of numbers, of which neurons and logits in modular addition are sums.

A model that adds or subtracts modulo n sees every pair (a, b) of n numbers, and answers with
a + sign b, where sign is 1 for a sum and -1 for a difference. The quantities are those of Nanda et
al. (2023), "Progress measures for grokking via mechanistic interpretability".
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.permutation_tests import draw_permutations

from .fourier import (
    Numbers,
    cosines,
    fourier_basis,
    frequencies,
    largest_share,
    squared_norms,
)

Sign = Literal[1, -1]
Floats = NDArray[np.floating]


def two_dimensional(maps: Floats) -> Floats:
    """Return the coefficients of maps in the products of the Fourier basis over a and over b.

    Orthonormal: the squares of a map and of its coefficients have the same sum. In the maps' own
    precision.

    Args:
        maps: over (a, b), [n, n, ...].

    Returns:
        component of a, component of b, [n, n, ...], in the order of `fourier_basis`.

    Raises:
        ValueError: fewer than three numbers.
    """
    n = len(maps)
    basis = fourier_basis(n).astype(maps.dtype)
    along_a = basis @ _relative_to_first(maps).reshape(n, -1)
    found = (basis @ along_a.reshape(n, n, -1)).reshape(maps.shape)
    found[0, 0] += n * maps[0, 0]
    return found


def _relative_to_first(maps: Floats) -> Floats:
    # A map that does not vary becomes exactly zero, and a large mean costs no precision.
    return np.asarray(maps - maps[0, 0])


def neuron_frequencies(coefficients: Floats) -> tuple[Numbers, Array]:
    """Return the frequency that explains most of each neuron's variance, and the share it explains.

    A frequency explains the components along its cosine and sine of a, those of b, and their four
    products. Frequency 0 and share 0 for a neuron that does not vary.

    Args:
        coefficients: of each neuron's activation over (a, b), from `two_dimensional`, [n, n, m].

    Returns:
        frequency: [m].
        share: [m].

    Raises:
        ValueError: fewer than three numbers.
    """
    squares = coefficients.astype(np.float64) ** 2
    squares[0, 0] = 0
    own = [squares[np.ix_(rows, rows)].sum((0, 1)) for rows in _rows_with_constant(len(squares))]
    return largest_share(np.array(own), squares.sum((0, 1)))


def permuted_fractions(maps: Floats, n_permutations: int, rng: np.random.Generator) -> Array:
    """Return the share of each neuron's best frequency where the numbers are permuted.

    A permutation is the same for a and b and for all neurons. [permutation, m].

    Args:
        maps: activations over (a, b), [n, n, m].
        n_permutations: how many permutations.
        rng: makes the permutations.

    Raises:
        ValueError: fewer than three numbers.
    """
    n = len(maps)
    relative = _relative_to_first(maps)
    basis = fourier_basis(n).astype(maps.dtype)
    # The variance is that of all components but the constant, in any order.
    total = ((relative - relative.mean((0, 1), dtype=np.float64)) ** 2).sum((0, 1))
    found = np.empty((n_permutations, maps.shape[2]))
    for shares, order in zip(found, draw_permutations(n, n_permutations, rng), strict=True):
        permuted = basis[:, order]
        along_a = (permuted @ relative.reshape(n, -1)).reshape(relative.shape)
        own = [_explained(along_a, permuted, rows) for rows in _rows_with_constant(n)]
        shares[:] = largest_share(np.array(own), total)[1]
    return found


def _explained(along_a: Floats, basis: Floats, rows: Numbers) -> Array:
    squares = (basis[rows] @ along_a[rows]).astype(np.float64) ** 2
    return np.asarray(squares.sum((0, 1)) - squares[0, 0])


def _rows_with_constant(n: int) -> list[Numbers]:
    """Return the constant's row of the basis and those of one frequency, for each frequency."""
    of_row = frequencies(n)
    return [np.flatnonzero((of_row == 0) | (of_row == k)) for k in np.unique(of_row)[1:]]


@dataclass(frozen=True, eq=False)
class CosineSum:
    """Logits as a sum of waves Σ αₖ cos(2πk(a + sign b - c)/n), highest at the correct answer.

    Attributes:
        coefficients: αₖ of k = 1, …, F; [F].
        shares: of the logits' sum of squares around the mean of each pair, [F].
    """

    coefficients: Array
    shares: Array

    @property
    def explained(self) -> float:
        """The share of all waves together."""
        return float(self.shares.sum())


def cosine_sum(logits: Floats, sign: Sign) -> CosineSum:
    """Fit a sum of cosines of a + sign b - c to logits, by least squares.

    The mean of each pair's logits is subtracted first: a softmax does not depend on it. The waves
    are orthogonal, so that each coefficient is a projection. Shares are 0 where logits do not vary.

    Args:
        logits: of the answer c to the pair (a, b), [n, n, n].
        sign: 1 for sums, -1 for differences.

    Raises:
        ValueError: not a logit for each of n answers, or fewer than three numbers.
    """
    by_answer, total = _by_correct_answer(logits, sign)
    coefficients = _cosine_coefficients(by_answer)
    return CosineSum(coefficients, _shares(coefficients, len(logits), total))


def permuted_cosine_sums(
    logits: Floats, sign: Sign, n_permutations: int, rng: np.random.Generator
) -> Array:
    """Return the share a sum of cosines explains where the answers c are permuted, [permutation].

    Args:
        logits: of the answer c to the pair (a, b), [n, n, n].
        sign: 1 for sums, -1 for differences.
        n_permutations: how many permutations.
        rng: makes the permutations.

    Raises:
        ValueError: not a logit for each of n answers, or fewer than three numbers.
    """
    by_answer, total = _by_correct_answer(logits, sign)
    n = len(logits)
    found = [
        _shares(_cosine_coefficients(by_answer[:, order]), n, total).sum()
        for order in draw_permutations(n, n_permutations, rng)
    ]
    return np.array(found, dtype=np.float64)


def _by_correct_answer(logits: Floats, sign: Sign) -> tuple[Array, float]:
    """Return the mean logits of all pairs with one answer, [answer, c], and the sum of squares.

    Both of the logits around the mean of each pair.
    """
    n = len(logits)
    if logits.shape != (n, n, n):
        raise ValueError(
            f"logits {logits.shape} must be [n, n, n]: n answers to pairs of n numbers"
        )
    # Logits that are all the same become exactly zero.
    centred = logits.astype(np.float64) - logits[:, :, :1]
    centred -= centred.mean(2, keepdims=True)
    return _mean_by_answer(centred, sign), float((centred**2).sum())


def _cosine_coefficients(by_answer: Array) -> Array:
    n = len(by_answer)
    answers = np.arange(n)
    by_distance = by_answer[answers, (answers - answers[:, None]) % n].mean(1)
    return np.asarray(cosines(n) @ by_distance / squared_norms(n))


def _shares(coefficients: Array, n: int, total: float) -> Array:
    squares = coefficients**2 * squared_norms(n) * n**2
    return np.asarray(squares / (total or 1.0))


def restricted(logits: Floats, keys: Collection[int], sign: Sign) -> Array:
    """Return the logits restricted to their mean and the key frequencies of a + sign b.

    Each output is a function of (a, b), of which its mean and its components along
    cos(2πk(a + sign b)/n) and sin(2πk(a + sign b)/n) are kept. [n, n, c].

    Args:
        logits: [n, n, c].
        keys: key frequencies, 1 to n // 2.
        sign: 1 for sums, -1 for differences.

    Raises:
        ValueError: a frequency that does not exist, or fewer than three numbers.
    """
    return np.asarray(_of_keys(logits, keys, sign) + logits.mean((0, 1), dtype=np.float64))


def excluded(logits: Floats, keys: Collection[int], sign: Sign) -> Array:
    """Return the logits without the key frequencies of a + sign b; their mean stays. [n, n, c].

    Args:
        logits: [n, n, c].
        keys: key frequencies, 1 to n // 2.
        sign: 1 for sums, -1 for differences.

    Raises:
        ValueError: a frequency that does not exist, or fewer than three numbers.
    """
    return np.asarray(logits - _of_keys(logits, keys, sign))


def _of_keys(logits: Floats, keys: Collection[int], sign: Sign) -> Array:
    """Return the components of the logits along the key frequencies, [n, n, c]."""
    n = len(logits)
    of_row = frequencies(n)
    for k in keys:
        if not 1 <= k <= of_row[-1]:
            raise ValueError(f"there is no frequency {k} of {n} numbers, only 1 to {of_row[-1]}")
    rows = fourier_basis(n)[np.isin(of_row, list(keys))]
    by_answer = rows.T @ (rows @ _mean_by_answer(logits, sign))
    return np.asarray(by_answer[_answers(n, sign)])


def _answers(n: int, sign: Sign) -> Numbers:
    """Return the correct answer to each pair, [a, b]."""
    numbers = np.arange(n, dtype=np.intp)
    return np.asarray((numbers[:, None] + sign * numbers) % n)


def _mean_by_answer(logits: Floats, sign: Sign) -> Array:
    """Return the mean over all pairs with one correct answer, [answer, c]."""
    n = len(logits)
    numbers = np.arange(n)
    # The b that gives this answer with this a, [answer, a].
    seconds = sign * (numbers[:, None] - numbers) % n
    return np.asarray(logits[numbers, seconds].mean(1, dtype=np.float64))


def logit_singular_values(logits: Floats) -> Array:
    """Return the singular values of the logits as a matrix of pairs × answers, descending.

    Not centred. In float64 and of the matrix itself, not of its Gram matrix: the error is about
    1e-15 of the largest. A sum of cosines of K frequencies has rank 2K. [c], or [n²] where c is
    larger.

    Args:
        logits: [n, n, c].
    """
    matrix = logits.reshape(-1, logits.shape[2]).astype(np.float64)
    return np.asarray(np.linalg.svd(matrix, compute_uv=False))
