"""Are the clusters real? A clustering compared with two nulls, other seeds and resamples."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from interp.clusterings import Clustering
from interp.metrics.functional.points import Array, distances
from interp.reductions import Reduction
from interp.stats.intervals import resample_counts
from interp.stats.permutation_tests import PermutationTest, permutation_test

from . import cluster_measures
from .selected_neurons import SelectedNeurons, observation_kinds

Labels = NDArray[np.intp]

# What each null permutes; the second keeps more of the neurons.
NULLS = ("sentences permuted", "permuted within groups")

# Permutations whose cosines are kept for the figure.
_N_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Points:
    """Neurons as points over sentences.

    Attributes:
        directions: each neuron's activations minus their mean, at unit length, so that the cosine
            of two neurons is their correlation over sentences; [neuron, sentence].
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
        """Centre each neuron of values [sentence, neuron] and scale it to unit length.

        A neuron that does not vary has no direction and stays at the origin.
        """
        centred = (values - values.mean(0)).T
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        varies = norms > 1e-6 * np.linalg.norm(values, axis=0)[:, None]
        directions = np.where(varies, centred / np.where(varies, norms, 1), 0)
        return cls(directions, in_first, observation)

    @classmethod
    def of_selected(cls, selected: SelectedNeurons) -> "Points":
        """Return the selected neurons as points."""
        return cls.of(selected.values, selected.in_first, selected.observation)

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Whether a neuron has a direction, [neuron]."""
        return np.asarray(self.directions.any(axis=1))

    @property
    def cosines(self) -> Array:
        """The cosine of each pair of neurons, [neuron, neuron]."""
        return np.asarray(self.directions @ self.directions.T)

    def permuted(self, null: int, rng: np.random.Generator) -> "Points":
        """Return the points under one permutation of one of `NULLS`."""
        within_groups = bool(null)
        moved = cluster_measures.permute_sentences(
            self.directions, self.in_first, self.observation, within_groups, rng
        )
        return dataclasses.replace(self, directions=moved)

    def resampled(self, n_resamples: int, rng: np.random.Generator) -> "list[Points]":
        """Resample the observations with replacement, each with all its sentences.

        Observations of one group, of the other, and of both are resampled separately.
        """
        number = np.unique(self.observation, return_inverse=True)[1]
        found = []
        kinds = observation_kinds(number, self.in_first)
        for counts in resample_counts(kinds, n_resamples, rng):
            rows = np.repeat(np.arange(len(number)), counts[number].astype(int))
            values = self.directions[:, rows].T
            found.append(Points.of(values, self.in_first[rows], self.observation[rows]))
        return found


@dataclass(frozen=True, eq=False)
class Space:
    """Where neurons are clustered: all dimensions, or a layout.

    Attributes:
        name: in figures and findings.
        place: maps directions [neuron, sentence], with a seed or None, to coordinates [neuron, k].
        distances: maps coordinates to the distances that silhouettes are computed from.
    """

    name: str
    place: Callable[[Array, int | None], Array]
    distances: Callable[[Array], Array]

    @classmethod
    def full(cls) -> "Space":
        """All dimensions; the distance of two neurons is 1 - their correlation."""
        return cls(
            "all dimensions", lambda directions, seed: directions, cluster_measures.cosine_distances
        )

    @classmethod
    def layout(cls, name: str, reduction: Reduction) -> "Space":
        """A reduction of the same directions, with Euclidean distances."""

        def place(directions: Array, seed: int | None) -> Array:
            seeded = reduction
            if seed is not None and hasattr(reduction, "seed"):
                seeded = dataclasses.replace(cast("Any", reduction), seed=seed)
            return seeded.estimator().fit_transform(directions)

        return cls(f"the layout of {name}", place, lambda x: distances(x, x, "euclidean"))


@dataclass(frozen=True)
class Repetitions:
    """How often a clustering is repeated.

    Attributes:
        permutations: of each null.
        seeds: other seeds.
        resamples: of the observations.
    """

    permutations: int
    seeds: int
    resamples: int

    @property
    def total(self) -> int:
        """How many clusterings these are."""
        return len(NULLS) * self.permutations + self.seeds + self.resamples


@dataclass(frozen=True, eq=False)
class NullClusters:
    """The clusterings under both nulls.

    Attributes:
        silhouette: the mean silhouette of every permutation, [null, permutation].
        cosine: mean cosine within clusters and between them, averaged over permutations, [null, 2].
        pair_cosines: cosines of pairs of neurons in some permutations, [null, k].
    """

    silhouette: Array
    cosine: Array
    pair_cosines: Array


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of neurons in a space, and the evidence for them.

    Attributes:
        space: where the neurons are clustered.
        coordinates: [neuron, k].
        labels: the cluster of each neuron, or -1 for noise, [neuron]; the first cluster is that
            with the largest mean t.
        silhouettes: of each neuron, nan for noise, [neuron].
        silhouette: their mean, noise counted 0.
        cosine: mean within clusters and between them, nan where there are no such pairs.
        null: the same clustering under both nulls.
        over_seeds: adjusted Rand index with the clusters of other seeds, [seed].
        over_resamples: the same with the clusters of resampled observations, [resample].
    """

    space: Space
    coordinates: Array
    labels: Labels
    silhouettes: Array
    silhouette: float
    cosine: tuple[float, float]
    null: NullClusters
    over_seeds: Array
    over_resamples: Array

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.labels.max()) + 1

    @property
    def noise(self) -> float:
        """The share of neurons that belong to no cluster."""
        return float((self.labels < 0).mean())

    @property
    def n_permutations(self) -> int:
        """How many permutations each null has."""
        return int(self.null.silhouette.shape[1])

    def agreement_with_sign(self, t: Array) -> float:
        """Return the adjusted Rand index with the sign of t, over the neurons in a cluster."""
        inside = self.labels >= 0
        return cluster_measures.agreement(self.labels[inside], t[inside] > 0)


def cluster_in(
    space: Space,
    points: Points,
    t: Array,
    clustering: Clustering,
    repetitions: Repetitions,
    rng: np.random.Generator,
) -> Clusters:
    """Cluster the neurons in a space, and again under every permutation, seed and resample.

    Whatever depends on the data is repeated each time: the layout, and the number of clusters where
    that is estimated.

    Args:
        space: where.
        points: the neurons.
        t: the statistic by which clusters are ordered, [neuron].
        clustering: the method.
        repetitions: how often the clustering is repeated.
        rng: for seeds, permutations and resamples.
    """
    from tqdm import tqdm

    own_seed = int(rng.integers(2**31))
    coordinates = space.place(points.directions, None)
    labels = _ordered(clustering.fit_predict(coordinates, own_seed), t)
    distances = space.distances(coordinates)
    title = f"clustering in {space.name}"
    bar = tqdm(total=repetitions.total, desc=title, unit="clustering", delay=2, disable=None)

    def cluster(others: Points, seed: int, layout_seed: int | None = None) -> tuple[Array, Labels]:
        x = space.place(others.directions, layout_seed)
        found = clustering.fit_predict(x, seed)
        bar.update()
        return x, found

    with bar:
        null = _cluster_permutations(
            space, points, repetitions.permutations, cluster, own_seed, rng
        )
        over_seeds = np.empty(repetitions.seeds)
        for i in range(repetitions.seeds):
            seed = int(rng.integers(2**31))
            over_seeds[i] = cluster_measures.agreement(labels, cluster(points, seed, seed)[1])
        over_resamples = np.empty(repetitions.resamples)
        for i, resample in enumerate(points.resampled(repetitions.resamples, rng)):
            over_resamples[i] = cluster_measures.agreement(labels, cluster(resample, own_seed)[1])
    return Clusters(
        space=space,
        coordinates=coordinates,
        labels=labels,
        silhouettes=cluster_measures.silhouettes(distances, labels),
        silhouette=cluster_measures.silhouette(distances, labels),
        cosine=cluster_measures.within_and_between(points.cosines, labels),
        null=null,
        over_seeds=over_seeds,
        over_resamples=over_resamples,
    )


def _cluster_permutations(
    space: Space,
    points: Points,
    n_permutations: int,
    cluster: Callable[[Points, int], tuple[Array, Labels]],
    seed: int,
    rng: np.random.Generator,
) -> NullClusters:
    """Cluster the neurons under every permutation of both nulls."""
    n_nulls = len(NULLS)
    silhouette = np.empty((n_nulls, n_permutations))
    cosine = np.empty((n_nulls, n_permutations, 2))
    shown: list[list[Array]] = [[] for _ in NULLS]
    pairs = np.triu_indices(len(points.directions), 1)
    for i, b in np.ndindex(silhouette.shape):
        permuted = points.permuted(i, rng)
        x, labels = cluster(permuted, seed)
        cosines = permuted.cosines
        silhouette[i, b] = cluster_measures.silhouette(space.distances(x), labels)
        cosine[i, b] = cluster_measures.within_and_between(cosines, labels)
        if b < _N_SHOWN:
            shown[i].append(cosines[pairs])
    pair_cosines = np.array([np.concatenate(of_null) for of_null in shown])
    return NullClusters(silhouette, _defined_means(cosine), pair_cosines)


@dataclass(frozen=True, eq=False)
class ClusterTests:
    """The tests of all spaces and nulls together.

    Neurons that share nothing at all share nothing within groups either, so the second null is
    rejected only together with the first (closed testing; Marcus et al., 1976). And clusters in a
    layout count only where they are significant in all dimensions too. Tests in a fixed order, each
    counted only where those before it are rejected, need no other correction (Maurer et al., 1995):
    the corrected p is the largest of theirs and its own.

    Attributes:
        tests: one per space, its values [null].
        p_corrected: corrected over spaces and nulls, [space, null].
        significant: corrected p below the level, [space, null].
        too_few: whether so few permutations allow no p below the level, [space].
    """

    tests: tuple[PermutationTest, ...]
    p_corrected: Array
    significant: NDArray[np.bool_]
    too_few: NDArray[np.bool_]

    @classmethod
    def of(cls, spaces: "tuple[Clusters, ...]", alpha: float) -> "ClusterTests":
        """Compare each space's silhouette with its nulls; all dimensions come first."""
        tests = tuple(
            permutation_test(
                np.repeat(found.silhouette, len(NULLS)), found.null.silhouette, "greater"
            )
            for found in spaces
        )
        p = np.array([test.p for test in tests])
        p_corrected = np.maximum.accumulate(np.maximum.accumulate(p, axis=0), axis=1)
        smallest = np.array([1 / (found.n_permutations + 1) for found in spaces])
        return cls(tests, p_corrected, p_corrected < alpha, smallest >= alpha)


def _ordered(labels: Labels, t: Array) -> Labels:
    """Number clusters by their mean t, the largest first."""
    numbers = np.unique(labels[labels >= 0])
    order = np.argsort([-t[labels == number].mean() for number in numbers], kind="stable")
    found = np.full_like(labels, -1)
    for place, number in enumerate(numbers[order]):
        found[labels == number] = place
    return found


def _defined_means(values: Array) -> Array:
    """Return means over permutations [null, permutation, 2] of the finite values, nan for none."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0).sum(1)
    return np.where(finite.any(1), total / np.maximum(finite.sum(1), 1), np.nan)
