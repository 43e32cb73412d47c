"""Key frequencies: those with more power than a random order of the numbers gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.permutation_tests import draw_permutations

from .fourier import (
    Numbers,
    cosines,
    fourier_basis,
    frequencies,
    power_by_frequency,
    relative_to_first,
    squared_norms,
)

if TYPE_CHECKING:
    from .model.effective_weights import EffectiveWeights

# The permutations of the numbers' order, and the largest p of a key frequency: a random matrix has
# one with probability 0.001.
N_PERMUTATIONS, ALPHA = 999, 0.001
# Permutations that give the mean share of as many strongest frequencies.
_N_CHANCE = 20
# Power below this share of the total is rounding error.
_ROUNDING = 1e-12
# Permutations that mirror or rotate the order give the same power, up to rounding.
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class KeyFrequencies:
    """The frequencies with more power than the order of the numbers gives by chance.

    Attributes:
        share: of the power without the constant, of each frequency 1, …, F; [F].
        p: of each frequency, by permutations of the numbers' order, [F]; nan for those that were
            not tested, after the first that is not significant.
        null_mean: the mean over permutations of the largest share of any frequency.
        null_high: the share that the largest exceeds with probability alpha.
        keys: the key frequencies, in increasing order.
    """

    share: Array
    p: Array
    null_mean: float
    null_high: float
    keys: tuple[int, ...]

    @property
    def share_at_keys(self) -> float:
        """The share of the power that the key frequencies hold together."""
        return float(self.share[[k - 1 for k in self.keys]].sum())


def key_frequencies(
    matrix: NDArray[np.floating], n_permutations: int, alpha: float, rng: np.random.Generator
) -> KeyFrequencies:
    """Find the frequencies with more power than the order of the numbers gives by chance.

    They are tested from the strongest down. A frequency is key if its share of the power is more
    than an even share, 2 / (n - 1) (half of that for a frequency without a sine), and if it is
    significant among what the stronger ones leave: its share of the remaining power is compared
    with the largest share of any remaining frequency where the rows are permuted, the stronger
    frequencies projected out before and after; p = (b + 1) / (n_permutations + 1). The search ends
    at the first that is not key, or where no power is left. The strongest frequency is compared
    with the strongest, so that a random order has any key frequency with probability alpha at most.

    One column alone has large shares by chance (Fisher, 1929, "Tests of significance in harmonic
    analysis"): there a frequency with less than about log(F / alpha) / F of the remaining power is
    not found.

    Args:
        matrix: [n, ...].
        n_permutations: how many permutations make the null distribution.
        alpha: the largest p of a key frequency.
        rng: makes the permutations.

    Raises:
        ValueError: fewer than three numbers, or a value that is not finite.
    """
    columns = relative_to_first(matrix.reshape(len(matrix), -1))
    if not np.isfinite(columns).all():
        raise ValueError("a matrix with values that are not finite has no key frequencies")
    n = len(columns)
    of_row = frequencies(n)[1:]
    orders = draw_permutations(n, n_permutations, rng)
    coefficients = fourier_basis(n)[1:] @ columns
    products = coefficients @ coefficients.T
    power = np.bincount(of_row, np.diag(products))[1:]
    total = power.sum() or 1.0
    share, even = power / total, np.bincount(of_row)[1:] / (n - 1)
    strongest_first = np.argsort(-power, kind="stable") + 1
    p = np.full(len(power), np.nan)
    null_mean = null_high = 0.0
    keys: list[int] = []
    for i, k in enumerate(strongest_first):
        remaining = power[strongest_first[i:] - 1].sum()
        if remaining <= _ROUNDING * total:
            break
        null = _permuted_largest_shares(products, strongest_first[i:], orders, remaining)
        if i == 0:
            null_mean, null_high = float(null.mean()), float(np.quantile(null, 1 - alpha))
        if share[k - 1] <= even[k - 1]:
            break
        b = (null >= (1 - _TIE) * power[k - 1] / remaining).sum()
        p[k - 1] = (b + 1) / (n_permutations + 1)
        if p[k - 1] > alpha:
            break
        keys.append(int(k))
    return KeyFrequencies(share, p, null_mean, null_high, tuple(sorted(keys)))


def _permuted_largest_shares(
    products: Array, candidates: Numbers, orders: Numbers, remaining: float
) -> Array:
    """Return the largest share of any candidate frequency for each order of the rows, [b].

    1, the largest share possible, where no power is left at the candidates.

    Args:
        products: of the Fourier coefficients, [n - 1, n - 1].
        candidates: the frequencies that are left.
        orders: permutations, [b, n].
        remaining: the power of the candidates in the order found.
    """
    n = len(products) + 1
    basis, left = fourier_basis(n)[1:], np.isin(frequencies(n)[1:], candidates)
    # Permuting rows permutes their Gram matrix, whose size does not depend on the columns.
    gram = basis[left].T @ products[np.ix_(left, left)] @ basis[left]
    power = _permuted_powers(gram, orders)[:, candidates - 1]
    total = power.sum(1)
    some = total > _ROUNDING * remaining
    return np.asarray(np.where(some, power.max(1) / np.where(some, total, 1), 1))


def _permuted_powers(gram: Array, orders: Numbers) -> Array:
    """Return the power by frequency of rows with this Gram matrix [n, n] in other orders [b, n].

    The power of frequency k is Σ_ab gram[a, b] cos(2πk(a - b)/n) over the wave's squared norm: it
    depends on the sums of products of rows that are equally far apart. [b, F].
    """
    n = len(gram)
    apart = np.arange(n // 2 + 1)
    later = (np.arange(n) + apart[:, None]) % n
    products = np.empty((len(orders), len(apart)))
    for found, order in zip(products, orders, strict=True):
        found[:] = gram[order[later], order].sum(1)
    # A distance d is n - d the other way round; 0 and n / 2 are counted once.
    both = np.where((apart == 0) | (2 * apart == n), 1, 2)
    return np.asarray((products * both) @ cosines(n)[:, apart].T / squared_norms(n))


def key_frequencies_of_weights(
    weights: "EffectiveWeights", rng: np.random.Generator
) -> dict[str, KeyFrequencies]:
    """Return the key frequencies of W_E, W_neur and W_logit, along the axis of the numbers.

    Those of W_logit are the model's: a frequency that the embedding holds and no neuron passes on
    contributes to no answer.

    Args:
        weights: of the model, in the order of the group.
        rng: makes the permutations.
    """
    return {
        name: key_frequencies(matrix, N_PERMUTATIONS, ALPHA, rng)
        for name, matrix in _along_numbers(weights).items()
    }


def chance_shares(
    weights: "EffectiveWeights", keys: Mapping[str, KeyFrequencies], rng: np.random.Generator
) -> dict[str, float]:
    """Return the share of power at as many strongest frequencies where the numbers are permuted.

    Args:
        weights: of the model, in the order of the group.
        keys: the key frequencies of each matrix.
        rng: makes the permutations.
    """
    found = {}
    for name, matrix in _along_numbers(weights).items():
        powers = np.array([power_by_frequency(rng.permutation(matrix)) for _ in range(_N_CHANCE)])
        strongest = np.sort(powers)[:, ::-1][:, : len(keys[name].keys)].sum(1)
        found[name] = float((strongest / powers.sum(1)).mean())
    return found


def _along_numbers(weights: "EffectiveWeights") -> dict[str, Array]:
    """Return each matrix with the numbers along its first axis."""
    return {
        "W_E": weights.embedding,
        "W_neur": np.moveaxis(weights.neurons, 1, 0),
        "W_logit": weights.logits.T,
    }
