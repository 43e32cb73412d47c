"""Metrics of paired points in one space: directions, distances, and norms of the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import check_choice
from interp.metrics.functional import pairings
from interp.metrics.functional.points import (
    Array,
    Orders,
    centred,
    directions,
    distances_by_products,
    in_few_dimensions,
)
from interp.metrics.metric import METRICS, Metric, TableMetric

_NORMS = {"nuclear": 1, "frobenius": 2, "spectral": np.inf}


@METRICS.register("cosine")
@dataclass(frozen=True)
class Cosine(TableMetric):
    """Mean cosine similarity of paired points."""

    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "mean cosine"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})
    min_samples: ClassVar[int] = 1

    def prepared(self, points: Array) -> Array:
        """Return the points [n, d] at unit length.

        Raises:
            ValueError: a point at the origin.
        """
        return directions(points)

    def table(self, x: Array, y: Array) -> Array:
        """Return the cosine of every pair of points, [n1, n2]."""
        return x @ y.T


@METRICS.register("euclidean")
@dataclass(frozen=True)
class Euclidean(TableMetric):
    """Mean Euclidean distance of paired points.

    Attributes:
        relative: divide each distance by the sum of both points' lengths.
    """

    larger_is_closer: ClassVar[bool] = False
    invariances: ClassVar[frozenset[str]] = frozenset()
    min_samples: ClassVar[int] = 1
    relative: bool = True

    @property
    def label(self) -> str:
        """The quantity, relative or not."""
        return f"{'relative ' * self.relative}Euclidean distance"

    @property
    def bounds(self) -> tuple[float, float]:
        """At most 1 if relative, by the triangle inequality."""
        return (0, 1 if self.relative else np.inf)

    def prepared(self, points: Array) -> Array:
        """Return the points [n, d] unchanged."""
        return points

    def table(self, x: Array, y: Array) -> Array:
        """Return the distance of every pair of points, [n1, n2]."""
        return pairings.relative_distances(x, y) if self.relative else distances_by_products(x, y)


@METRICS.register("difference_norm")
@dataclass(frozen=True)
class DifferenceNorm(Metric):
    """Norm of the difference of two matrices of paired points.

    Attributes:
        norm: "frobenius", "spectral" (the operator norm) or "nuclear".
        relative: divide by the sum of the norms of both matrices.
    """

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = False
    same_width: ClassVar[bool] = True
    invariances: ClassVar[frozenset[str]] = frozenset()
    min_samples: ClassVar[int] = 1
    norm: str = "frobenius"
    relative: bool = True

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, _NORMS)

    @property
    def label(self) -> str:
        """The norm, relative or not."""
        norm = self.norm if self.norm != "frobenius" else "Frobenius"
        return f"{'relative ' * self.relative}{norm} norm of the difference"

    @property
    def bounds(self) -> tuple[float, float]:
        """At most 1 if relative, by the triangle inequality."""
        return (0, 1 if self.relative else np.inf)

    def prepared(self, points: Array) -> Array:
        """Return the points [n, d] unchanged."""
        return points

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, permutations: Orders) -> Array:
        """Return the norm for each order of y's rows [b, n], [len(xs), b]."""
        order = _NORMS[self.norm]
        values = []
        for x in xs:
            small_x, small_y = in_few_dimensions(x, y)
            norms = pairings.difference_norms(small_x, small_y, permutations, order)
            size = pairings.schatten_norm(small_x, order) + pairings.schatten_norm(small_y, order)
            if self.relative and size == 0:
                raise ValueError("all points lie at the origin: no relative norm is defined")
            values.append(norms / (size if self.relative else 1.0))
        return np.array(values)


@METRICS.register("trace")
@dataclass(frozen=True)
class Trace(TableMetric):
    """Normalised trace of the product of two matrices of paired points: tr(XᵀY) / (‖X‖ ‖Y‖).

    Attributes:
        center: subtract the mean point of each cloud first.
    """

    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "normalised trace of the product"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    center: bool = True

    @property
    def invariances(self) -> frozenset[str]:
        """Translation too, if the mean is subtracted."""
        return frozenset({"scale", *["translation"] * self.center})

    @property
    def min_samples(self) -> int:
        """Two if the mean is subtracted."""
        return 2 if self.center else 1

    def prepared(self, points: Array) -> Array:
        """Return the points [n, d] at unit Frobenius norm.

        Raises:
            ValueError: all points lie at the origin.
        """
        moved = centred(points) if self.center else points
        norm = np.linalg.norm(moved)
        if norm == 0:
            raise ValueError("all points lie at the origin, so the matrix has no direction")
        return np.asarray(moved / norm)

    def table(self, x: Array, y: Array) -> Array:
        """Return n times the inner product of every pair of points, [n1, n2].

        The factor n makes the mean over the diagonal a sum.
        """
        return len(x) * (x @ y.T)
