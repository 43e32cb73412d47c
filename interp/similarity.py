"""The maths of comparing two point clouds: arrays in, numbers out.

Every measure comes in two forms that share their formula: of x and y as they are, and in bulk over
many rearrangements of the rows, which a permutation null needs. Points are rows, float64.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Orders = NDArray[np.intp]
Masks = NDArray[np.bool_]


def cosine(x: Array, y: Array) -> float:
    """Mean cosine of the angle between paired points, in [-1, 1].

    Args:
        x: points [n, d].
        y: points [n, d]; row i belongs to row i of x.

    Raises:
        ValueError: shapes that differ, or a point at the origin, which has no direction.
    """
    _check_same_shape(x, y)
    return float((_directions(x) * _directions(y)).sum(1).mean())


def cosine_permuted(x: Array, y: Array, orders: Orders) -> Array:
    """`cosine(x, y[order])` for each of `orders` [b, n]; returns [b]."""
    _check_same_shape(x, y)
    table = _directions(x) @ _directions(y).T
    means: Array = table[np.arange(len(x)), orders].mean(1)
    return means


def linear_cka(x: Array, y: Array, *, debiased: bool) -> float:
    """Linear centred kernel alignment (Kornblith et al., 2019).

    With `debiased`, the unbiased HSIC estimator of Song et al. (2012) stands in all three places:
    independent clouds then give 0 on average at any n, where the biased form gives about
    d / (n + d). The biased form lies in [0, 1], the debiased one in [-1, 1].

    Args:
        x: points [n, d1].
        y: points [n, d2]; row i belongs to row i of x.
        debiased: which estimator.

    Raises:
        ValueError: n that differ, n below 4 (debiased) or 2, or a cloud of one repeated point.
    """
    _check_same_length(x, y)
    return float((_aligned_gram(x, debiased) * _aligned_gram(y, debiased)).sum())


def linear_cka_permuted(x: Array, y: Array, orders: Orders, *, debiased: bool) -> Array:
    """`linear_cka(x, y[order])` for each of `orders` [b, n]; returns [b]."""
    _check_same_length(x, y)
    gram_x, gram_y = _aligned_gram(x, debiased), _aligned_gram(y, debiased)
    return np.array([np.vdot(gram_x, gram_y[np.ix_(order, order)]) for order in orders])


def procrustes(x: Array, y: Array) -> float:
    """Orthogonal Procrustes similarity: the nuclear norm of XᵀY, in [0, 1].

    X and Y are centred and scaled to unit Frobenius norm, so that the smallest squared distance
    that a rotation can leave between them is 2 - 2 times this number (Schönemann, 1966). 1 means
    equal up to rotation, reflection, scale and translation.

    Args:
        x: points [n, d1].
        y: points [n, d2]; row i belongs to row i of x.

    Raises:
        ValueError: n that differ, or a cloud of one repeated point.
    """
    _check_same_length(x, y)
    return float(np.linalg.svd(_principal(x).T @ _principal(y), compute_uv=False).sum())


def procrustes_permuted(x: Array, y: Array, orders: Orders) -> Array:
    """`procrustes(x, y[order])` for each of `orders` [b, n]; returns [b]."""
    _check_same_length(x, y)
    principal_x, principal_y = _principal(x), _principal(y)
    products = (principal_x.T @ principal_y[order] for order in orders)
    return np.array([np.linalg.svd(product, compute_uv=False).sum() for product in products])


def singular_value_distance(x: Array, y: Array, *, center: bool) -> float:
    """Relative distance between the spectra of two clouds, in [0, 1].

    The singular values are divided by √n, which makes them the standard deviations along the
    principal axes (with `center`) and clouds of different size comparable. The distance is
    ‖σ(x) - σ(y)‖ / (‖σ(x)‖ + ‖σ(y)‖), the shorter spectrum filled up with zeros.

    Args:
        x: points [n1, d1].
        y: points [n2, d2].
        center: take the mean point off first.

    Raises:
        ValueError: both spectra are zero.
    """
    spectra = [np.linalg.svd(_centred(z) if center else z, compute_uv=False) for z in (x, y)]
    return float(
        _relative_distance(spectra[0][None] / len(x) ** 0.5, spectra[1][None] / len(y) ** 0.5)[0]
    )


def singular_value_distance_relabelled(x: Array, y: Array, masks: Masks, *, center: bool) -> Array:
    """`singular_value_distance` for each relabelling of the pooled points; returns [b].

    `masks` [b, n1 + n2] says which of the rows of x and then y form the first cloud. The spectra
    come from eigenvalues of products of the points, exact to about 1e-8 of the largest.
    """
    pooled = np.concatenate([x, y])
    return _relative_distance(_spectra(pooled, masks, center), _spectra(pooled, ~masks, center))


def _spectra(points: Array, masks: Masks, center: bool) -> Array:
    sizes = masks.sum(1)
    width = min(points.shape[1], sizes.max())
    spectra = np.zeros((len(masks), width))
    for draw, (mask, size) in enumerate(zip(masks, sizes, strict=True)):
        chosen = points[mask]
        if center:
            chosen = _centred(chosen)
        # The smaller of the two products has the same non-zero eigenvalues.
        product = chosen.T @ chosen if size > chosen.shape[1] else chosen @ chosen.T
        values = np.linalg.eigvalsh(product)[::-1][:width]
        spectra[draw, : len(values)] = np.sqrt(np.maximum(values, 0) / size)
    return spectra


def _relative_distance(a: Array, b: Array) -> Array:
    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(z, ((0, 0), (0, width - z.shape[1]))) for z in (a, b))
    norms = np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1)
    if (norms == 0).any():
        raise ValueError("both clouds are a single repeated point: their spectra are zero")
    return np.asarray(np.linalg.norm(a - b, axis=1) / norms)


def _aligned_gram(x: Array, debiased: bool) -> Array:
    """The centred Gram matrix at unit norm: the CKA of two clouds is their inner product."""
    n = len(x)
    if n < (4 if debiased else 2):
        raise ValueError(f"{'debiased ' * debiased}linear CKA needs more points than {n}")
    centred = _centred_apart(x)
    gram = centred @ centred.T
    size = np.linalg.norm(gram)
    if debiased:
        # U-centring (Székely and Rizzo, 2014): the inner product of two such matrices is the
        # unbiased HSIC up to a factor that the normalisation takes off.
        np.fill_diagonal(gram, 0)
        sums = gram.sum(0)
        gram -= (sums[:, None] + sums) / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
    norm = np.linalg.norm(gram)
    # What float32 leaves of points that are all equally far apart is rounding.
    if norm <= 1e-6 * size:
        raise ValueError("all points are equally far apart, so there is no shape to compare")
    return np.asarray(gram / norm)


def _principal(x: Array) -> Array:
    """The cloud, centred and at unit norm, in its own principal axes: at most n columns."""
    u, s, _ = np.linalg.svd(_centred_apart(x), full_matrices=False)
    return np.asarray(u * (s / np.linalg.norm(s)))


def _centred(x: Array) -> Array:
    centred: Array = x - x.mean(0)
    return centred


def _centred_apart(x: Array) -> Array:
    """The centred cloud, refused where its points coincide up to the rounding of float32."""
    centred = _centred(x)
    if np.abs(centred).max(initial=0) <= 1e-7 * np.abs(x).max(initial=0):
        raise ValueError("all points coincide, so there is no shape to compare")
    return centred


def _directions(x: Array) -> Array:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if (norms == 0).any():
        row = int(np.argmin(norms))
        raise ValueError(f"point {row} lies at the origin and has no direction")
    return np.asarray(x / norms)


def _check_same_length(x: Array, y: Array) -> None:
    if len(x) != len(y):
        raise ValueError(f"pairs need equally many points, not {len(x)} and {len(y)}")


def _check_same_shape(x: Array, y: Array) -> None:
    if x.shape != y.shape:
        raise ValueError(f"pairs need points of one shape, not {x.shape} and {y.shape}")
