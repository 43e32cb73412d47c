"""Metrics of two clouds as distributions: the order of their points does not matter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError
from interp.metrics.functional import distributions, subspaces
from interp.metrics.functional.points import Array, Masks, in_few_dimensions
from interp.metrics.metric import METRICS, Metric


class DistributionMetric(Metric):
    """A metric of two clouds without pairs of points; the clouds as a whole are compared."""

    paired: ClassVar[bool] = False

    def prepared(self, points: Array) -> Array:
        """Return the points [n, d] unchanged."""
        return points


def _pooled(x: Array, y: Array) -> Array:
    return np.concatenate(in_few_dimensions(x, y))


@METRICS.register("cosine_of_means")
@dataclass(frozen=True)
class CosineOfMeans(DistributionMetric):
    """Cosine similarity of the mean points of both clouds."""

    larger_is_closer: ClassVar[bool] = True
    same_width: ClassVar[bool] = True
    label: ClassVar[str] = "cosine of the mean points"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale", "permutation"})
    min_samples: ClassVar[int] = 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, assignments: Masks) -> Array:
        """Return the cosine for each assignment of the points [b, n1 + n2], [len(xs), b]."""
        return np.array([distributions.cosines_of_means(_pooled(x, y), assignments) for x in xs])


@METRICS.register("singular_values")
@dataclass(frozen=True)
class SingularValues(DistributionMetric):
    """Distance between the clouds' singular values, by default centred and relative.

    Attributes:
        center: subtract the mean point first.
        relative: divide by the sum of the norms of both spectra.
    """

    larger_is_closer: ClassVar[bool] = False
    min_samples: ClassVar[int] = 2
    center: bool = True
    relative: bool = True

    @property
    def label(self) -> str:
        """The quantity, relative or not."""
        return f"{'relative ' * self.relative}distance between singular values"

    @property
    def bounds(self) -> tuple[float, float]:
        """At most 1 if relative, by the triangle inequality."""
        return (0, 1 if self.relative else np.inf)

    @property
    def invariances(self) -> frozenset[str]:
        """Translation too, if the mean is subtracted."""
        return frozenset({"orthogonal", "permutation", *["translation"] * self.center})

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, assignments: Masks) -> Array:
        """Return the distance for each assignment of the points [b, n1 + n2], [len(xs), b]."""
        return np.array(
            [
                distributions.singular_value_distances(
                    _pooled(x, y), assignments, center=self.center, relative=self.relative
                )
                for x in xs
            ]
        )


@METRICS.register("principal_angles")
@dataclass(frozen=True)
class PrincipalAngles(DistributionMetric):
    """Mean principal angle between the leading principal subspaces of both clouds, in degrees.

    The angles depend on the subspaces alone, not on the signs and rotations of their bases (Björck
    and Golub, 1973).

    Attributes:
        components: the dimension of the subspaces.
    """

    larger_is_closer: ClassVar[bool] = False
    same_width: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 90)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale", "translation", "permutation"})
    components: int = 5

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ConfigError(f"components must be at least 1, not {self.components}")

    @property
    def label(self) -> str:
        """The quantity, with the number of components."""
        return f"mean principal angle of {self.components} PCs in degrees"

    @property
    def min_samples(self) -> int:
        """One point more than the dimensions that the points must span."""
        return self.components + 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, assignments: Masks) -> Array:
        """Return the mean angle for each assignment of the points [b, n1 + n2], [len(xs), b]."""
        values = np.empty((len(xs), len(assignments)))
        for i, x in enumerate(xs):
            points = _pooled(x, y)
            for j, mask in enumerate(assignments):
                axes = [subspaces.leading_axes(points[p], self.components) for p in (mask, ~mask)]
                values[i, j] = subspaces.principal_angles(*axes).mean()
        return values


@METRICS.register("wasserstein")
@dataclass(frozen=True)
class Wasserstein(DistributionMetric):
    """2-Wasserstein distance of clouds of equally weighted points, by exact optimal transport."""

    larger_is_closer: ClassVar[bool] = False
    same_width: ClassVar[bool] = True
    label: ClassVar[str] = "2-Wasserstein distance"
    bounds: ClassVar[tuple[float, float]] = (0, np.inf)
    invariances: ClassVar[frozenset[str]] = frozenset({"permutation"})
    min_samples: ClassVar[int] = 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, assignments: Masks) -> Array:
        """Return the distance for each assignment of the points [b, n1 + n2], [len(xs), b]."""
        return np.array(
            [distributions.wasserstein_distances(_pooled(x, y), assignments) for x in xs]
        )


@METRICS.register("gromov_wasserstein")
@dataclass(frozen=True)
class GromovWasserstein(DistributionMetric):
    """Gromov-Wasserstein distance (Mémoli, 2011): optimal transport between distance matrices."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "Gromov-Wasserstein distance"
    bounds: ClassVar[tuple[float, float]] = (0, np.inf)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "translation", "permutation"})
    min_samples: ClassVar[int] = 2

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, assignments: Masks) -> Array:
        """Return the distance for each assignment of the points [b, n1 + n2], [len(xs), b]."""
        return np.array(
            [distributions.gromov_wasserstein_distances(_pooled(x, y), assignments) for x in xs]
        )
