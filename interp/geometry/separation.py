"""How far groups of points are apart, for many labellings of the same points at once.

A labelling gives each point the number of its group, 0 to G - 1; labellings are [b, n]. Every
measure comes from distances or inner products alone, which all labellings share, so that a null of
a thousand labellings costs a few matrix products.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from interp.similarity.points import Array

Labels = NDArray[np.intp]

# Numbers held at once by the sums over groups: 32 MB.
_HELD_AT_ONCE = 4_000_000


def silhouette(distances: Array, labels: Labels) -> Array:
    """Return the mean silhouette coefficient of each labelling, [b] (Rousseeuw, 1987).

    A point's coefficient is (b - a) / max(a, b), with a its mean distance from the others of its
    group and b that from the nearest other group; alone in its group, or with a = b = 0, it is 0.

    Args:
        distances: of every point from every other, [n, n].
        labels: [b, n], at least two groups.
    """
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels):
        sums = _sums(distances, members)
        sizes = members.sum(1)
        own = members.astype(bool)
        others_in_group = (sizes[:, None] * members).sum(2) - 1
        within = (sums * members).sum(2) / np.maximum(others_in_group, 1)
        to_group = sums / np.maximum(sizes, 1)[:, None]
        nearest = np.where(own | (sizes == 0)[:, None], np.inf, to_group).min(2)
        larger = np.maximum(within, nearest)
        defined = (others_in_group > 0) & (larger > 0)
        coefficient = (nearest - within) / np.where(defined, larger, 1)
        found[chunk] = np.where(defined, coefficient, 0).mean(1)
    return found


def variance_between(distances: Array, labels: Labels) -> Array:
    """Return the share of the variance that lies between groups, η², [b].

    A share B of the sum of squares and 1 - B within the groups, it stands for their ratio
    B / (1 - B) · (n - G) / (G - 1), the index of Caliński and Harabasz (1974) and pseudo-F of
    Anderson (2001): the one grows with the other, so that p is the same. The share is 1 where no
    group varies, and the ratio infinite. 0 where all points coincide.

    Args:
        distances: Euclidean, of every point from every other, [n, n].
        labels: [b, n], at least two groups.
    """
    squares = distances**2
    n = len(squares)
    total = squares.sum() / (2 * n)
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels):
        sizes = members.sum(1)
        inside = (_sums(squares, members) * members).sum(1)
        within = (inside / np.maximum(2 * sizes, 1)).sum(1)
        found[chunk] = np.clip(1 - within / total, 0, 1) if total else 0
    return found


def nearest_centroid_accuracy(products: Array, labels: Labels, prompt_of_row: Labels) -> Array:
    """Return how well the nearest group mean tells a held-out point's group, [b].

    Each prompt's points are held out in turn (leave-one-prompt-out). The accuracy is balanced: the
    mean over groups of the share of their points that come out right, so that chance is 1 / G
    whatever the groups' sizes.

    Args:
        products: inner products of every point with every other, [n, n].
        labels: [b, n]; the points of one prompt have one label, and a group at least two prompts.
        prompt_of_row: the prompt of each point, [n].
    """
    same_prompt = prompt_of_row[:, None] == prompt_of_row
    in_prompt = products * same_prompt
    rows_of_prompt = same_prompt.sum(1)
    # Of a point's own prompt: its products with it, and all products within it.
    own_sum, own_total = in_prompt.sum(1), same_prompt @ in_prompt.sum(1)
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels):
        sizes = members.sum(1)
        sums = _sums(products, members)
        totals = (sums * members).sum(1)
        # What the prompt takes along out of its own group: [b, n, 1] where it is a member.
        left = sizes[:, None] - members * rows_of_prompt[:, None]
        with_prompt = same_prompt @ sums
        to_mean = (sums - members * own_sum[:, None]) / left
        norm = totals[:, None] - members * (2 * with_prompt - own_total[:, None])
        squared = norm / left**2 - 2 * to_mean
        right = squared.argmin(2) == members.argmax(2)
        found[chunk] = ((right[:, :, None] * members).sum(1) / sizes).mean(1)
    return found


def _memberships(labels: Labels) -> Iterator[tuple[slice, Array]]:
    """Yield memberships [b, n, G], one where a point belongs to a group, a few labellings each."""
    groups = int(labels.max()) + 1
    step = max(_HELD_AT_ONCE // (labels.shape[1] * groups), 1)
    for start in range(0, len(labels), step):
        chunk = slice(start, start + step)
        yield chunk, (labels[chunk, :, None] == np.arange(groups)).astype(np.float64)


def _sums(matrix: Array, members: Array) -> Array:
    """Sum each row of a matrix [n, n] over each group; [b, n, G]."""
    b, n, groups = members.shape
    flat = matrix @ members.transpose(1, 0, 2).reshape(n, b * groups)
    return np.asarray(flat.reshape(n, b, groups).transpose(1, 0, 2))
