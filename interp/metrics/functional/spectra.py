"""The singular values of points around their mean, and how many dimensions they amount to.

Spectra are [..., k], in falling order.
"""

import numpy as np

from interp.metrics.functional.points import Array


def singular_values(points: Array) -> Array:
    """Return the singular values of each cloud around its mean, [..., min(n - 1, d)].

    By way of the smaller of the two Gram matrices, which for a thousand clouds of few points costs
    a tenth of as many decompositions; a value keeps an error of about 1e-16 of the largest one's
    square, relative to its own.

    Args:
        points: [..., n, d].
    """
    moved = points - points.mean(-2, keepdims=True)
    n, d = points.shape[-2:]
    turned = np.swapaxes(moved, -1, -2)
    gram = moved @ turned if n <= d else turned @ moved
    squares = np.linalg.eigvalsh(gram)[..., ::-1][..., : min(n - 1, d)]
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def effective_rank(spectra: Array) -> Array:
    """Return the exponential of the entropy of s / Σs (Roy and Vetterli, 2007); [...]."""
    shares = spectra / spectra.sum(-1, keepdims=True)
    logs = np.log(np.where(shares > 0, shares, 1))
    return np.asarray(np.exp(-(shares * logs).sum(-1)))


def participation_ratio(spectra: Array) -> Array:
    """Return (Σs²)² / Σs⁴: how many directions share the variance alike; [...]."""
    variances = spectra**2
    return np.asarray(variances.sum(-1) ** 2 / (variances**2).sum(-1))


def stable_rank(spectra: Array) -> Array:
    """Return Σs² / s₁², the squared Frobenius over the squared spectral norm; [...]."""
    variances = spectra**2
    return np.asarray(variances.sum(-1) / variances[..., 0])
