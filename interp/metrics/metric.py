"""What a metric is, and the registry of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from interp.core.registry import Registry
from interp.metrics.functional.pairings import mean_over_pairs
from interp.metrics.functional.points import Array, Orders


class Metric(ABC):
    """A number for how alike two point clouds x [n1, d1] and y [n2, d2] are.

    One algorithm serves the value and its permutation null: the value is that of the arrangement in
    which the points came. What is computed of one cloud alone is `prepared` once, in whatever form
    the metric likes.

    Attributes:
        paired: row i of x belongs to row i of y, so that n1 = n2.
        symmetric: x and y may be exchanged.
        larger_is_closer: a similarity, not a distance.
        same_width: the definition needs x and y in one space, d1 = d2.
        in_vocabulary: points are logits over a vocabulary.
        label: what the value is, as figures and findings call it.
        bounds: the smallest and the largest value.
        invariances: what may be done to x alone without changing the value: "orthogonal",
            "scale" (one positive factor), "translation", "linear" (any invertible map),
            "permutation" (of rows).
        min_samples: the fewest points that a cloud must have.
    """

    paired: ClassVar[bool]
    symmetric: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool]
    same_width: ClassVar[bool] = False
    in_vocabulary: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str: ...  # noqa: D102 — see the class

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]: ...  # noqa: D102

    @property
    @abstractmethod
    def invariances(self) -> frozenset[str]: ...  # noqa: D102

    @property
    @abstractmethod
    def min_samples(self) -> int: ...  # noqa: D102

    @abstractmethod
    def prepared(self, points: Array) -> Any:
        """Return what is computed of one cloud [n, d] alone.

        Raises:
            ValueError: the metric is not defined on the cloud.
        """

    @abstractmethod
    def evaluate_permutations(self, xs: Sequence[Any], y: Any, draws: NDArray[Any]) -> Array:
        """Return the value of each x with y for each arrangement, [len(xs), b].

        An arrangement of a paired metric is an order [n] of y's rows; one of an unpaired metric is
        a mask [n1 + n2] that says which of the rows of x and then y form the first cloud.
        """

    def identity(self, y: Any) -> float:
        """Return the value of a prepared cloud with itself: the closest that there is."""
        return float(self.bounds[1] if self.larger_is_closer else self.bounds[0])

    def __call__(self, x: Array, y: Array) -> float:
        """Return the value for x and y.

        Raises:
            ValueError: clouds that the metric cannot compare, or on which it is not defined.
        """
        for cloud in (x, y):
            if cloud.ndim != 2 or not np.isfinite(cloud).all():
                raise ValueError(f"points must be finite and of shape [n, d], not {cloud.shape}")
            if len(cloud) < self.min_samples:
                raise ValueError(f"{self.label} needs at least {self.min_samples} points")
        if self.paired and len(x) != len(y):
            raise ValueError(f"pairs need equally many points, not {len(x)} and {len(y)}")
        if self.same_width and x.shape[1] != y.shape[1]:
            widths = f"{x.shape[1]} and {y.shape[1]} dimensions"
            raise ValueError(f"{self.label} needs points of one space, not of {widths}")
        given = np.arange(len(x)) if self.paired else np.arange(len(x) + len(y)) < len(x)
        return float(self.evaluate_permutations([self.prepared(x)], self.prepared(y), given[None])[0, 0])


class TableMetric(Metric):
    """A mean over paired points: a table of every pair of points holds every pairing at once."""

    paired: ClassVar[bool] = True
    same_width: ClassVar[bool] = True

    @abstractmethod
    def table(self, x: Any, y: Any) -> Array:
        """Return the value of every point of one prepared cloud with every point of another.

        [n1, n2]: the metric is the mean over the diagonal, its null the mean over other pairings.
        """

    def evaluate_permutations(self, xs: Sequence[Any], y: Any, draws: Orders) -> Array:
        """Return the mean over the pairs of each order of y's rows, [len(xs), b]."""
        return np.array([mean_over_pairs(self.table(x, y), draws) for x in xs])


METRICS: Registry[Metric] = Registry("metric", "interp.metrics")
