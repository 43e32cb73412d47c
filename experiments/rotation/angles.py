"""Angles between vectors in degrees, accurate for small and for large angles.

The cosine of a small angle differs from 1 by about half its square, so the arc cosine loses half of
the digits; in float32 it loses all of them at 1e-4 rad. The half-angle tangent of Kahan (2006, "How
futile are mindless assessments of roundoff in floating-point computation?", §12) keeps them.
"""

import numpy as np

from interp.metrics.functional.points import Array, directions


def angles(x: Array, y: Array) -> Array:
    """Return the angle between each vector of x [..., d] and that of y [..., d]; [...] in degrees.

    2 · atan2(|u − v|, |u + v|) of the vectors u and v at unit length, from 0 to 180.

    Raises:
        ValueError: a vector is zero and has no direction.
    """
    return _between_unit_vectors(_at_unit_length(x), _at_unit_length(y))


def mean_angle(points: Array) -> Array:
    """Return the mean angle between all pairs of m vectors [..., m, d]; [...] in degrees.

    Raises:
        ValueError: a vector is zero and has no direction, or there are fewer than two vectors.
    """
    m = points.shape[-2]
    if m < 2:
        raise ValueError(f"{m} vectors have no angle between them")
    units = _at_unit_length(points)
    total = np.zeros(points.shape[:-2])
    for offset in range(1, m):
        total += _between_unit_vectors(units[..., offset:, :], units[..., :-offset, :]).sum(-1)
    return np.asarray(total / (m * (m - 1) / 2))


def _at_unit_length(x: Array) -> Array:
    return directions(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def _between_unit_vectors(u: Array, v: Array) -> Array:
    half = np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1))
    return np.asarray(np.degrees(2 * half))
