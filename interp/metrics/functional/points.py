"""Clouds of points: centring, directions, distances; errors for degenerate clouds."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Permutations of the rows of a cloud, [b, n].
Orders = NDArray[np.intp]
# Assignments of the rows of two clouds to the first (true) or the second one, [b, n1 + n2].
Masks = NDArray[np.bool_]

# Relative to both points' squared lengths; smaller squared distances are not taken from products.
_CLOSE = 1e-4
# They fit into a core's cache.
_PAIRS_AT_ONCE = 2**18


def centred(points: Array) -> Array:
    """Return the points [n, d] minus their mean.

    Raises:
        ValueError: all points coincide, up to the rounding of float32.
    """
    moved: Array = points - points.mean(0)
    if np.linalg.norm(moved) <= 1e-7 * np.linalg.norm(points):
        raise ValueError("all points coincide, so there is no shape to compare")
    return moved


def directions(points: Array) -> Array:
    """Return the points [n, d] at unit length.

    >>> directions(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])

    Raises:
        ValueError: a point lies at the origin.
    """
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if (norms == 0).any():
        row = int(np.argmin(norms))
        raise ValueError(f"point {row} lies at the origin and has no direction")
    return np.asarray(points / norms)


def distances(x: Array, y: Array, kind: str) -> Array:
    """Return the distance of every point of x [n1, d] from every point of y [n2, d]; [n1, n2].

    From differences, which keep their precision for close points.

    Args:
        x: [n1, d].
        y: [n2, d].
        kind: of distance, as `scipy.spatial.distance.cdist` names it.
    """
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, kind))


def distances_by_products(x: Array, y: Array) -> Array:
    """Return the Euclidean distance of every point of x from every point of y, [n1, n2].

    From inner products, in a fifth of the time of `distances`. Pairs that are so close that
    products lose precision are computed from differences, so that the relative error is at most
    1e-11. Equal distances may differ in their last digits: for sums and means, not for ranks.

    Args:
        x: [n1, d].
        y: [n2, d].
    """
    origin = y.mean(0)
    x, y = x - origin, y - origin
    of_x, of_y = (np.einsum("nd,nd->n", z, z) for z in (x, y))
    found = np.empty((len(x), len(y)))
    height = max(_PAIRS_AT_ONCE // len(y), 1)
    for rows in (slice(start, start + height) for start in range(0, len(x), height)):
        squares = np.dot(-2 * x[rows], y.T, out=found[rows])
        sizes = of_x[rows, None] + of_y
        squares += sizes
        sizes *= _CLOSE
        near, to = np.nonzero(squares <= sizes)
        if len(near) > squares.size // 8:
            found[rows] = distances(x[rows], y, "euclidean")
            continue
        squares[near, to] = 0
        np.sqrt(squares, out=squares)
        squares[near, to] = np.linalg.norm(x[rows][near] - y[to], axis=1)
    return found


def in_few_dimensions(*clouds: Array) -> list[Array]:
    """Return clouds [nᵢ, dᵢ] in an orthonormal basis of the space that they span together.

    Inner products and distances are preserved, in at most as many dimensions as there are points.
    Clouds of different width are first padded with zeros.
    """
    width = max(cloud.shape[1] for cloud in clouds)
    padded = [np.pad(cloud, ((0, 0), (0, width - cloud.shape[1]))) for cloud in clouds]
    together = np.concatenate(padded)
    if len(together) < width:
        together = np.asarray(np.linalg.qr(together.T, mode="r")).T
    return np.split(together, np.cumsum([len(cloud) for cloud in clouds])[:-1])
