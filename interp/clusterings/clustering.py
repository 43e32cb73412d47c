"""What a clustering is, and the registry of them."""

from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.core.registry import Registry
from interp.metrics.functional.points import Array

Labels = NDArray[np.intp]


class Clustering(ABC):
    """Assigns points [n, d] to clusters."""

    @property
    @abstractmethod
    def min_samples(self) -> int:
        """The fewest points that it can be fitted on."""

    def fit_predict(self, points: Array, seed: int) -> Labels:
        """Return the cluster of each point, [n]: 0, 1, … or -1 for noise, which is in no cluster.

        Args:
            points: [n, d].
            seed: of the random numbers that the algorithm draws, if any.

        Raises:
            ValueError: fewer points than `min_samples`.
        """
        if len(points) < self.min_samples:
            raise ValueError(f"{len(points)} points are fewer than {self.min_samples}")
        # On cores that are shared with other processes its threads wait for each other.
        with _threads().limit(limits=1):
            return np.asarray(self.fitted(points, seed), dtype=np.intp)

    @abstractmethod
    def fitted(self, points: Array, seed: int) -> Labels:
        """Return the cluster of each of enough points, [n]."""


CLUSTERINGS: Registry[Clustering] = Registry("clustering", "interp.clusterings")


@cache
def _threads() -> Any:
    import sklearn.cluster  # noqa: F401 — only libraries that are already loaded are limited
    from threadpoolctl import ThreadpoolController

    # Kept: looking for the libraries takes longer than clustering a few points.
    return ThreadpoolController()
