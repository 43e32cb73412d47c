"""How good a clustering is: how far apart its clusters are, and how well it is reproduced.

Labels are [n]: the number of a point's cluster, or -1 for noise, which belongs to none.
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional import separation
from interp.metrics.functional.points import Array

Labels = NDArray[np.intp]


def cosine_distances(directions: Array) -> Array:
    """Return 1 - the cosine of each pair of points of unit length [n, d]; [n, n]."""
    apart = np.clip(1 - directions @ directions.T, 0, 2)
    np.fill_diagonal(apart, 0)
    return np.asarray(apart)


def silhouette(distances: Array, labels: Labels) -> float:
    """Return the mean silhouette coefficient of all points (Rousseeuw, 1987).

    Noise counts 0, the coefficient of a point between two clusters, so that a few close points
    among much noise do not make a good clustering. 0 too where there are fewer than two clusters.

    Args:
        distances: between all points, [n, n].
        labels: [n].
    """
    inside = labels >= 0
    numbers, within = np.unique(labels[inside], return_inverse=True)
    if len(numbers) < 2:
        return 0.0
    among = distances[np.ix_(inside, inside)]
    return float(inside.mean() * separation.silhouette(among, within[None])[0])


def silhouettes(distances: Array, labels: Labels) -> Array:
    """Return each point's silhouette coefficient, [n]; nan for noise.

    Nan for all points where there are fewer than two clusters.

    Args:
        distances: between all points, [n, n].
        labels: [n].
    """
    from sklearn.metrics import silhouette_samples

    found = np.full(len(labels), np.nan)
    inside = labels >= 0
    n_clusters = len(np.unique(labels[inside]))
    if 1 < n_clusters < inside.sum():
        among = distances[np.ix_(inside, inside)]
        found[inside] = silhouette_samples(among, labels[inside], metric="precomputed")
    elif n_clusters > 1:
        # Each point is alone in its cluster.
        found[inside] = 0
    return found


def within_and_between(cosines: Array, labels: Labels) -> tuple[float, float]:
    """Return the mean cosine of pairs within one cluster, and of pairs of two clusters.

    Nan where there are no such pairs; noise is in none.

    Args:
        cosines: of all pairs of points, [n, n].
        labels: [n].
    """
    within, between = split_pairs(cosines, labels)
    return _mean(within), _mean(between)


def split_pairs(cosines: Array, labels: Labels) -> tuple[Array, Array]:
    """Return the cosines of pairs within one cluster, and those of pairs of two clusters."""
    one, other = np.triu_indices(len(labels), 1)
    inside = (labels[one] >= 0) & (labels[other] >= 0)
    same = labels[one] == labels[other]
    values = cosines[one, other]
    return values[inside & same], values[inside & ~same]


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else np.nan


def agreement(labels: Labels, others: NDArray[np.generic]) -> float:
    """Return the adjusted Rand index of two partitions (Hubert and Arabie, 1985).

    1 for the same partition, 0 on average for independent ones. Noise is a part like any other.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, others))


def permute_sentences(
    values: Array,
    in_first: NDArray[np.bool_],
    observation: NDArray[np.intp],
    within_groups: bool,
    rng: np.random.Generator,
) -> Array:
    """Permute the sentences of each neuron independently; [neuron, sentence].

    Observations move as a whole, so that what a neuron's two sentences of one observation share is
    kept. Within groups each sentence keeps its group, and every neuron its means of both groups;
    else the two sentences of an observation are also exchanged at random.

    Args:
        values: [neuron, sentence].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the observation that it belongs to, at most one sentence per group, [sentence].
        within_groups: whether a sentence stays in its group.
        rng: for the permutations.
    """
    found = np.empty_like(values)
    neurons = np.arange(len(values))[:, None, None]
    for rows in _exchangeable(in_first, observation, within_groups):
        order = rng.random((len(values), len(rows))).argsort(1)
        moved = rows[order]
        if not within_groups:
            turned = rng.random(order.shape) < 0.5
            moved = np.where(turned[..., None], moved[..., ::-1], moved)
        found[:, rows] = values[neurons, moved]
    return found


def _exchangeable(
    in_first: NDArray[np.bool_], observation: NDArray[np.intp], within_groups: bool
) -> list[NDArray[np.intp]]:
    """Return the sentences of each set of exchangeable observations, [observation, member]."""
    by_observation = np.lexsort((~in_first, observation))
    starts = np.flatnonzero(np.diff(observation[by_observation], prepend=-1))
    members = np.split(by_observation, starts[1:])
    pairs = [rows for rows in members if len(rows) == 2]
    alone = [rows for rows in members if len(rows) == 1]
    parts = [pairs, alone]
    if within_groups:
        parts = [pairs, *([r for r in alone if in_first[r[0]] == first] for first in (True, False))]
    return [np.array(part) for part in parts if part]
