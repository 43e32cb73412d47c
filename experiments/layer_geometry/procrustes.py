"""Alignment of each layer's points with those of the layer before."""

import numpy as np

from interp.metrics.functional.points import Array


def align_layers(points: Array) -> Array:
    """Rotate each layer's points to lie as near as possible to those of the layer before.

    The signs and the order of principal components are arbitrary and, where two of them hold about
    the same variance, so is every rotation within their plane. The rotation, with or without a
    reflection, is that of least squares (orthogonal Procrustes: Schönemann, 1966); distances within
    a layer do not change.

    Args:
        points: [layer, n, k].
    """
    from scipy.linalg import orthogonal_procrustes

    aligned = points.copy()
    for i in range(1, len(points)):
        aligned[i] = points[i] @ orthogonal_procrustes(points[i], aligned[i - 1])[0]
    return np.asarray(aligned)
