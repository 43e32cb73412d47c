"""Measures of two clouds as distributions: the order of points does not matter."""

import importlib
import os
from types import ModuleType

import numpy as np

from interp.metrics.functional.points import Array, Masks, distances


def cosines_of_means(points: Array, masks: Masks) -> Array:
    """Return the cosine similarity of the mean points of both parts of points, [b].

    >>> cosines_of_means(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[True, False]]))
    array([0.])

    Args:
        points: [n, d].
        masks: true for the points of the first part, [b, n].

    Raises:
        ValueError: a mean point at the origin.
    """
    first, second = (masks @ points, ~masks @ points)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    if (norms == 0).any():
        raise ValueError("a mean point lies at the origin and has no direction")
    return np.asarray((first * second).sum(1) / norms)


def singular_value_distances(points: Array, masks: Masks, *, center: bool, relative: bool) -> Array:
    """Return the distance between the spectra of both parts of points, [b].

    Singular values are divided by √n: with `center` they are the standard deviations along the
    principal axes, and parts of different size are comparable. The distance is ‖σ(x) - σ(y)‖. They
    come from eigenvalues of products, with a precision of about 1e-8 of the largest.

    Args:
        points: [n, d].
        masks: true for the points of the first part, [b, n].
        center: subtract the mean of each part first.
        relative: divide by ‖σ(x)‖ + ‖σ(y)‖, so that the distance lies in [0, 1].

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
    for i, mask in enumerate(masks):
        chosen = points[mask]
        if center:
            chosen = chosen - chosen.mean(0)
        # The smaller of the two products has the same non-zero eigenvalues.
        product = chosen.T @ chosen if len(chosen) > chosen.shape[1] else chosen @ chosen.T
        values = np.linalg.eigvalsh(product)[::-1]
        spectra[i, : len(values)] = np.sqrt(np.maximum(values, 0) / len(chosen))
    return spectra


def wasserstein_distances(points: Array, masks: Masks) -> Array:
    """Return the exact 2-Wasserstein distance between both parts of points, [b].

    All points of a part have the same weight. Parts of equal size are an assignment problem, others
    a transport problem, solved by POT.

    >>> wasserstein_distances(np.array([[0.0], [1.0], [4.0]]), np.array([[True, True, False]]))
    array([3.53553391])

    Args:
        points: [n, d].
        masks: true for the points of the first part, [b, n].
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
    """Return the Gromov-Wasserstein distance between both parts of points, [b].

    The root of the least mean squared difference between the distances within one part and those
    within the other, over all couplings (Mémoli, 2011, without his factor 1/2). The problem is not
    convex: POT's conditional gradient, started at the uniform coupling, finds a local minimum,
    which is an upper bound.

    Args:
        points: [n, d].
        masks: true for the points of the first part, [b, n].
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
    """Return POT without its optional backends: it would import every installed tensor library."""
    for library in ("PYTORCH", "JAX", "TENSORFLOW", "CUPY"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")
    return importlib.import_module("ot")
