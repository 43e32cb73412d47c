"""Similarities of the relations between points: inner products of kernels.

A kernel here is a matrix [n, n] over the pairs of points of one cloud, with unit Frobenius norm, so
that the similarity of two clouds is the inner product of their kernels. Permuting the points of a
cloud permutes rows and columns of its kernel and leaves its entries unchanged.
"""

from collections.abc import Sequence

import numpy as np

from interp.metrics.functional.points import Array, Orders, centred, directions, distances

# Numbers of a permuted kernel that are held at once: they fit into a core's cache.
_HELD_AT_ONCE = 2**16
# Up to so many points several kernels are permuted together: calls cost more than copying there.
_SMALL = 64


def inner_products(xs: Sequence[Array], y: Array, orders: Orders) -> Array:
    """Return ⟨x, permuted y⟩ for each kernel x and each order of y's points, [len(xs), b].

    Each permutation of y is made once for all kernels x, in pieces that fit into the processor's
    cache: many small kernels, or some rows of a large one.

    Args:
        xs: kernels, [n, n] each.
        y: a kernel, [n, n].
        orders: permutations of y's points, [b, n].
    """
    n = len(y)
    products = np.zeros((len(xs), len(orders)))
    if n <= _SMALL:
        flat = [x.reshape(-1) for x in xs]
        step = _HELD_AT_ONCE // n**2
        for start in range(0, len(orders), step):
            chunk = orders[start : start + step]
            entries = chunk[:, :, None] * n + chunk[:, None, :]
            permuted = y.reshape(-1)[entries].reshape(len(chunk), -1)
            for i, x in enumerate(flat):
                products[i, start : start + step] = permuted @ x
        return products
    height = max(_HELD_AT_ONCE // n, 1)
    for j, order in enumerate(orders):
        for start in range(0, n, height):
            rows = slice(start, start + height)
            # Only with a mode does `take` skip the check of every index.
            permuted = y[order[rows]].take(order, axis=1, mode="clip")
            for i, x in enumerate(xs):
                products[i, j] += np.vdot(x[rows], permuted)
    return products


def linear_kernel(x: Array, *, debiased: bool) -> Array:
    """Return the kernel of linear CKA (Kornblith et al., 2019), [n, n].

    It is the centred Gram matrix of x. With `debiased` it is U-centred (Székely and Rizzo, 2014):
    the inner product of two such matrices is the unbiased HSIC of Song et al. (2012) up to a factor
    that the unit norm removes. Independent clouds then give 0 on average; the biased form gives
    about d / (n + d).

    Args:
        x: points [n, d].
        debiased: use the unbiased estimator.

    Raises:
        ValueError: too few points for the estimator, or all points are equally far apart.
    """
    moved = centred(x)
    return _centred_gram(moved @ moved.T, debiased)


def rbf_kernel(x: Array, *, bandwidth: float, debiased: bool) -> Array:
    """Return the kernel of RBF CKA, exp(-‖xᵢ - xⱼ‖² / 2σ²) centred, [n, n].

    Args:
        x: points [n, d].
        bandwidth: σ in units of the median distance of two points (Kornblith et al., 2019).
        debiased: use the unbiased estimator.

    Raises:
        ValueError: too few points for the estimator, or half of the points coincide.
    """
    squares = distances(x, x, "sqeuclidean")
    median = np.median(squares[np.triu_indices(len(x), 1)])
    centred(x)
    if median == 0:
        raise ValueError("most points coincide, so their median distance gives no bandwidth")
    gram = np.exp(-squares / (2 * bandwidth**2 * median))
    if not debiased:
        gram = gram - gram.mean(0)
        gram -= gram.mean(1, keepdims=True)
    return _centred_gram(gram, debiased)


def modified_rv_kernel(x: Array) -> Array:
    """Return the kernel of the modified RV coefficient (Smilde et al., 2009), [n, n].

    It is the centred Gram matrix of points x [n, d] without its diagonal.

    Raises:
        ValueError: all points are equally far apart.
    """
    moved = centred(x)
    gram = moved @ moved.T
    size = np.linalg.norm(gram)
    np.fill_diagonal(gram, 0)
    return _at_unit_norm(gram, size)


def dissimilarity_kernel(x: Array, *, dissimilarity: str, ranked: bool) -> Array:
    """Return the kernel of representational similarity analysis (Kriegeskorte et al., 2008).

    It holds the dissimilarities of pairs of points, standardised over pairs, [n, n]: the inner
    product of two such kernels is the Pearson correlation of dissimilarities, or the Spearman
    correlation if they are `ranked`.

    Args:
        x: points [n, d].
        dissimilarity: "euclidean", "cosine" or "correlation".
        ranked: replace dissimilarities by their ranks, ties by their mean rank.

    Raises:
        ValueError: all points are equally far apart, or a point has no direction.
    """
    from scipy.spatial.distance import squareform
    from scipy.stats import rankdata

    if dissimilarity == "euclidean":
        table = distances(x, x, "euclidean")
    else:
        if dissimilarity == "correlation":
            x = x - x.mean(1, keepdims=True)
        unit = directions(x)
        # Half of the squared chord is 1 - cosine, without its cancellation for close points.
        table = distances(unit, unit, "sqeuclidean") / 2
    pairs = table[np.triu_indices(len(x), 1)]
    size = float(np.linalg.norm(pairs))
    if np.ptp(pairs) <= 1e-6 * np.abs(pairs).max(initial=0):
        raise ValueError("all points are equally far apart, so there is no shape to compare")
    if ranked:
        pairs = rankdata(pairs)
        size = float(np.linalg.norm(pairs))
    return _at_unit_norm(squareform(pairs - pairs.mean()), size)


def neighbour_kernel(x: Array, *, k: int) -> Array:
    """Return the kernel of mutual nearest neighbours (Huh et al., 2024), [n, n].

    Row i marks the k points of largest cosine similarity with point i. Equally near points share
    the places that are left, so that their order in the cloud does not matter. The inner product of
    two such kernels is the mean share of neighbours that both clouds agree on.

    Args:
        x: points [n, d].
        k: how many neighbours, at most n - 2.

    Raises:
        ValueError: a point has no direction, or all points are equally near.
    """
    unit = directions(x)
    # Chords, not cosines, which lose half of their precision for close points.
    apart = distances(unit, unit, "euclidean")
    np.fill_diagonal(apart, np.inf)
    last = np.partition(apart, k - 1, axis=1)[:, [k - 1]]
    # Differences within the rounding of float32 count as ties.
    nearer, tied = apart < last - 3e-7, np.abs(apart - last) <= 3e-7
    if tied.sum() == tied.size - len(tied):
        raise ValueError("all points are equally near, so there are no neighbours to compare")
    places_left = k - nearer.sum(1, keepdims=True)
    chosen = nearer + tied * (places_left / tied.sum(1, keepdims=True))
    return np.asarray(chosen / np.linalg.norm(chosen))


def recurrence_kernel(x: Array, *, rate: float) -> Array:
    """Return the kernel of joint recurrence: the recurrence plot (Marwan et al., 2007), [n, n].

    Two points recur if their distance is below a threshold. The inner product of two plots is the
    share of recurrences that they have in common.

    Args:
        x: points [n, d].
        rate: the share of pairs of distinct points that recur; it sets the threshold.

    Raises:
        ValueError: all points are equally far apart.
    """
    table = distances(x, x, "euclidean")
    above = np.triu_indices(len(x), 1)
    pairs = table[above]
    if np.ptp(pairs) <= 1e-6 * pairs.max(initial=0):
        raise ValueError("all points are equally far apart, so there is no shape to compare")
    count = max(1, round(rate * len(pairs)))
    plot = np.zeros_like(table)
    plot[above] = pairs <= np.partition(pairs, count - 1)[count - 1]
    plot += plot.T
    return np.asarray(plot / np.linalg.norm(plot))


def _centred_gram(gram: Array, debiased: bool) -> Array:
    n = len(gram)
    if n < (4 if debiased else 2):
        raise ValueError(f"{'debiased ' * debiased}CKA needs more points than {n}")
    size = np.linalg.norm(gram)
    if debiased:
        np.fill_diagonal(gram, 0)
        sums = gram.sum(0)
        gram -= (sums[:, None] + sums) / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
    return _at_unit_norm(gram, size)


def _at_unit_norm(kernel: Array, size: np.floating | float) -> Array:
    norm = np.linalg.norm(kernel)
    # Points that are all equally far apart leave only the rounding of float32.
    if norm <= 1e-6 * size:
        raise ValueError("all points are equally far apart, so there is no shape to compare")
    return np.asarray(kernel / norm)
