"""How well one cloud predicts another: cross-validated ridge regression, in closed form."""

import numpy as np

from interp.metrics.functional.points import Array


def residual_forms(n: int, folds: int, gram: Array | None, ridge: float) -> Array:
    """Return A [n, n] such that tr(Yᵀ A Y) is the cross-validated squared error of predicting Y.

    Each fold is a block of consecutive points, predicted from all others by ridge regression on X,
    or by the training mean. Predictions are linear in Y, so that one matrix serves every
    permutation of Y.

    Args:
        n: how many points.
        folds: how many blocks.
        gram: X Xᵀ [n, n]; None predicts by the training mean.
        ridge: the penalty, in units of the mean squared length of the centred training points.
    """
    misses = np.eye(n)
    for held_out in np.array_split(np.arange(n), folds):
        training = np.setdiff1d(np.arange(n), held_out)
        m = len(training)
        mean = np.full((len(held_out), m), 1 / m)
        weights = mean
        if gram is not None:
            centring = np.eye(m) - 1 / m
            within = centring @ gram[np.ix_(training, training)] @ centring
            across = gram[np.ix_(held_out, training)] - mean @ gram[np.ix_(training, training)]
            penalty = ridge * np.trace(within) / m
            # Without a penalty the pseudo-inverse gives the fit of least norm.
            inverse = np.linalg.pinv(within + penalty * np.eye(m), hermitian=True)
            weights = mean + across @ centring @ inverse @ centring
        misses[np.ix_(held_out, training)] -= weights
    return np.asarray(misses.T @ misses)
