"""Separation of groups of points, for many labellings of the same points at once.

A labelling assigns each point to a group, 0 to G - 1; labellings are [b, n]. What does not depend
on the labelling is computed once, so that a null of a thousand labellings costs a few matrix
products. Only the silhouette needs distances, which are computed for blocks of points.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array, distances_by_products

Labels = NDArray[np.intp]

# Numbers held at once by the sums over groups: 32 MB.
_HELD_AT_ONCE = 4_000_000
# Numbers held at once by memberships, while each distance is computed only once: 256 MB.
_MEMBERS_AT_ONCE = 32_000_000


def silhouette(distances: Array, labels: Labels) -> Array:
    """Return the mean silhouette coefficient of each labelling, [b] (Rousseeuw, 1987).

    A point's coefficient is (b - a) / max(a, b), with a its mean distance from the other points of
    its group and b that from the nearest other group; it is 0 for a group of one point, and for
    a = b = 0.

    >>> points = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> silhouette(np.abs(points - points.T), np.array([[0, 0, 1, 1]])).round(3)
    array([0.875])

    Args:
        distances: of every point from every other, [n, n].
        labels: [b, n], at least two groups.
    """
    return _silhouette(distances.__getitem__, labels)


def silhouette_of_points(points: Array, labels: Labels) -> Array:
    """Return the mean silhouette coefficient in Euclidean distances of points [n, d], [b].

    As `silhouette`, without holding the distances of all points at once.

    Args:
        points: [n, d].
        labels: [b, n], at least two groups.
    """
    return _silhouette(lambda rows: distances_by_products(points[rows], points), labels)


def _silhouette(distances_of: Callable[[slice], Array], labels: Labels) -> Array:
    n = labels.shape[1]
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels, _MEMBERS_AT_ONCE):
        b, _, groups = members.shape
        sizes = members.sum(1)
        # With two groups the sum over one gives that over the other.
        summed = 1 if groups == 2 else groups
        columns = members[:, :, :summed].transpose(1, 0, 2).reshape(n, -1)
        total = np.zeros(b)
        height = max(_HELD_AT_ONCE // max(n, b * groups), 1)
        for rows in (slice(start, start + height) for start in range(0, n, height)):
            apart = distances_of(rows)
            sums = (apart @ columns).reshape(len(apart), b, summed)
            if groups == 2:
                rest = np.maximum(apart.sum(1)[:, None, None] - sums, 0)
                sums = np.concatenate([sums, rest], axis=2)
            own = members[:, rows].transpose(1, 0, 2)
            others_in_group = (sizes * own).sum(2) - 1
            within = (sums * own).sum(2) / np.maximum(others_in_group, 1)
            sums /= np.maximum(sizes, 1)
            sums[(own > 0) | (sizes == 0)] = np.inf
            nearest = sums.min(2)
            larger = np.maximum(within, nearest)
            defined = (others_in_group > 0) & (larger > 0)
            coefficient = (nearest - within) / np.where(defined, larger, 1)
            total += np.where(defined, coefficient, 0).sum(0)
        found[chunk] = total / n
    return found


def variance_between(points: Array, labels: Labels) -> Array:
    """Return the share of the variance that lies between groups, η², [b].

    With the share B, B / (1 - B) · (n - G) / (G - 1) is the index of Caliński and Harabasz (1974)
    and the pseudo-F of Anderson (2001); one is a monotonic function of the other, so that their
    permutation p are equal. B is 1 if no group varies, and 0 if all points coincide.

    >>> variance_between(np.array([[0.0], [2.0], [8.0], [10.0]]), np.array([[0, 0, 1, 1]])).round(3)
    array([0.941])

    Args:
        points: [n, d].
        labels: [b, n], at least two groups.
    """
    moved = points - points.mean(0)
    total = (moved**2).sum()
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels, _HELD_AT_ONCE):
        squares = (_sums(moved, members) ** 2).sum(2)
        between = (squares / np.maximum(members.sum(1), 1)).sum(1)
        found[chunk] = np.minimum(between / total, 1) if total else 0
    return found


def nearest_centroid_accuracy(points: Array, labels: Labels, prompt_of_row: Labels) -> Array:
    """Return the accuracy of assigning held-out points to the nearest group mean, [b].

    Each prompt's points are held out in turn (leave-one-prompt-out). The accuracy is balanced: the
    mean over groups of the share of their points that are classified correctly, so that chance is
    1 / G for groups of any size.

    Args:
        points: [n, d].
        labels: [b, n]; the points of one prompt have one label, and a group at least two prompts.
        prompt_of_row: the prompt of each point, [n].
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    rows_of_prompt = np.bincount(prompt_of_row)[prompt_of_row]
    of_prompt = np.zeros((len(prompts), points.shape[1]))
    np.add.at(of_prompt, prompt_of_row, points)
    # The product of a point with the sum of its prompt, and the squared norm of that sum.
    own_sum = np.einsum("nd,nd->n", points, of_prompt[prompt_of_row])
    own_total = np.einsum("nd,nd->n", of_prompt, of_prompt)[prompt_of_row]
    several = len(prompts) < len(points)
    found = np.empty(len(labels))
    for chunk, members in _memberships(labels, _HELD_AT_ONCE):
        sizes = members.sum(1)
        centroids = _sums(points, members)
        sums = _products(points, centroids)
        with_prompt = _products(of_prompt, centroids)[:, prompt_of_row] if several else sums
        totals = (centroids**2).sum(2)
        # Remove the held-out prompt from the mean of its own group, [b, n, G].
        left = sizes[:, None] - members * rows_of_prompt[:, None]
        to_mean = (sums - members * own_sum[:, None]) / left
        norm = totals[:, None] - members * (2 * with_prompt - own_total[:, None])
        squared = norm / left**2 - 2 * to_mean
        right = squared.argmin(2) == members.argmax(2)
        found[chunk] = ((right[:, :, None] * members).sum(1) / sizes).mean(1)
    return found


def _memberships(labels: Labels, held: int) -> Iterator[tuple[slice, Array]]:
    """Yield memberships [b, n, G], 1 where a point belongs to a group, for chunks of labellings."""
    groups = int(labels.max()) + 1
    step = max(held // (labels.shape[1] * groups), 1)
    for start in range(0, len(labels), step):
        chunk = slice(start, start + step)
        yield chunk, (labels[chunk, :, None] == np.arange(groups)).astype(np.float64)


def _sums(points: Array, members: Array) -> Array:
    """Sum points [n, d] over each group; [b, G, d]."""
    return np.asarray(members.transpose(0, 2, 1) @ points)


def _products(points: Array, centroids: Array) -> Array:
    """Return the inner product of every point [n, d] with every centroid [b, G, d]; [b, n, G]."""
    b, groups, d = centroids.shape
    flat = points @ centroids.reshape(-1, d).T
    return np.asarray(flat.reshape(-1, b, groups).transpose(1, 0, 2))
