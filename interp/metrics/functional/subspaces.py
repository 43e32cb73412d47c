"""Similarities of clouds up to a linear map: Procrustes, canonical correlations, angles."""

from collections.abc import Iterator, Sequence

import numpy as np

from interp.metrics.functional.points import Array, Orders, centred

# Relative to the largest variance: below it a product of x with itself loses precision.
_SMALLEST_VARIANCE = 1e-6
# Numbers held at once by the products of many permutations: 8 MB.
_HELD_AT_ONCE = 1_000_000


def principal(x: Array) -> Array:
    """Return points x [n, d] centred, at unit norm, in their principal axes: [n, min(n, d)].

    Raises:
        ValueError: all points coincide.
    """
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    return np.asarray(u * (s / np.linalg.norm(s)))


def procrustes(x: Array, y: Array, orders: Orders) -> Array:
    """Return the orthogonal Procrustes similarity for each order of y's rows, [b], in [0, 1].

    The nuclear norm of XᵀY: the smallest squared distance that a rotation can leave between both
    clouds is 2 - 2 times this number (Schönemann, 1966).

    Args:
        x: from `principal`, [n, k1].
        y: from `principal`, [n, k2].
        orders: permutations of y's rows, [b, n].
    """
    products = (x.T @ y[order] for order in orders)
    return np.array([np.linalg.svd(product, compute_uv=False).sum() for product in products])


def leading_basis(x: Array, *, components: int | None, variance: float) -> Array:
    """Return an orthonormal basis of the scores of the leading principal components, [n, k].

    From the smaller of the two products of x with itself, in a third to a tenth of the time of a
    singular value decomposition. The error of a direction is up to 1e-16 of the largest variance
    over the gap to the next one; if a kept component has less than 1e-6 of the largest variance, x
    itself is decomposed.

    Args:
        x: points [n, d].
        components: at most that many; None keeps all above rounding error.
        variance: no more components than explain this share of the variance.

    Raises:
        ValueError: all points coincide.
    """
    moved = centred(x)
    n, d = moved.shape
    squares, axes = np.linalg.eigh(moved @ moved.T if n <= d else moved.T @ moved)
    squares, axes = np.maximum(squares[::-1], 0), axes[:, ::-1]
    kept = min(_enough(squares, variance), components or len(squares))
    if squares[kept - 1] > _SMALLEST_VARIANCE * squares[0]:
        # Scores are orthogonal only up to rounding, hence the QR decomposition.
        return axes[:, :kept] if n <= d else np.linalg.qr(moved @ axes[:, :kept])[0]
    u, s, _ = np.linalg.svd(moved, full_matrices=False)
    rank = int((s > s[0] * max(x.shape) * np.finfo(float).eps).sum())
    return np.asarray(u[:, : min(rank, _enough(s**2, variance), components or rank)])


def _enough(variances: Array, share: float) -> int:
    """Return how many of the descending variances add up to a share of their sum."""
    held = np.cumsum(variances) / variances.sum()
    return min(int(np.searchsorted(held, share * (1 - 1e-12))) + 1, len(held))


def mean_correlations(xs: Sequence[Array], y: Array, orders: Orders) -> Array:
    """Return the mean canonical correlation (Hotelling, 1936) of each x and y[order], [len(xs), b].

    Args:
        xs: orthonormal bases [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        orders: permutations of y's rows, [b, n].
    """
    values = np.empty((len(xs), len(orders)))
    for chunk, products in _products(xs, y, orders):
        for i, product in enumerate(products):
            rho = np.minimum(np.linalg.svd(product, compute_uv=False), 1.0)
            values[i, chunk] = rho.mean(1)
    return values


def projection_weighted_correlations(
    xs: Sequence[Array], y: Array, loadings: Sequence[Array], orders: Orders
) -> Array:
    """Return the PWCCA (Morcos et al., 2018) of each x and y[order], [len(xs), b].

    The mean canonical correlation, the i-th weighted by Σⱼ |⟨hᵢ, xⱼ⟩|: how much of the first
    cloud's centred neurons xⱼ its i-th canonical variate hᵢ accounts for.

    Args:
        xs: orthonormal bases [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        loadings: of each x, xᵀ times the first cloud's neurons, [k1, d].
        orders: permutations of y's rows, [b, n].
    """
    values = np.empty((len(xs), len(orders)))
    for chunk, products in _products(xs, y, orders):
        for i, product in enumerate(products):
            u, rho, _ = np.linalg.svd(product, full_matrices=False)
            weights = np.array([np.abs(variates.T @ loadings[i]).sum(1) for variates in u])
            correlations = (np.minimum(rho, 1.0) * weights).sum(1)
            values[i, chunk] = correlations / weights.sum(1)
    return values


def _products(xs: Sequence[Array], y: Array, orders: Orders) -> Iterator[tuple[slice, list[Array]]]:
    """Yield chunks of orders, as slices, with the products xᵀ y[order] [order, k1, k2] of each x.

    Each permutation of y is made once for all xs.
    """
    stacked = np.concatenate(xs, axis=1).T
    ends = np.cumsum([x.shape[1] for x in xs])[:-1]
    step = max(_HELD_AT_ONCE // (len(stacked) * y.shape[1]), 1)
    for start in range(0, len(orders), step):
        chunk = slice(start, start + step)
        products = np.stack([stacked @ y[order] for order in orders[chunk]])
        yield chunk, np.split(products, ends, axis=1)


def leading_axes(x: Array, components: int) -> Array:
    """Return the leading principal axes [d, k] of x [n, d], as orthonormal columns.

    Raises:
        ValueError: the points span fewer dimensions.
    """
    _, s, vt = np.linalg.svd(centred(x), full_matrices=False)
    rank = int((s > s[0] * max(x.shape) * np.finfo(float).eps).sum())
    if rank < components:
        raise ValueError(f"the points span {rank} dimensions, fewer than the {components} compared")
    return np.asarray(vt[:components].T)


def principal_angles(x: Array, y: Array) -> Array:
    """Return the principal angles between two subspaces in degrees, ascending, [k].

    Both sine and cosine are computed, so that angles near 0 and near 90 are precise (Björck and
    Golub, 1973).

    >>> principal_angles(np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]]) / 2**0.5).round(6)
    array([45.])

    Args:
        x: orthonormal columns [d, k].
        y: orthonormal columns [d, k].
    """
    product = x.T @ y
    cosines = np.linalg.svd(product, compute_uv=False)
    sines = np.linalg.svd(y - x @ product, compute_uv=False)[::-1]
    return np.asarray(np.degrees(np.arctan2(sines, cosines)))
