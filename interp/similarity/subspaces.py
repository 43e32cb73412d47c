"""Measures of clouds up to a change of axes: Procrustes, canonical correlations, angles."""

import numpy as np

from interp.similarity.points import Array, Orders, centred


def principal(x: Array) -> Array:
    """Return x [n, d], centred and at unit norm, in its own principal axes: at most n columns.

    Raises:
        ValueError: the points coincide.
    """
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    return np.asarray(u * (s / np.linalg.norm(s)))


def procrustes(x: Array, y: Array, orders: Orders) -> Array:
    """Orthogonal Procrustes similarity for each of orders [b, n] of y's rows; [b], in [0, 1].

    The nuclear norm of XᵀY for principal forms x [n, k1] and y [n, k2]: the smallest squared
    distance that a rotation can leave between them is 2 - 2 times this number (Schönemann, 1966).
    """
    products = (x.T @ y[order] for order in orders)
    return np.array([np.linalg.svd(product, compute_uv=False).sum() for product in products])


def leading_basis(x: Array, *, components: int | None, variance: float) -> Array:
    """Return an orthonormal basis [n, k] of the leading principal components' scores of x [n, d].

    Args:
        x: points [n, d].
        components: at most so many; None keeps all that are no rounding.
        variance: no more than hold this share of the variance.

    Raises:
        ValueError: the points coincide.
    """
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    rank = int((s > s[0] * max(x.shape) * np.finfo(float).eps).sum())
    held = np.cumsum(s**2) / (s**2).sum()
    enough = int(np.searchsorted(held, variance * (1 - 1e-12))) + 1
    return np.asarray(u[:, : min(rank, enough, components or rank)])


def canonical_correlations(x: Array, y: Array, orders: Orders) -> Array:
    """Return the canonical correlations of x and y[order], for each of orders; [b, min(k1, k2)].

    Args:
        x: an orthonormal basis [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        orders: [b, n] rearrangements of y's rows.

    Raises:
        ValueError: k1 + k2 is not below n, so that some correlations are 1 whatever the points.
    """
    products = np.stack([x.T @ y[order] for order in orders])
    return np.minimum(np.linalg.svd(products, compute_uv=False), 1.0)


def projection_weighted_correlations(x: Array, y: Array, loadings: Array, orders: Orders) -> Array:
    """PWCCA (Morcos et al., 2018) for each of orders [b, n] of y's rows; [b], in [0, 1].

    The mean canonical correlation, the i-th weighted by Σⱼ |⟨hᵢ, xⱼ⟩|: how much the i-th canonical
    variate hᵢ of the first cloud accounts for its neurons xⱼ, each centred.

    Args:
        x: an orthonormal basis [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        loadings: xᵀ times the first cloud's neurons, [k1, d].
        orders: rearrangements of y's rows.
    """
    values = np.empty(len(orders))
    for draw, order in enumerate(orders):
        u, rho, _ = np.linalg.svd(x.T @ y[order], full_matrices=False)
        weights = np.abs(u.T @ loadings).sum(1)
        values[draw] = np.minimum(rho, 1.0) @ weights / weights.sum()
    return values


def leading_axes(x: Array, components: int) -> Array:
    """Return the leading principal axes [d, k] of x [n, d], as orthonormal columns.

    Raises:
        ValueError: the points do not span so many dimensions.
    """
    _, s, vt = np.linalg.svd(centred(x), full_matrices=False)
    rank = int((s > s[0] * max(x.shape) * np.finfo(float).eps).sum())
    if rank < components:
        raise ValueError(f"the points span {rank} dimensions, fewer than the {components} compared")
    return np.asarray(vt[:components].T)


def principal_angles(x: Array, y: Array) -> Array:
    """Return the angles between two subspaces, in degrees, from the smallest on; [k].

    Sine and cosine are both computed, so that angles near 0 and near 90 keep their digits
    (Björck and Golub, 1973).

    Args:
        x: orthonormal columns [d, k].
        y: orthonormal columns [d, k].
    """
    product = x.T @ y
    cosines = np.linalg.svd(product, compute_uv=False)
    sines = np.linalg.svd(y - x @ product, compute_uv=False)[::-1]
    return np.asarray(np.degrees(np.arctan2(sines, cosines)))
