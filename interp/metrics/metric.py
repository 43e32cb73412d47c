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
    """The similarity or the distance of two point clouds x [n1, d1] and y [n2, d2].

    >>> from interp.metrics.pairs import Cosine
    >>> Cosine()(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [1.0, 0.0]]))
    0.5

    One algorithm computes the value and its permutation null: the value is that of the permutation
    which leaves the points as they are. What depends on one cloud alone is `prepared` once, in any
    form that suits the metric.

    Attributes:
        paired: row i of x belongs to row i of y, so that n1 = n2.
        symmetric: x and y may be exchanged.
        larger_is_closer: a similarity, not a distance.
        same_width: the definition needs x and y in the same space, d1 = d2.
        in_vocabulary: points are logits over a vocabulary.
        label: the quantity with its unit, as figures and findings name it.
        bounds: the smallest and the largest value.
        invariances: the transformations of x alone that leave the value unchanged: "orthogonal",
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
        """Return what depends on one cloud [n, d] alone.

        Raises:
            ValueError: the metric is not defined on the cloud.
        """

    @abstractmethod
    def evaluate_permutations(self, xs: Sequence[Any], y: Any, permutations: NDArray[Any]) -> Array:
        """Return the value of each x with y for each permutation, [len(xs), b].

        Args:
            xs: prepared clouds of one size.
            y: a prepared cloud.
            permutations: of a paired metric orders of y's rows, integers [b, n]. Of an unpaired
                metric assignments of the rows of x and then y to two clouds, booleans
                [b, n1 + n2] that are true for the first cloud.
        """

    def identity(self, y: Any) -> float:
        """Return the value of a prepared cloud y with itself: the closest possible one."""
        return float(self.bounds[1] if self.larger_is_closer else self.bounds[0])

    def __call__(self, x: Array, y: Array) -> float:
        """Return the value for x and y.

        Raises:
            ValueError: clouds that the metric cannot compare, or on which it is undefined.
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
        identity = np.arange(len(x)) if self.paired else np.arange(len(x) + len(y)) < len(x)
        prepared_x, prepared_y = self.prepared(x), self.prepared(y)
        return float(self.evaluate_permutations([prepared_x], prepared_y, identity[None])[0, 0])


class TableMetric(Metric):
    """A mean over paired points, whose null needs one table of all pairs of points."""

    paired: ClassVar[bool] = True
    same_width: ClassVar[bool] = True

    @abstractmethod
    def table(self, x: Any, y: Any) -> Array:
        """Return the value of every point of one prepared cloud with every point of another.

        The metric is the mean over the diagonal of the table [n1, n2], its null the mean over other
        pairings.
        """

    def evaluate_permutations(self, xs: Sequence[Any], y: Any, permutations: Orders) -> Array:
        """Return the mean over pairs for each order of y's rows [b, n], [len(xs), b]."""
        return np.array([mean_over_pairs(self.table(x, y), permutations) for x in xs])


METRICS: Registry[Metric] = Registry("metric", "interp.metrics")
