"""Clusterings with a given number of clusters: k-means and agglomerative clustering."""

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.clusterings.clustering import CLUSTERINGS, Clustering, Labels
from interp.core.errors import ConfigError, check_at_least, check_choice
from interp.metrics.functional.points import Array, distances
from interp.metrics.functional.separation import silhouette

# The numbers of clusters that "auto" chooses from, if there are more points than clusters.
_FEWEST, _MOST = 2, 8

# One start of k-means misses one of six clusters in about a quarter of cases; three rarely do.
_STARTS = 3

_LINKAGES = ("average", "complete", "single", "ward")


class Partition(Clustering):
    """A clustering with a given number of clusters, which assigns every point.

    The field `n_clusters` is their number, or "auto": the number from 2 to 8, and less than the
    number of points, with the largest mean silhouette in Euclidean distances (Rousseeuw, 1987).
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
        """One point more than clusters: with one point per cluster there is nothing to find."""
        return 1 + (_FEWEST if self.n_clusters == "auto" else int(self.n_clusters))

    def fitted(self, points: Array, seed: int) -> Labels:
        """Assign the points to the chosen number of clusters."""
        if self.n_clusters != "auto":
            return self.partitioned(points, self.n_clusters, seed)
        numbers = range(_FEWEST, min(_MOST, len(points) - 1) + 1)
        found = np.array([self.partitioned(points, number, seed) for number in numbers])
        if not found.any():
            return np.asarray(found[0])
        apart = distances(points, points, "euclidean")
        return np.asarray(found[silhouette(apart, found).argmax()])

    @abstractmethod
    def partitioned(self, points: Array, n_clusters: int, seed: int) -> Labels:
        """Return the cluster of each point [n, d] for that number of clusters, [n]."""


@CLUSTERINGS.register("kmeans")
@dataclass(frozen=True)
class KMeans(Partition):
    """k-means (Lloyd, 1982), the best of three starts (Arthur and Vassilvitskii, 2007).

    Attributes:
        n_clusters: their number, or "auto": of 2 to 8, that with the largest silhouette.
    """

    n_clusters: Any = "auto"

    def partitioned(self, points: Array, n_clusters: int, seed: int) -> Labels:
        """Assign each point to its nearest centroid; fewer clusters if fewer points differ."""
        from sklearn import cluster

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Number of distinct clusters")
            model = cluster.KMeans(n_clusters, n_init=_STARTS, random_state=seed)
            return np.asarray(model.fit_predict(points))


@CLUSTERINGS.register("agglomerative")
@dataclass(frozen=True)
class Agglomerative(Partition):
    """Agglomerative clustering: the two nearest clusters are merged until `n_clusters` are left.

    Attributes:
        n_clusters: their number, or "auto": of 2 to 8, that with the largest silhouette.
        linkage: the distance of two clusters: the mean distance of their points (average), the
            largest (complete), the smallest (single), or the variance that merging them adds
            (ward; Ward, 1963).
    """

    n_clusters: Any = "auto"
    linkage: str = "average"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("linkage", self.linkage, _LINKAGES)

    def partitioned(self, points: Array, n_clusters: int, seed: int) -> Labels:
        """Merge clusters until that many are left; deterministic, the seed is not used."""
        from sklearn import cluster

        model = cluster.AgglomerativeClustering(n_clusters, linkage=self.linkage)
        return np.asarray(model.fit_predict(points))
