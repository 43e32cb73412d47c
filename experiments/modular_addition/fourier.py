"""Fourier analysis over the numbers modulo n: the basis, and power by frequency.

An array with an axis of n numbers, in their order around the cycle, has n components along it: a
constant, and a cosine and a sine of each frequency k = 1, …, F = n // 2 (where n is even, the last
frequency has a cosine alone).
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

Numbers = NDArray[np.intp]


def frequencies(n: int) -> Numbers:
    """Return the frequency of each row of the basis: 0, 1, 1, 2, 2, …; [n].

    Raises:
        ValueError: fewer than three numbers.
    """
    if n < 3:
        raise ValueError(f"a Fourier basis needs at least 3 numbers, not {n}")
    return (np.arange(n, dtype=np.intp) + 1) // 2


def component_names(n: int) -> list[str]:
    """Return the name of each row of the basis: const, cos 1, sin 1, cos 2, …

    Raises:
        ValueError: fewer than three numbers.
    """
    waves = (f"{'sin' if i % 2 else 'cos'} {k}" for i, k in enumerate(frequencies(n)[1:]))
    return ["const", *waves]


def fourier_basis(n: int) -> Array:
    """Return the orthonormal Fourier basis of functions of n numbers, one function per row; [n, n].

    The constant 1 / √n, then √(2/n) cos(2πkx/n) and √(2/n) sin(2πkx/n) for k = 1, 2, …; where n is
    even, the last row is cos(πx) / √n, whose frequency has no sine.

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
    # Whole turns are removed while the numbers are exact integers.
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


def power_shares(matrix: NDArray[np.floating]) -> Array:
    """Return `power_by_frequency` as shares of their sum, 0 where there is no power; [F]."""
    power = power_by_frequency(matrix)
    return np.asarray(power / (power.sum() or 1.0))


def power_of_columns(columns: NDArray[np.floating]) -> Array:
    """Return the power of each column [n, d] by frequency 1, …, F, without the constant; [F, d].

    Raises:
        ValueError: fewer than three numbers.
    """
    n = len(columns)
    spectrum = np.abs(np.fft.rfft(relative_to_first(columns), axis=0)[1:]) ** 2
    return np.asarray(spectrum / squared_norms(n)[:, None])


def relative_to_first(columns: NDArray[np.floating]) -> Array:
    """Return columns [n, d] minus their first row, in float64.

    This changes the constant's component alone, and makes a column that does not vary exactly zero,
    which subtracting a mean does not.
    """
    values = columns.astype(np.float64)
    return np.asarray(values - values[0])


def dominant_frequencies(vectors: NDArray[np.floating]) -> tuple[Numbers, Array]:
    """Return the frequency with most power in each vector, and its share of the vector's power.

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


def gini(values: Array) -> float:
    """Return the Gini coefficient of non-negative values [n], a measure of sparsity.

    0 where all are equal, (n - 1) / n where one holds the whole sum, and 0 where all are zero
    (Hurley and Rickard, 2009, "Comparing measures of sparsity").
    """
    n = len(values)
    ranks = np.arange(1, n + 1)
    total = values.sum()
    weighted = ((2 * ranks - n - 1) * np.sort(values)).sum()
    return float(weighted / (n * total)) if total > 0 else 0.0
