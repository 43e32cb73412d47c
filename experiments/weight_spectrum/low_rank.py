"""Products of low rank, d × d, without forming them: a head's OV and QK circuits.

A product left @ right of left [..., d, k] and right [..., k, d] is represented by its factors. The
cost is that of matrices of k × k, and of one QR decomposition per factor.
"""

from typing import NamedTuple

import numpy as np

from interp.metrics.functional.points import Array


class FactoredSVD(NamedTuple):
    """Singular vectors and values of products.

    Attributes:
        left: [..., d, k], columns.
        values: [..., k], descending.
        right: [..., k, d], rows.
    """

    left: Array
    values: Array
    right: Array


def factored_svd(left: Array, right: Array) -> FactoredSVD:
    """Return the singular value decomposition of left @ right, of rank k.

    >>> left, right = np.array([[2.0], [0.0]]), np.array([[0.0, 3.0]])
    >>> factored_svd(left, right).values.round(6)
    array([6.])

    Args:
        left: [..., d, k].
        right: [..., k, d].
    """
    q_left, r_left = np.linalg.qr(left)
    q_right, r_right = np.linalg.qr(np.swapaxes(right, -1, -2))
    u, s, vt = np.linalg.svd(r_left @ np.swapaxes(r_right, -1, -2))
    return FactoredSVD(q_left @ u, s, vt @ np.swapaxes(q_right, -1, -2))


def eigenvalues_through(left: Array, middle: Array, right: Array) -> Array:
    """Return the nonzero eigenvalues of left @ right in vocabulary space, [..., k].

    Those of E @ left @ right @ U.T, words × words, with middle = U.T @ E [d, d]: A B and B A have
    the same nonzero eigenvalues.

    Args:
        left: [..., d, k].
        middle: [d, d].
        right: [..., k, d].
    """
    # One large product instead of many small ones.
    through = (right.reshape(-1, len(middle)) @ middle).reshape(right.shape)
    return np.asarray(np.linalg.eigvals(through @ left))


def copying_score(eigenvalues: Array) -> Array:
    """Return Σ Re λ / Σ |λ|, 1 if all eigenvalues are positive (Elhage et al., 2021); [...].

    >>> float(copying_score(np.array([3.0, -1.0])))
    0.5

    Args:
        eigenvalues: [..., k].
    """
    size = np.abs(eigenvalues).sum(-1)
    return np.asarray(eigenvalues.real.sum(-1) / np.where(size > 0, size, 1))


def positive_share(eigenvalues: Array) -> Array:
    """Return the share of eigenvalues [..., k] with a positive real part; [...]."""
    return np.asarray((eigenvalues.real > 0).mean(-1))


def composition_scores(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """Return ‖A B‖ / (‖A‖ ‖B‖) for every product A of the first and B of the second, [a, b].

    Frobenius norms: how much of what A writes B reads (Elhage et al., 2021); about 1 / √d for
    unrelated matrices.

    Args:
        first: the factors of each A, [a, d, k] and [a, k, d].
        second: the factors of each B, [b, d, k] and [b, k, d].
    """
    # Only the norms of the outer factors matter, and their triangular factors have the same.
    outer_left = np.linalg.qr(first[0], mode="r")
    outer_right = np.swapaxes(np.linalg.qr(np.swapaxes(second[1], -1, -2), mode="r"), -1, -2)
    size_first = np.linalg.norm(outer_left @ first[1], axis=(1, 2))
    size_second = np.linalg.norm(second[0] @ outer_right, axis=(1, 2))
    left = outer_left @ first[1]
    right = second[0] @ outer_right
    a, k, d = left.shape
    b, _, m = right.shape
    product = left.reshape(a * k, d) @ right.transpose(1, 0, 2).reshape(d, b * m)
    size = np.sqrt((product.reshape(a, k, b, m) ** 2).sum((1, 3)))
    return np.asarray(size / (size_first[:, None] * size_second))
