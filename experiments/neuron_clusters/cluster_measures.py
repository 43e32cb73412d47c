"""How good a clustering is: how far apart its clusters are, and how they come back.

Labels are [n]: the number of a point's cluster, or -1 for noise, which is in none.
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional import separation
from interp.metrics.functional.points import Array

Labels = NDArray[np.intp]


def cosine_distances(directions: Array) -> Array:
    """Return 1 - the cosine of every two points of unit length [n, d]; [n, n]."""
    apart = np.clip(1 - directions @ directions.T, 0, 2)
    np.fill_diagonal(apart, 0)
    return np.asarray(apart)


def silhouette(distances: Array, labels: Labels) -> float:
    """Return the mean silhouette coefficient of all points (Rousseeuw, 1987).

    Noise counts 0, which is the coefficient of a point between two clusters: a few points that
    happen to lie close in a sea of noise are no good clustering. 0 too where there are fewer than
    two clusters.

    Args:
        distances: of every point from every other, [n, n].
        labels: [n].
    """
    inside = labels >= 0
    numbers, within = np.unique(labels[inside], return_inverse=True)
    if len(numbers) < 2:
        return 0.0
    among = distances[np.ix_(inside, inside)]
    return float(inside.mean() * separation.silhouette(among, within[None])[0])


def silhouettes(distances: Array, labels: Labels) -> Array:
    """Return each point's silhouette coefficient, [n]; not a number for noise.

    Not a number for all where there are fewer than two clusters.

    Args:
        distances: of every point from every other, [n, n].
        labels: [n].
    """
    from sklearn.metrics import silhouette_samples

    found = np.full(len(labels), np.nan)
    inside = labels >= 0
    numbers = len(np.unique(labels[inside]))
    if 1 < numbers < inside.sum():
        among = distances[np.ix_(inside, inside)]
        found[inside] = silhouette_samples(among, labels[inside], metric="precomputed")
    elif numbers > 1:
        # Each alone in its cluster.
        found[inside] = 0
    return found


def within_and_between(cosines: Array, labels: Labels) -> tuple[float, float]:
    """Return the mean over pairs of points of one cluster, and over those of two clusters.

    Not a number where there are no such pairs; noise is in none.

    Args:
        cosines: of every two points, [n, n].
        labels: [n].
    """
    one, other = np.triu_indices(len(labels), 1)
    inside = (labels[one] >= 0) & (labels[other] >= 0)
    same = labels[one] == labels[other]
    values = cosines[one, other]
    return _mean(values[inside & same]), _mean(values[inside & ~same])


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else np.nan


def agreement(labels: Labels, others: NDArray[np.generic]) -> float:
    """Return the adjusted Rand index of two partitions: 1 for the same, 0 on average by chance.

    Hubert and Arabie (1985). Noise is a part like any other.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels, others))


def shuffled(
    values: Array,
    in_first: NDArray[np.bool_],
    observation: NDArray[np.intp],
    within_groups: bool,
    rng: np.random.Generator,
) -> Array:
    """Shuffle the sentences of each neuron for itself, [neuron, sentence].

    Observations move as a whole, so that what a neuron's two sentences of one observation have in
    common stays. Within groups each keeps its group, and every neuron its means of both groups;
    else the two sentences of an observation change places at random.

    Args:
        values: [neuron, sentence].
        in_first: whether a sentence is of the first group, [sentence].
        observation: of which it is one, at most one of each group, [sentence].
        within_groups: whether a sentence stays in its group.
        rng: where orders are drawn from.
    """
    found = np.empty_like(values)
    neurons = np.arange(len(values))[:, None, None]
    for rows in _alike(in_first, observation, within_groups):
        order = rng.random((len(values), len(rows))).argsort(1)
        moved = rows[order]
        if not within_groups:
            turned = rng.random(order.shape) < 0.5
            moved = np.where(turned[..., None], moved[..., ::-1], moved)
        found[:, rows] = values[neurons, moved]
    return found


def _alike(
    in_first: NDArray[np.bool_], observation: NDArray[np.intp], within_groups: bool
) -> list[NDArray[np.intp]]:
    """Return the sentences of observations that may be exchanged, [observation, member] each."""
    by_observation = np.lexsort((~in_first, observation))
    starts = np.flatnonzero(np.diff(observation[by_observation], prepend=-1))
    members = np.split(by_observation, starts[1:])
    pairs = [rows for rows in members if len(rows) == 2]
    alone = [rows for rows in members if len(rows) == 1]
    parts = [pairs, alone]
    if within_groups:
        parts = [pairs, *([r for r in alone if in_first[r[0]] == first] for first in (True, False))]
    return [np.array(part) for part in parts if part]
