"""Ways to put points into clusters: scikit-learn's objects behind one protocol."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_choice
from interp.core.registry import Registry
from interp.metrics.functional.points import Array, distances
from interp.metrics.functional.separation import silhouette
from interp.reductions.reduction import check_at_least

Labels = NDArray[np.intp]

# The numbers of clusters that "auto" chooses from, where there are points enough.
_FEWEST, _MOST = 2, 8

# One start of k-means misses one of six clusters in about a quarter of cases, three rarely do.
_STARTS = 3

_LINKAGES = ("average", "complete", "single", "ward")


class Clustering(ABC):
    """Puts points [n, d] into clusters."""

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The fewest points that it can be fitted on."""

    def fit_predict(self, points: Array, seed: int) -> Labels:
        """Return the cluster of each point, [n]: 0, 1, … or -1 for noise, which is in none.

        Args:
            points: [n, d].
            seed: of what is drawn.

        Raises:
            ValueError: fewer points than `min_samples`.
        """
        if len(points) < self.min_samples:
            raise ValueError(f"{len(points)} points are fewer than {self.min_samples}")
        # On cores that others use too its threads wait for each other at every step.
        with _threads().limit(limits=1):
            return np.asarray(self.fitted(points, seed), dtype=np.intp)

    @abstractmethod
    def fitted(self, points: Array, seed: int) -> Labels:
        """Put points that are enough into clusters."""


CLUSTERINGS: Registry[Clustering] = Registry("clustering", "interp.clusterings")


@cache
def _threads() -> Any:
    import sklearn.cluster  # noqa: F401 — only libraries that are loaded by then are limited
    from threadpoolctl import ThreadpoolController

    # Kept, since looking for the libraries takes longer than to cluster some points.
    return ThreadpoolController()


class Partition(Clustering):
    """A clustering into so many clusters, which leaves no point out.

    The field `n_clusters` is their number, or "auto": of 2 to 8 clusters, and fewer than there are
    points, those with the largest mean silhouette of Euclidean distances (Rousseeuw, 1987).
    """

    n_clusters: Any

    def __post_init__(self) -> None:
        if self.n_clusters == "auto":
            return
        if type(self.n_clusters) is not int:
            raise ConfigError(f"n_clusters must be auto or a number, not {self.n_clusters!r}")
        check_at_least("n_clusters", self.n_clusters, 2)

    @property
    def min_samples(self) -> int:
        """A point more than clusters: where each point is one, nothing is said of any."""
        return 1 + (_FEWEST if self.n_clusters == "auto" else int(self.n_clusters))

    def fitted(self, points: Array, seed: int) -> Labels:
        """Part the points into the chosen number of clusters."""
        if self.n_clusters != "auto":
            return self.parted(points, self.n_clusters, seed)
        numbers = range(_FEWEST, min(_MOST, len(points) - 1) + 1)
        found = np.array([self.parted(points, number, seed) for number in numbers])
        if not found.any():
            return np.asarray(found[0])
        apart = distances(points, points, "euclidean")
        return np.asarray(found[silhouette(apart, found).argmax()])

    @abstractmethod
    def parted(self, points: Array, number: int, seed: int) -> Labels:
        """Part the points into so many clusters."""


@CLUSTERINGS.register("kmeans")
@dataclass(frozen=True)
class KMeans(Partition):
    """k-means (Lloyd, 1982), the best of three starts (Arthur and Vassilvitskii, 2007).

    Attributes:
        n_clusters: their number, or "auto": of 2 to 8, that with the largest silhouette.
    """

    n_clusters: Any = "auto"

    def parted(self, points: Array, number: int, seed: int) -> Labels:
        """Put each point to the nearest of so many centroids, fewer where fewer points differ."""
        from sklearn import cluster

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Number of distinct clusters")
            model = cluster.KMeans(number, n_init=_STARTS, random_state=seed)
            return np.asarray(model.fit_predict(points))


@CLUSTERINGS.register("agglomerative")
@dataclass(frozen=True)
class Agglomerative(Partition):
    """Agglomerative clustering: the two nearest clusters are joined until so many are left.

    Attributes:
        n_clusters: their number, or "auto": of 2 to 8, that with the largest silhouette.
        linkage: how far apart two clusters are: by the mean distance of their points (average), the
            largest (complete), the smallest (single), or by the variance that joining them adds
            (ward; Ward, 1963).
    """

    n_clusters: Any = "auto"
    linkage: str = "average"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("linkage", self.linkage, _LINKAGES)

    def parted(self, points: Array, number: int, seed: int) -> Labels:
        """Join clusters until so many are left; nothing is drawn."""
        from sklearn import cluster

        model = cluster.AgglomerativeClustering(number, linkage=self.linkage)
        return np.asarray(model.fit_predict(points))


@CLUSTERINGS.register("dbscan")
@dataclass(frozen=True)
class DBSCAN(Clustering):
    """DBSCAN (Ester et al., 1996): points in dense places and what is near them; the rest is noise.

    Attributes:
        eps: how near a neighbour is, in units of the median distance of a point from its
            `min_samples`-th nearest, so that one number serves spaces of any scale; at 1 half of
            the points lie in dense places.
        min_samples: the neighbours of a point in a dense place, itself counted.
    """

    eps: float = 1.0
    min_samples: int = 5

    def __post_init__(self) -> None:
        if self.eps <= 0:
            raise ConfigError(f"eps must be positive, not {self.eps}")
        check_at_least("min_samples", self.min_samples, 2)

    def fitted(self, points: Array, seed: int) -> Labels:
        """Link the dense places; nothing is drawn."""
        from sklearn import cluster

        apart = distances(points, points, "euclidean")
        unit = np.median(np.partition(apart, self.min_samples - 1, axis=1)[:, self.min_samples - 1])
        # Where most points coincide, only such as do are neighbours.
        near = max(self.eps * float(unit), np.finfo(float).tiny)
        model = cluster.DBSCAN(eps=near, min_samples=self.min_samples, metric="precomputed")
        return np.asarray(model.fit_predict(apart))


@CLUSTERINGS.register("hdbscan")
@dataclass(frozen=True)
class HDBSCAN(Clustering):
    """HDBSCAN (Campello et al., 2013): the clusters that last longest while density is lowered.

    Attributes:
        min_cluster_size: the fewest points of a cluster; fewer are noise.
    """

    min_cluster_size: int = 5

    def __post_init__(self) -> None:
        check_at_least("min_cluster_size", self.min_cluster_size, 2)

    @property
    def min_samples(self) -> int:
        """The points of two clusters: it never finds one alone."""
        return 2 * self.min_cluster_size

    def fitted(self, points: Array, seed: int) -> Labels:
        """Take clusters out of the tree of all densities; nothing is drawn."""
        from sklearn import cluster

        model = cluster.HDBSCAN(self.min_cluster_size, copy=True)
        return np.asarray(model.fit_predict(points))
