"""Layouts of one set of points, a frame a layer, brought into line with one another."""

import numpy as np

from interp.metrics.functional.points import Array


def aligned(frames: Array) -> Array:
    """Turn each frame to lie as near as it can to the one before; [layer, n, k].

    The signs and the order of principal components are arbitrary, and where two of them hold about
    the same variance so is every rotation among them. The rotation, with or without a reflection,
    is that of least squares (orthogonal Procrustes: Schönemann, 1966); distances stay as they are.
    """
    from scipy.linalg import orthogonal_procrustes

    turned = frames.copy()
    for i in range(1, len(frames)):
        turned[i] = frames[i] @ orthogonal_procrustes(frames[i], turned[i - 1])[0]
    return np.asarray(turned)
