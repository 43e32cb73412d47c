"""Measures of clouds up to a change of axes: Procrustes, canonical correlations, angles."""

from collections.abc import Iterator, Sequence

import numpy as np

from interp.metrics.functional.points import Array, Orders, centred

# Of the largest variance: what is less loses digits in a product of the points with themselves.
_SMALLEST_VARIANCE = 1e-6
# Numbers held at once by the products of many draws: 8 MB.
_HELD_AT_ONCE = 1_000_000


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

    By way of the smaller of the two products of x with itself, in a third to a tenth of the time of
    a singular value decomposition. Its directions are off by up to 1e-16 of the largest variance
    over the gap to the next one, where a decomposition has standard deviations for variances; so
    where a component is kept that holds less than 1e-6 of the largest one's variance, x itself is
    decomposed.

    Args:
        x: points [n, d].
        components: at most so many; None keeps all that are no rounding.
        variance: no more than hold this share of the variance.

    Raises:
        ValueError: the points coincide.
    """
    moved = centred(x)
    n, d = moved.shape
    squares, axes = np.linalg.eigh(moved @ moved.T if n <= d else moved.T @ moved)
    squares, axes = np.maximum(squares[::-1], 0), axes[:, ::-1]
    kept = min(_enough(squares, variance), components or len(squares))
    if squares[kept - 1] > _SMALLEST_VARIANCE * squares[0]:
        # Scores are at right angles but for rounding, which would add up over many draws.
        return axes[:, :kept] if n <= d else np.linalg.qr(moved @ axes[:, :kept])[0]
    u, s, _ = np.linalg.svd(moved, full_matrices=False)
    rank = int((s > s[0] * max(x.shape) * np.finfo(float).eps).sum())
    return np.asarray(u[:, : min(rank, _enough(s**2, variance), components or rank)])


def _enough(variances: Array, share: float) -> int:
    """Return how many variances, the largest first, hold a share of all."""
    held = np.cumsum(variances) / variances.sum()
    return min(int(np.searchsorted(held, share * (1 - 1e-12))) + 1, len(held))


def mean_correlations(xs: Sequence[Array], y: Array, orders: Orders) -> Array:
    """Return the mean canonical correlation of each x and y[order]; [len(xs), b].

    Args:
        xs: orthonormal bases [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        orders: [b, n] rearrangements of y's rows.
    """
    values = np.empty((len(xs), len(orders)))
    for draws, products in _products(xs, y, orders):
        for i, product in enumerate(products):
            rho = np.minimum(np.linalg.svd(product, compute_uv=False), 1.0)
            values[i, draws] = rho.mean(1)
    return values


def projection_weighted_correlations(
    xs: Sequence[Array], y: Array, loadings: Sequence[Array], orders: Orders
) -> Array:
    """PWCCA (Morcos et al., 2018) of each x for each of orders [b, n] of y's rows; [len(xs), b].

    The mean canonical correlation, the i-th weighted by Σⱼ |⟨hᵢ, xⱼ⟩|: how much the i-th canonical
    variate hᵢ of the first cloud accounts for its neurons xⱼ, each centred.

    Args:
        xs: orthonormal bases [n, k1] of centred columns.
        y: the same for the other cloud, [n, k2].
        loadings: of each x, xᵀ times the first cloud's neurons, [k1, d].
        orders: rearrangements of y's rows.
    """
    values = np.empty((len(xs), len(orders)))
    for draws, products in _products(xs, y, orders):
        for i, product in enumerate(products):
            u, rho, _ = np.linalg.svd(product, full_matrices=False)
            weights = np.array([np.abs(variates.T @ loadings[i]).sum(1) for variates in u])
            correlations = (np.minimum(rho, 1.0) * weights).sum(1)
            values[i, draws] = correlations / weights.sum(1)
    return values


def _products(xs: Sequence[Array], y: Array, orders: Orders) -> Iterator[tuple[slice, list[Array]]]:
    """Yield xᵀ y[order] for some of orders, [draws, k1, k2] for each x, and which they are.

    y is evaluate_permutations once for all of xs.
    """
    beside = np.concatenate(xs, axis=1).T
    ends = np.cumsum([x.shape[1] for x in xs])[:-1]
    step = max(_HELD_AT_ONCE // (len(beside) * y.shape[1]), 1)
    for start in range(0, len(orders), step):
        draws = slice(start, start + step)
        products = np.stack([beside @ y[order] for order in orders[draws]])
        yield draws, np.split(products, ends, axis=1)


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
