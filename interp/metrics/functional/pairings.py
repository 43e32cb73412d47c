"""Means over pairs of points: one table of all pairs serves every pairing."""

import numpy as np

from interp.metrics.functional.points import Array, Orders, distances, distances_by_products


def mean_over_pairs(table: Array, orders: Orders) -> Array:
    """Return the mean of a table over the pairs (i, order[i]) for each order, [b].

    >>> mean_over_pairs(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0, 1], [1, 0]]))
    array([2.5, 2.5])

    Args:
        table: of all pairs, [n, n].
        orders: [b, n].
    """
    means: Array = table[np.arange(len(table)), orders].mean(1)
    return means


def relative_distances(x: Array, y: Array) -> Array:
    """Return ‖xᵢ - yⱼ‖ / (‖xᵢ‖ + ‖yⱼ‖) of points x [n1, d] and y [n2, d], in [0, 1]; [n1, n2].

    Raises:
        ValueError: both clouds have a point at the origin.
    """
    sizes = np.linalg.norm(x, axis=1)[:, None] + np.linalg.norm(y, axis=1)
    if (sizes == 0).any():
        raise ValueError("two points lie at the origin, so their relative distance is undefined")
    return np.asarray(distances_by_products(x, y) / sizes)


def difference_norms(x: Array, y: Array, orders: Orders, order: float) -> Array:
    """Return a Schatten norm of x - y[order] for each order, [b].

    Args:
        x: points [n, d]; the cost grows with d, see `in_few_dimensions`.
        y: points [n, d].
        orders: permutations of y's rows, [b, n].
        order: 1 for the nuclear, 2 for the Frobenius, infinity for the spectral norm.
    """
    if order == 2:
        squares = distances(x, y, "sqeuclidean")
        return np.asarray(np.sqrt(len(x) * mean_over_pairs(squares, orders)))
    return np.array([schatten_norm(x - y[one], order) for one in orders])


def schatten_norm(matrix: Array, order: float) -> float:
    """Return the norm of a matrix's singular values, of order 1, 2 or infinity.

    >>> schatten_norm(np.diag([3.0, 4.0]), 2)
    5.0
    """
    return float(np.linalg.norm(np.linalg.svd(matrix, compute_uv=False), order))
