"""What is computed of one cloud of points alone, and what it must have to be compared."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Orders = NDArray[np.intp]
Masks = NDArray[np.bool_]


def centred(points: Array) -> Array:
    """Return the points [n, d] with their mean taken off.

    Raises:
        ValueError: the points coincide, up to the rounding of float32.
    """
    moved: Array = points - points.mean(0)
    if np.linalg.norm(moved) <= 1e-7 * np.linalg.norm(points):
        raise ValueError("all points coincide, so there is no shape to compare")
    return moved


def directions(points: Array) -> Array:
    """Return the points [n, d] at unit length.

    Raises:
        ValueError: a point at the origin has no direction.
    """
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if (norms == 0).any():
        row = int(np.argmin(norms))
        raise ValueError(f"point {row} lies at the origin and has no direction")
    return np.asarray(points / norms)


def distances(x: Array, y: Array, kind: str) -> Array:
    """Return the distance of every point of x [n1, d] from every point of y [n2, d]; [n1, n2].

    `kind` is a distance of `scipy.spatial.distance.cdist`, which takes differences before it
    squares them: close points keep their digits.
    """
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, kind))


def in_few_dimensions(*clouds: Array) -> list[Array]:
    """Return the clouds in an orthonormal basis of the space that they span together.

    Inner products and distances stay as they are, in at most as many dimensions as there are
    points. Clouds of different width are first filled up with zeros.
    """
    width = max(cloud.shape[1] for cloud in clouds)
    padded = [np.pad(cloud, ((0, 0), (0, width - cloud.shape[1]))) for cloud in clouds]
    together = np.concatenate(padded)
    if len(together) < width:
        together = np.asarray(np.linalg.qr(together.T, mode="r")).T
    return np.split(together, np.cumsum([len(cloud) for cloud in clouds])[:-1])
