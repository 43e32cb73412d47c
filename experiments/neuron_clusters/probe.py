"""The accuracy of a linear probe on held-out points, under many labellings at once."""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# A prediction this close to 0 lies on the hyperplane.
_ON_PLANE = 1e-9


def probe_accuracy(
    points: Array, labellings: NDArray[np.bool_], held_out: list[NDArray[np.bool_]]
) -> Array:
    """Return the balanced accuracy of a linear probe on held-out points, [b].

    It is the mean of both groups' accuracies, so that chance is a half whatever their sizes.

    The probe is a ridge regression of the labels, +1 and -1, on the points (a least-squares
    classifier: Hastie et al., 2009, 4.2), fitted on all other folds. It predicts by its sign; a
    point on the hyperplane counts as half correct. Its penalty is the mean squared distance of the
    fitted points from their mean, which does not depend on labels: one matrix serves all
    labellings.

    Args:
        points: [n, d].
        labellings: which points are in the first group, [b, n].
        held_out: the points that each fold predicts, [n] each.
    """
    centred = points - points.mean(0)
    products = centred @ centred.T
    labels = np.where(labellings, 1.0, -1.0)
    correct = np.empty(labels.shape)
    for test in held_out:
        among, across = products[np.ix_(~test, ~test)], products[np.ix_(test, ~test)]
        mean = among.mean(0)
        across = across - across.mean(1, keepdims=True) - mean + mean.mean()
        among = among - mean - mean[:, None] + mean.mean()
        # Where all points coincide any penalty gives the same.
        penalty = np.trace(among) / len(among) or 1.0
        weights = np.linalg.solve(among + penalty * np.eye(len(among)), across.T)
        middle = labels[:, ~test].mean(1, keepdims=True)
        margin = (middle + (labels[:, ~test] - middle) @ weights) * labels[:, test]
        correct[:, test] = np.where(np.abs(margin) <= _ON_PLANE, 0.5, margin > 0)
    shares = [
        np.average(correct, axis=1, weights=of_group) for of_group in (labellings, ~labellings)
    ]
    return np.asarray((shares[0] + shares[1]) / 2)
