"""Fourier analysis over the numbers modulo n: the basis, power by frequency, and key frequencies.

Whatever has an axis of n numbers, in their order around the cycle, has n components along it: a
constant, and a cosine and a sine of each frequency k = 1, …, F = n // 2 (where n is even, the last
frequency has a cosine alone).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.permutation_tests import permutations

Numbers = NDArray[np.intp]

# Power below this share of all is what rounding has left.
_ROUNDING = 1e-12

# Shuffles that repeat the order found, turned round or moved on, differ from it by rounding.
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class KeyFrequencies:
    """The frequencies that hold more power than the order of the numbers has by chance.

    Attributes:
        share: of all power but the constant's, of each frequency 1, …, F; [F].
        p: of each frequency against shuffles of the numbers' order, [F]; not a number for those
            after the first that fails.
        null_mean: the largest share of any frequency where the order is shuffled, on average.
        null_high: the share that it exceeds with probability alpha.
        keys: the key frequencies, in increasing order.
    """

    share: Array
    p: Array
    null_mean: float
    null_high: float
    keys: tuple[int, ...]

    @property
    def held(self) -> float:
        """The share of the power that the key frequencies hold together."""
        return float(self.share[[k - 1 for k in self.keys]].sum())


def frequencies(n: int) -> Numbers:
    """Return the frequency of each row of the basis: 0, 1, 1, 2, 2, …; [n].

    Raises:
        ValueError: fewer than three numbers.
    """
    if n < 3:
        raise ValueError(f"a Fourier basis needs at least 3 numbers, not {n}")
    return (np.arange(n, dtype=np.intp) + 1) // 2


def names(n: int) -> list[str]:
    """Return the name of each row of the basis: const, cos 1, sin 1, cos 2, …

    Raises:
        ValueError: fewer than three numbers.
    """
    waves = (f"{'sin' if i % 2 else 'cos'} {k}" for i, k in enumerate(frequencies(n)[1:]))
    return ["const", *waves]


def fourier_basis(n: int) -> Array:
    """Return the orthonormal Fourier basis of functions of n numbers, a row a function; [n, n].

    The constant 1 / √n, then √(2/n) cos(2πkx/n) and √(2/n) sin(2πkx/n) for k = 1, 2, …, and where n
    is even cos(πx) / √n last, of which there is no sine.

    Raises:
        ValueError: fewer than three numbers.
    """
    of_row = frequencies(n)
    angles = _angles(of_row, n)
    is_sine = (np.arange(n) % 2 == 0) & (of_row > 0)
    waves = np.where(is_sine[:, None], np.sin(angles), np.cos(angles))
    alone = (of_row == 0) | (2 * of_row == n)
    return np.asarray(waves * np.sqrt(np.where(alone, 1, 2) / n)[:, None])


def cosines(n: int) -> Array:
    """Return cos(2πkx/n) for k = 1, …, F, not normalised; [F, n].

    Raises:
        ValueError: fewer than three numbers.
    """
    return np.asarray(np.cos(_angles(np.unique(frequencies(n))[1:], n)))


def squared_norms(n: int) -> Array:
    """Return Σₓ cos²(2πkx/n) for k = 1, …, F: n / 2, or n for the last where n is even; [F]."""
    k = np.unique(frequencies(n))[1:]
    return np.where(2 * k == n, n, n / 2)


def _angles(k: Numbers, n: int) -> Array:
    # Whole turns come off while the numbers are exact.
    return np.asarray(2 * np.pi * (np.outer(k, np.arange(n)) % n) / n)


def power_by_frequency(matrix: NDArray[np.floating]) -> Array:
    """Return the squared Fourier coefficients of each frequency 1, …, F, [F].

    Summed over cosine and sine and over all other axes. The constant is left out.

    Args:
        matrix: [n, ...].

    Raises:
        ValueError: fewer than three numbers.
    """
    return np.asarray(power_of_columns(matrix.reshape(len(matrix), -1)).sum(1))


def dominant_frequencies(vectors: NDArray[np.floating]) -> tuple[Numbers, Array]:
    """Return the frequency that holds most of each vector's power, and its share.

    The constant's power does not count. Frequency 0 and share 0 for a vector that does not vary.

    Args:
        vectors: columns, [n, k].

    Returns:
        frequency: [k].
        share: [k].

    Raises:
        ValueError: fewer than three numbers.
    """
    return largest_share(power_of_columns(vectors))


def largest_share(power: Array, total: Array | None = None) -> tuple[Numbers, Array]:
    """Return the frequency with most power in each column, and its share of the total.

    Frequency 0 and share 0 where there is no power.

    Args:
        power: of frequencies 1, …, F, [F, m].
        total: [m]; the sum over frequencies if not given.
    """
    total = power.sum(0) if total is None else total
    varies = total > 0
    found = np.where(varies, power.argmax(0) + 1, 0)
    return found, np.asarray(np.where(varies, power.max(0) / np.where(varies, total, 1), 0))


def power_of_columns(columns: NDArray[np.floating]) -> Array:
    """Return the power of each column [n, d] by frequency 1, …, F, without the constant; [F, d].

    Raises:
        ValueError: fewer than three numbers.
    """
    n = len(columns)
    moved = _from_the_first(columns)
    spectrum = np.abs(np.fft.rfft(moved, axis=0)[1:]) ** 2
    return np.asarray(spectrum / squared_norms(n)[:, None])


def _from_the_first(columns: NDArray[np.floating]) -> Array:
    # A column that does not vary becomes exactly zero, which subtracting a mean cannot promise.
    values = columns.astype(np.float64)
    return np.asarray(values - values[0])


def key_frequencies(
    matrix: NDArray[np.floating], draws: int, alpha: float, rng: np.random.Generator
) -> KeyFrequencies:
    """Find the frequencies that hold more power than the order of the numbers has by chance.

    They are taken from the strongest down. One is key if its share of the power is more than an
    even one, 2 / (n - 1) or for a frequency without a sine half of that, and if it stands out of
    what the stronger ones leave: its share of the power there is held against the largest share of
    any frequency left where the rows, the stronger ones projected out of them before and after, are
    shuffled; p = (b + 1) / (draws + 1). The first that fails ends the search, as does nothing left.
    The largest of all is held against the largest of all, so that the chance of any key frequency
    in an order that means nothing is at most alpha.

    One column alone has large shares by chance (Fisher, 1929): there a frequency with less than
    about log(F / alpha) / F of what is left is not found.

    Args:
        matrix: [n, ...].
        draws: how many shuffles.
        alpha: the largest p that a key frequency may have.
        rng: where orders are drawn from.

    Raises:
        ValueError: fewer than three numbers, or a value that is not finite.
    """
    columns = _from_the_first(matrix.reshape(len(matrix), -1))
    if not np.isfinite(columns).all():
        raise ValueError("a matrix with values that are not finite has no key frequencies")
    n = len(columns)
    basis, of_row = fourier_basis(n)[1:], frequencies(n)[1:]
    orders = permutations(n, draws, rng)
    # A shuffle of rows permutes the Gram matrix, however many columns there are.
    coefficients = basis @ columns
    among = coefficients @ coefficients.T
    power = np.bincount(of_row, np.diag(among))[1:]
    total = power.sum() or 1.0
    share = power / total
    even = np.bincount(of_row)[1:] / (n - 1)
    strongest_first = np.argsort(-power, kind="stable") + 1
    p = np.full(len(power), np.nan)
    null_mean = null_high = 0.0
    keys: list[int] = []
    for i, k in enumerate(strongest_first):
        at = strongest_first[i:] - 1
        remaining = power[at].sum()
        if remaining <= _ROUNDING * total:
            break
        left = np.isin(of_row, strongest_first[i:])
        gram = basis[left].T @ among[np.ix_(left, left)] @ basis[left]
        null = _largest_shares(_shuffled_powers(gram, orders)[:, at], _ROUNDING * remaining)
        if i == 0:
            null_mean, null_high = float(null.mean()), float(np.quantile(null, 1 - alpha))
        if share[k - 1] <= even[k - 1]:
            break
        b = (null >= (1 - _TIE) * power[k - 1] / remaining).sum()
        p[k - 1] = (b + 1) / (draws + 1)
        if p[k - 1] > alpha:
            break
        keys.append(int(k))
    return KeyFrequencies(share, p, null_mean, null_high, tuple(sorted(keys)))


def _largest_shares(power: Array, rounding: float) -> Array:
    """Return the largest share of each shuffle [b, k]; [b].

    1, the most there is, where all power has gone to frequencies that are not among these.
    """
    total = power.sum(1)
    some = total > rounding
    return np.asarray(np.where(some, power.max(1) / np.where(some, total, 1), 1))


def _shuffled_powers(gram: Array, orders: Numbers) -> Array:
    """Return the power by frequency of rows with this Gram matrix [n, n] in other orders [b, n].

    Only the sums of products of rows that are equally far apart count: the power of frequency k is
    Σ_ab gram[a, b] cos(2πk(a - b)/n), over the wave's squared norm. [b, F].
    """
    n = len(gram)
    apart = np.arange(n // 2 + 1)
    later = (np.arange(n) + apart[:, None]) % n
    products = np.empty((len(orders), len(apart)))
    for found, order in zip(products, orders, strict=True):
        found[:] = gram[order[later], order].sum(1)
    # Rows d apart are n - d apart the other way round; 0 and n / 2 are their own opposites.
    both = np.where((apart == 0) | (2 * apart == n), 1, 2)
    return np.asarray((products * both) @ cosines(n)[:, apart].T / squared_norms(n))


def gini(values: Array) -> float:
    """Return the Gini coefficient of non-negative values [n]: how few of them make up the sum.

    0 where all are equal, (n - 1) / n where one has everything; 0 too where all are zero. A measure
    of sparsity (Hurley and Rickard, 2009).
    """
    n = len(values)
    ranks = np.arange(1, n + 1)
    total = values.sum()
    weighted = ((2 * ranks - n - 1) * np.sort(values)).sum()
    return float(weighted / (n * total)) if total > 0 else 0.0
