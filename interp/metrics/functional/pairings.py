"""Measures that average over pairs of points: a table of all pairs holds every pairing at once."""

import numpy as np

from interp.metrics.functional.points import Array, Orders, distances, distances_by_products


def mean_over_pairs(table: Array, orders: Orders) -> Array:
    """Return the mean of table [n, n] over the pairs (i, order[i]), for each of orders [b, n]."""
    means: Array = table[np.arange(len(table)), orders].mean(1)
    return means


def relative_distances(x: Array, y: Array) -> Array:
    """Return ‖xᵢ - yⱼ‖ / (‖xᵢ‖ + ‖yⱼ‖) for every pair of points, in [0, 1]; [n1, n2].

    Raises:
        ValueError: both clouds have a point at the origin, which leaves 0 / 0.
    """
    sizes = np.linalg.norm(x, axis=1)[:, None] + np.linalg.norm(y, axis=1)
    if (sizes == 0).any():
        raise ValueError("two points lie at the origin, so their distance has no relation to them")
    return np.asarray(distances_by_products(x, y) / sizes)


def difference_norms(x: Array, y: Array, orders: Orders, order: float) -> Array:
    """Return a Schatten norm of x - y[order] for each of orders [b, n]; [b].

    Args:
        x: points [n, d]; few dimensions make it fast.
        y: points [n, d].
        orders: the rearrangements of y's rows.
        order: 1 for the nuclear, 2 for the Frobenius, infinity for the spectral norm.
    """
    if order == 2:
        squares = distances(x, y, "sqeuclidean")
        return np.asarray(np.sqrt(len(x) * mean_over_pairs(squares, orders)))
    return np.array([schatten_norm(x - y[one], order) for one in orders])


def schatten_norm(matrix: Array, order: float) -> float:
    """Return the norm of a matrix's singular values: 1, 2 or infinity."""
    return float(np.linalg.norm(np.linalg.svd(matrix, compute_uv=False), order))
