"""Are the clusters there? A clustering beside two nulls, other seeds, and resampled sentences."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from interp.clusterings import Clustering
from interp.metrics.functional.points import Array, distances
from interp.reductions import Reduction
from interp.stats.permutation_tests import PermutationTest, permutation_test
from interp.stats.resampling import times_drawn

from . import cluster_measures
from .selected_neurons import kinds

Labels = NDArray[np.intp]

# What each null shuffles, the one that keeps more of the neurons second.
NULLS = ("sentences shuffled", "shuffled within groups")

# Draws whose cosines are kept for the picture.
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Points:
    """Neurons as points over sentences.

    Attributes:
        directions: each neuron's activations, about their mean and at unit length, so that the
            cosine of two is their correlation over sentences; [neuron, sentence].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the independent observation that it belongs to, [sentence].
    """

    directions: Array
    in_first: NDArray[np.bool_]
    observation: NDArray[np.intp]

    @classmethod
    def of(
        cls, values: Array, in_first: NDArray[np.bool_], observation: NDArray[np.intp]
    ) -> "Points":
        """Take each neuron of values [sentence, neuron] about its mean, at unit length.

        What does not vary has no direction and stays at the origin.
        """
        moved = (values - values.mean(0)).T
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        varies = norms > 1e-6 * np.linalg.norm(values, axis=0)[:, None]
        return cls(np.where(varies, moved / np.where(varies, norms, 1), 0), in_first, observation)

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Whether a neuron has a direction, [neuron]."""
        return np.asarray(self.directions.any(axis=1))

    def shuffled(self, null: int, rng: np.random.Generator) -> "Points":
        """Return the same under one draw of a null."""
        within = bool(null)
        moved = cluster_measures.shuffled(
            self.directions, self.in_first, self.observation, within, rng
        )
        return dataclasses.replace(self, directions=moved)

    def resampled(self, draws: int, rng: np.random.Generator) -> "list[Points]":
        """Draw as many observations as there are, with replacement, each with all its sentences.

        Observations of one group, the other, or both are drawn apart.
        """
        number = np.unique(self.observation, return_inverse=True)[1]
        found = []
        for times in times_drawn(kinds(number, self.in_first), draws, rng):
            rows = np.repeat(np.arange(len(number)), times[number].astype(int))
            drawn = self.directions[:, rows].T
            found.append(Points.of(drawn, self.in_first[rows], self.observation[rows]))
        return found


@dataclass(frozen=True, eq=False)
class Space:
    """Where neurons are clustered: all dimensions, or a layout.

    Attributes:
        name: as figures and findings call it.
        place: puts directions [neuron, sentence] at coordinates [neuron, k]; takes a seed too.
        apart: distances of coordinates, of which silhouettes are made.
    """

    name: str
    place: Callable[[Array, int | None], Array]
    apart: Callable[[Array], Array]

    @classmethod
    def full(cls) -> "Space":
        """All dimensions, where neurons are as far apart as 1 - their correlation."""
        return cls(
            "all dimensions", lambda directions, seed: directions, cluster_measures.cosine_distances
        )

    @classmethod
    def layout(cls, name: str, reduction: Reduction) -> "Space":
        """A reduction of the same directions, with Euclidean distances."""

        def place(directions: Array, seed: int | None) -> Array:
            drawn = reduction
            if seed is not None and hasattr(reduction, "seed"):
                drawn = dataclasses.replace(cast("Any", reduction), seed=seed)
            return drawn.estimator().fit_transform(directions)

        return cls(f"the layout of {name}", place, lambda x: distances(x, x, "euclidean"))


@dataclass(frozen=True, eq=False)
class Found:
    """The clusters of neurons in a space, and what tells whether they are there.

    Attributes:
        space: where.
        coordinates: [neuron, k].
        labels: the cluster of each neuron, or -1 for noise, [neuron]; the first cluster is that
            with the largest mean t.
        silhouettes: of each neuron, not a number for noise, [neuron].
        value: their mean, noise counted 0.
        cosine: mean within clusters and between them, not a number where there are no such pairs.
        null: the mean silhouette of every draw, [null, draw].
        null_cosine: the mean over draws of `cosine`, [null, 2].
        null_cosines: cosines of pairs of neurons in some draws, [null, k].
        over_seeds: adjusted Rand index with the clusters of other seeds, [seed].
        over_resamples: the same with those of resampled observations, [resample].
    """

    space: Space
    coordinates: Array
    labels: Labels
    silhouettes: Array
    value: float
    cosine: tuple[float, float]
    null: Array
    null_cosine: Array
    null_cosines: Array
    over_seeds: Array
    over_resamples: Array

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.labels.max()) + 1

    @property
    def noise(self) -> float:
        """The share of neurons that are in none."""
        return float((self.labels < 0).mean())


def found_in(
    space: Space,
    points: Points,
    t: Array,
    clustering: Clustering,
    draws: int,
    seeds: int,
    resamples: int,
    rng: np.random.Generator,
) -> Found:
    """Cluster the neurons in a space, and again in every draw of both nulls.

    Whatever looks at the data is done again in each draw: the layout, and the number of clusters
    where that is chosen.

    Args:
        space: where.
        points: the neurons.
        t: by which clusters are ordered, [neuron].
        clustering: what puts them into clusters.
        draws: of each null.
        seeds: how many others are tried.
        resamples: of the observations.
        rng: where all of these come from.
    """
    from tqdm import tqdm

    own_seed = int(rng.integers(2**31))
    coordinates = space.place(points.directions, None)
    labels = _in_order(clustering.fit_predict(coordinates, own_seed), t)
    cosines = points.directions @ points.directions.T
    apart = space.apart(coordinates)
    bar = tqdm(
        total=2 * draws + seeds + resamples,
        desc=f"clustering in {space.name}",
        unit="draw",
        delay=2,
        disable=None,
    )
    null, null_cosine = np.empty((2, draws)), np.empty((2, draws, 2))
    shown: list[list[Array]] = [[], []]
    pairs = np.triu_indices(len(labels), 1)
    with bar:
        for i, b in np.ndindex(null.shape):
            drawn = points.shuffled(i, rng)
            x = space.place(drawn.directions, None)
            by_chance = clustering.fit_predict(x, own_seed)
            table = drawn.directions @ drawn.directions.T
            null[i, b] = cluster_measures.silhouette(space.apart(x), by_chance)
            null_cosine[i, b] = cluster_measures.within_and_between(table, by_chance)
            if b < _SHOWN:
                shown[i].append(table[pairs])
            bar.update()
        over_seeds = np.empty(seeds)
        for i in range(seeds):
            seed = int(rng.integers(2**31))
            again = clustering.fit_predict(space.place(points.directions, seed), seed)
            over_seeds[i] = cluster_measures.agreement(labels, again)
            bar.update()
        over_resamples = np.empty(resamples)
        for i, drawn in enumerate(points.resampled(resamples, rng)):
            again = clustering.fit_predict(space.place(drawn.directions, None), own_seed)
            over_resamples[i] = cluster_measures.agreement(labels, again)
            bar.update()
    return Found(
        space=space,
        coordinates=coordinates,
        labels=labels,
        silhouettes=cluster_measures.silhouettes(apart, labels),
        value=cluster_measures.silhouette(apart, labels),
        cosine=cluster_measures.within_and_between(cosines, labels),
        null=null,
        null_cosine=_means(null_cosine),
        null_cosines=np.array([np.concatenate(part) for part in shown]),
        over_seeds=over_seeds,
        over_resamples=over_resamples,
    )


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What the tests of all spaces and nulls say together.

    Neurons that share nothing at all share nothing within groups either, so the second null is
    refused only together with the first (closed testing; Marcus et al., 1976). And a layout counts
    only where clusters are there in all dimensions too. Tests in a fixed order, each counted only
    where those before it pass, need no other correction (Maurer et al., 1995): the corrected p is
    the largest of theirs and its own.

    Attributes:
        tests: of each space, its values [null].
        corrected: p corrected over spaces and nulls, [space, null].
        passes: corrected p below the level, [space, null].
        too_few: whether no p can fall below the level with so many draws, [space].
    """

    tests: tuple[PermutationTest, ...]
    corrected: Array
    passes: NDArray[np.bool_]
    too_few: NDArray[np.bool_]

    @classmethod
    def of(cls, parts: "list[Found]", alpha: float) -> "Verdicts":
        """Hold each space's silhouette against its nulls; all dimensions come first."""
        tests = tuple(
            permutation_test(np.repeat(part.value, len(part.null)), part.null, "greater")
            for part in parts
        )
        p = np.array([test.p for test in tests])
        corrected = np.maximum.accumulate(np.maximum.accumulate(p, axis=0), axis=1)
        smallest = np.array([1 / (part.null.shape[1] + 1) for part in parts])
        return cls(tests, corrected, corrected < alpha, smallest >= alpha)


def _in_order(labels: Labels, t: Array) -> Labels:
    """Number clusters by their mean t, the largest first."""
    numbers = np.unique(labels[labels >= 0])
    order = np.argsort([-t[labels == number].mean() for number in numbers], kind="stable")
    found = np.full_like(labels, -1)
    for place, number in enumerate(numbers[order]):
        found[labels == number] = place
    return found


def _means(values: Array) -> Array:
    """Return means over draws [null, draw, 2] of what is a number in each, or not a number."""
    counted = np.isfinite(values)
    total = np.where(counted, values, 0).sum(1)
    return np.where(counted.any(1), total / np.maximum(counted.sum(1), 1), np.nan)
