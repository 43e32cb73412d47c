"""Measures that compare which points of a cloud lie together: inner products of kernels.

A kernel here is a matrix [n, n] over the pairs of points of one cloud, at unit Frobenius norm, so
that the similarity of two clouds is the inner product of their kernels. Rearranging the points of a
cloud rearranges rows and columns of its kernel and leaves its entries as they are.
"""

from collections.abc import Sequence

import numpy as np

from interp.metrics.functional.points import Array, Orders, centred, directions, distances

# Numbers of a evaluate_permutations kernel that are held at once: what a core's cache takes.
_HELD_AT_ONCE = 2**16
# Points up to which several kernels are evaluate_permutations together: calls cost more than copying there.
_SMALL = 64


def inner_products(xs: Sequence[Array], y: Array, orders: Orders) -> Array:
    """Return ⟨x, y evaluate_permutations⟩ for each kernel x [n, n] and each of orders [b, n]; [len(xs), b].

    Each rearrangement of y is made once, however many kernels it is held against, in pieces that
    stay in the processor's cache: many small kernels, or some rows of a large one.
    """
    n = len(y)
    products = np.zeros((len(xs), len(orders)))
    if n <= _SMALL:
        flat = [x.reshape(-1) for x in xs]
        draws = _HELD_AT_ONCE // n**2
        for start in range(0, len(orders), draws):
            chunk = orders[start : start + draws]
            entries = chunk[:, :, None] * n + chunk[:, None, :]
            evaluate_permutations = y.reshape(-1)[entries].reshape(len(chunk), -1)
            for i, x in enumerate(flat):
                products[i, start : start + draws] = evaluate_permutations @ x
        return products
    height = max(_HELD_AT_ONCE // n, 1)
    for draw, order in enumerate(orders):
        for start in range(0, n, height):
            rows = slice(start, start + height)
            # Only with a mode are columns copied without looking at each index.
            evaluate_permutations = y[order[rows]].take(order, axis=1, mode="clip")
            for i, x in enumerate(xs):
                products[i, draw] += np.vdot(x[rows], evaluate_permutations)
    return products


def linear_kernel(x: Array, *, debiased: bool) -> Array:
    """Kernel of linear CKA (Kornblith et al., 2019): the centred Gram matrix of x [n, d].

    With `debiased` it is U-centred (Székely and Rizzo, 2014): the inner product of two such
    matrices is the unbiased HSIC of Song et al. (2012) up to a factor that the unit norm takes
    off. Independent clouds then give 0 on average, where the biased form gives about d / (n + d).

    Raises:
        ValueError: too few points for the estimator, or no shape to compare.
    """
    moved = centred(x)
    return _centred_gram(moved @ moved.T, debiased)


def rbf_kernel(x: Array, *, bandwidth: float, debiased: bool) -> Array:
    """Kernel of RBF CKA: exp(-‖xᵢ - xⱼ‖² / 2σ²), centred, of x [n, d].

    σ is `bandwidth` times the median distance between points, as in Kornblith et al. (2019).

    Raises:
        ValueError: too few points for the estimator, or no shape to compare.
    """
    squares = distances(x, x, "sqeuclidean")
    median = np.median(squares[np.triu_indices(len(x), 1)])
    centred(x)
    if median == 0:
        raise ValueError("most points coincide, so there is no width to compare at")
    gram = np.exp(-squares / (2 * bandwidth**2 * median))
    if not debiased:
        gram = gram - gram.mean(0)
        gram -= gram.mean(1, keepdims=True)
    return _centred_gram(gram, debiased)


def modified_rv_kernel(x: Array) -> Array:
    """Kernel of the modified RV coefficient (Smilde et al., 2009): no point against itself.

    Raises:
        ValueError: no shape to compare.
    """
    moved = centred(x)
    gram = moved @ moved.T
    size = np.linalg.norm(gram)
    np.fill_diagonal(gram, 0)
    return _at_unit_norm(gram, size)


def dissimilarity_kernel(x: Array, *, dissimilarity: str, ranked: bool) -> Array:
    """Kernel of representational similarity analysis (Kriegeskorte et al., 2008).

    The dissimilarities between points of x [n, d], standardised over pairs: the inner product of
    two such kernels is the Pearson correlation of dissimilarities, and the Spearman correlation
    where they have been `ranked` first.

    Args:
        x: points [n, d].
        dissimilarity: "euclidean", "cosine" or "correlation".
        ranked: take ranks, ties at their mean.

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
        # Half of the squared chord is 1 - cosine, without its cancellation between close points.
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
    """Kernel of mutual nearest neighbours (Huh et al., 2024): who is among whose k nearest.

    Nearness is the cosine of the angle. Points that are equally near share the places that are
    left, so that their order in the cloud says nothing. The inner product of two such kernels is
    the mean share of neighbours that both clouds agree on.

    Raises:
        ValueError: a point has no direction, or all points are equally near.
    """
    unit = directions(x)
    # Chords, not cosines, which lose half the digits of points that lie close together.
    apart = distances(unit, unit, "euclidean")
    np.fill_diagonal(apart, np.inf)
    last = np.partition(apart, k - 1, axis=1)[:, [k - 1]]
    # The rounding of float32 does not make one neighbour nearer than another.
    nearer, tied = apart < last - 3e-7, np.abs(apart - last) <= 3e-7
    if tied.sum() == tied.size - len(tied):
        raise ValueError("all points are equally near, so there are no neighbours to compare")
    places_left = k - nearer.sum(1, keepdims=True)
    chosen = nearer + tied * (places_left / tied.sum(1, keepdims=True))
    return np.asarray(chosen / np.linalg.norm(chosen))


def recurrence_kernel(x: Array, *, rate: float) -> Array:
    """Kernel of joint recurrence: the recurrence plot of x [n, d] (Marwan et al., 2007).

    Two points recur where they are closer than a threshold, set so that the share `rate` of all
    pairs of distinct points recurs. The inner product of two plots is the share of recurrences that
    they have in common.

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
    # What float32 leaves of points that are all equally far apart is rounding.
    if norm <= 1e-6 * size:
        raise ValueError("all points are equally far apart, so there is no shape to compare")
    return np.asarray(kernel / norm)
