"""How well a cloud of points predicts an order: by one component, and by ridge regression.

An order assigns each point a number; orders are [b, n], many for the same points at once.
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# Candidate ridge penalties, relative to the mean squared singular value.
_PENALTIES = np.logspace(-4, 3, 8)

_MOST_FOLDS = 10


def rank_correlations(components: Array, orders: Array) -> Array:
    """Return Spearman's correlation of each component with each order, [b, k].

    0 if a component or an order does not vary.

    >>> rank_correlations(np.array([[1.0], [5.0], [9.0]]), np.array([[0.0, 2.0, 1.0]])).round(6)
    array([[0.5]])

    Args:
        components: [n, k].
        orders: [b, n].
    """
    from scipy.stats import rankdata

    x = _standardised(rankdata(components, axis=0).T)
    y = _standardised(rankdata(orders, axis=1))
    return np.asarray(y @ x.T)


def _standardised(ranks: Array) -> Array:
    centred = ranks - ranks.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(norms > 0, norms, 1))


def folds(unit_of_row: NDArray[np.intp], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Assign the points to at most ten folds at random, the points of one unit together.

    Args:
        unit_of_row: the unit of each point, [n].
        rng: for the assignment.

    Returns:
        for each fold a mask of the points that it holds out, [n].
    """
    units, unit_of_row = np.unique(unit_of_row, return_inverse=True)
    fold_of_unit = rng.permutation(np.arange(len(units)) % min(len(units), _MOST_FOLDS))
    fold_of_row = fold_of_unit[unit_of_row]
    return [fold_of_row == fold for fold in range(fold_of_unit.max() + 1)]


def ridge_r2(points: Array, orders: Array, held_out: list[NDArray[np.bool_]]) -> Array:
    """Return the cross-validated R² of a ridge regression of each order on the points, [b].

    1 minus the squared error of the held-out predictions over the variance of the order; negative
    if the mean would predict better. Each fold chooses the penalty of each order by the
    leave-one-out error within its training points (Hastie et al., 2009, 7.10.1).

    Args:
        points: [n, d].
        orders: [b, n], each with some variance.
        held_out: for each fold a mask of the points that it predicts, [n].
    """
    predicted = np.empty(orders.shape)
    for test in held_out:
        predicted[:, test] = _predicted(points[~test], orders[:, ~test].T, points[test]).T
    error = ((orders - predicted) ** 2).sum(1)
    total = ((orders - orders.mean(1, keepdims=True)) ** 2).sum(1)
    return np.asarray(1 - error / total)


def _predicted(points: Array, targets: Array, others: Array) -> Array:
    """Fit a ridge regression of each target [n, b] on points [n, d]; predict others [m, d].

    One decomposition serves all targets and penalties: leaving a point out multiplies its residual
    by 1 / (1 - its leverage), where the leverage includes the mean's 1 / n.
    """
    mean, middle = points.mean(0), targets.mean(0)
    u, s, vt = np.linalg.svd(points - mean, full_matrices=False)
    targets = targets - middle
    along = u.T @ targets
    # If all points coincide any penalty serves.
    penalties = _PENALTIES * ((s**2).mean() or 1.0)
    errors = np.empty((len(penalties), targets.shape[1]))
    squares, residual = u**2, np.empty(targets.shape)
    for i, penalty in enumerate(penalties):
        kept = s**2 / (s**2 + penalty)
        # In place: the array is as large as all targets.
        np.matmul(u, kept[:, None] * along, out=residual)
        np.subtract(targets, residual, out=residual)
        np.square(residual, out=residual)
        leverage = 1 / len(points) + squares @ kept
        errors[i] = (1 - leverage) ** -2 @ residual
    best = penalties[errors.argmin(0)]
    weights = s[:, None] / (s[:, None] ** 2 + best) * along
    return np.asarray((others - mean) @ vt.T @ weights + middle)
