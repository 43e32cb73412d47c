"""Measures of two clouds as distributions: the order of points does not matter."""

import importlib
import os
from types import ModuleType

import numpy as np

from interp.metrics.functional.points import Array, Masks, distances


def cosines_of_means(points: Array, masks: Masks) -> Array:
    """Return the cosine between the mean points of both parts of points [n, d]; [b].

    `masks` [b, n] says which points form the first part; so it does in all that follows.

    Raises:
        ValueError: a mean point at the origin.
    """
    first, second = (masks @ points, ~masks @ points)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    if (norms == 0).any():
        raise ValueError("a mean point lies at the origin and has no direction")
    return np.asarray((first * second).sum(1) / norms)


def singular_value_distances(points: Array, masks: Masks, *, center: bool, relative: bool) -> Array:
    """Distance between the spectra of both parts of points [n, d]; [b].

    The singular values are divided by √n, which makes them the standard deviations along the
    principal axes (with `center`) and parts of different size comparable. The distance is
    ‖σ(x) - σ(y)‖, and `relative` divides it by ‖σ(x)‖ + ‖σ(y)‖, which keeps it in [0, 1].
    Singular values come from eigenvalues of products, exact to about 1e-8 of the largest.

    Raises:
        ValueError: both spectra are zero.
    """
    a, b = (_spectra(points, part, center) for part in (masks, ~masks))
    norms = np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1)
    if (norms == 0).any():
        raise ValueError("both clouds are a single repeated point: their spectra are zero")
    return np.asarray(np.linalg.norm(a - b, axis=1) / (norms if relative else 1.0))


def _spectra(points: Array, masks: Masks, center: bool) -> Array:
    spectra = np.zeros((len(masks), min(points.shape)))
    for draw, mask in enumerate(masks):
        chosen = points[mask]
        if center:
            chosen = chosen - chosen.mean(0)
        # The smaller of the two products has the same non-zero eigenvalues.
        product = chosen.T @ chosen if len(chosen) > chosen.shape[1] else chosen @ chosen.T
        values = np.linalg.eigvalsh(product)[::-1]
        spectra[draw, : len(values)] = np.sqrt(np.maximum(values, 0) / len(chosen))
    return spectra


def wasserstein_distances(points: Array, masks: Masks) -> Array:
    """Return the exact 2-Wasserstein distance between both parts of points [n, d]; [b].

    All points of a part weigh the same. Parts of one size are matched point by point; others are
    solved as the transport problem that they are.
    """
    squares = distances(points, points, "sqeuclidean")
    # The solvers' tolerances are absolute.
    scale = squares.max() or 1.0
    costs = (squares[mask][:, ~mask] / scale for mask in masks)
    return np.sqrt([scale * _transport_cost(cost) for cost in costs])


def _transport_cost(costs: Array) -> float:
    """Return the least mean cost of moving one uniform distribution onto another."""
    from scipy.optimize import linear_sum_assignment

    if costs.shape[0] == costs.shape[1]:
        rows, columns = linear_sum_assignment(costs)
        return float(costs[rows, columns].mean())
    return float(_pot().emd2([], [], np.ascontiguousarray(costs)))


def gromov_wasserstein_distances(points: Array, masks: Masks) -> Array:
    """Return the Gromov-Wasserstein distance between both parts of points [n, d]; [b].

    The root of the least mean squared difference between the distances within one part and those
    within the other, over all couplings (Mémoli, 2011, without his factor 1/2). The problem is not
    convex: POT's conditional gradient, begun at the uniform coupling, finds a local minimum, which
    bounds the distance from above.
    """
    table = distances(points, points, "euclidean")
    scale = table.max() or 1.0
    values = []
    for mask in masks:
        parts = [table[np.ix_(part, part)] / scale for part in (mask, ~mask)]
        weights = [np.full(len(part), 1 / len(part)) for part in parts]
        least = _pot().gromov.gromov_wasserstein2(*parts, *weights, loss_fun="square_loss")
        values.append(float(least))
    return np.asarray(scale * np.sqrt(np.maximum(values, 0)))


def _pot() -> ModuleType:
    """Return POT, which would import every tensor library there is, to serve its own arrays."""
    for library in ("PYTORCH", "JAX", "TENSORFLOW", "CUPY"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")
    return importlib.import_module("ot")
