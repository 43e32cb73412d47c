"""Clusterings by density, which leave sparse points out as noise: DBSCAN and HDBSCAN."""

from dataclasses import dataclass

import numpy as np

from interp.clusterings.clustering import CLUSTERINGS, Clustering, Labels
from interp.core.errors import ConfigError, check_at_least
from interp.metrics.functional.points import Array, distances


@CLUSTERINGS.register("dbscan")
@dataclass(frozen=True)
class DBSCAN(Clustering):
    """DBSCAN (Ester et al., 1996): points in dense regions and their neighbours; the rest is noise.

    Attributes:
        eps: the largest distance of a neighbour, in units of the median distance of a point from
            its `min_samples`-th nearest, so that one number serves spaces of any scale; at 1 half
            of the points lie in dense regions.
        min_samples: the number of neighbours of a point in a dense region, itself included.
    """

    eps: float = 1.0
    min_samples: int = 5

    def __post_init__(self) -> None:
        if self.eps <= 0:
            raise ConfigError(f"eps must be positive, not {self.eps}")
        check_at_least("min_samples", self.min_samples, 2)

    def fitted(self, points: Array, seed: int) -> Labels:
        """Connect dense regions; deterministic, the seed is not used."""
        from sklearn import cluster

        apart = distances(points, points, "euclidean")
        unit = np.median(np.partition(apart, self.min_samples - 1, axis=1)[:, self.min_samples - 1])
        # If most points coincide the unit is 0, and only coinciding points are neighbours.
        near = max(self.eps * float(unit), np.finfo(float).tiny)
        model = cluster.DBSCAN(eps=near, min_samples=self.min_samples, metric="precomputed")
        return np.asarray(model.fit_predict(apart))


@CLUSTERINGS.register("hdbscan")
@dataclass(frozen=True)
class HDBSCAN(Clustering):
    """HDBSCAN (Campello et al., 2013): the clusters that persist over the widest density range.

    Attributes:
        min_cluster_size: the fewest points of a cluster; smaller groups are noise.
    """

    min_cluster_size: int = 5

    def __post_init__(self) -> None:
        check_at_least("min_cluster_size", self.min_cluster_size, 2)

    @property
    def min_samples(self) -> int:
        """The points of two clusters: it never finds one cluster alone."""
        return 2 * self.min_cluster_size

    def fitted(self, points: Array, seed: int) -> Labels:
        """Select clusters from the hierarchy over all densities; the seed is not used."""
        from sklearn import cluster

        model = cluster.HDBSCAN(self.min_cluster_size, copy=True)
        return np.asarray(model.fit_predict(points))
