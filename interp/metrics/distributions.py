"""Metrics of two clouds as distributions, whatever the order of their points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError
from interp.metrics.functional import distributions, subspaces
from interp.metrics.functional.points import Array, Masks, in_few_dimensions
from interp.metrics.metric import METRICS, Metric


class DistributionMetric(Metric):
    """A metric of two clouds whose points do not pair up; the clouds themselves are compared."""

    paired: ClassVar[bool] = False

    def prepared(self, points: Array) -> Array:
        """Return the points."""
        return points


def _pooled(x: Array, y: Array) -> Array:
    return np.concatenate(in_few_dimensions(x, y))


@METRICS.register("cosine_of_means")
@dataclass(frozen=True)
class CosineOfMeans(DistributionMetric):
    """Cosine of the angle between the mean points of both clouds."""

    larger_is_closer: ClassVar[bool] = True
    same_width: ClassVar[bool] = True
    label: ClassVar[str] = "cosine of the mean points"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale", "permutation"})
    min_samples: ClassVar[int] = 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Masks) -> Array:
        """Return the cosine for each division of the points."""
        return np.array([distributions.cosines_of_means(_pooled(x, y), draws) for x in xs])


@METRICS.register("singular_values")
@dataclass(frozen=True)
class SingularValues(DistributionMetric):
    """Distance between the clouds' singular values, mean-centred and relative unless told not."""

    larger_is_closer: ClassVar[bool] = False
    min_samples: ClassVar[int] = 2
    center: bool = True
    relative: bool = True

    @property
    def label(self) -> str:
        """Relative or not."""
        return f"{'relative ' * self.relative}distance between singular values"

    @property
    def bounds(self) -> tuple[float, float]:
        """At most 1 where it is relative, by the triangle inequality."""
        return (0, 1 if self.relative else np.inf)

    @property
    def invariances(self) -> frozenset[str]:
        """Translation too, where the mean is taken off."""
        return frozenset({"orthogonal", "permutation", *["translation"] * self.center})

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Masks) -> Array:
        """Return the distance for each division of the points."""
        return np.array(
            [
                distributions.singular_value_distances(
                    _pooled(x, y), draws, center=self.center, relative=self.relative
                )
                for x in xs
            ]
        )


@METRICS.register("principal_angles")
@dataclass(frozen=True)
class PrincipalAngles(DistributionMetric):
    """Mean principal angle between the leading principal subspaces of both clouds, in degrees.

    Bases of a subspace differ by signs and rotations, which subtracting singular vectors would
    count; the angles do not (Björck and Golub, 1973).

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
        """Between how many components."""
        return f"mean principal angle of {self.components} PCs in degrees"

    @property
    def min_samples(self) -> int:
        """One more than the dimensions that they must span."""
        return self.components + 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Masks) -> Array:
        """Return the mean angle for each division of the points."""
        values = np.empty((len(xs), len(draws)))
        for i, x in enumerate(xs):
            points = _pooled(x, y)
            for draw, mask in enumerate(draws):
                axes = [subspaces.leading_axes(points[p], self.components) for p in (mask, ~mask)]
                values[i, draw] = subspaces.principal_angles(*axes).mean()
        return values


@METRICS.register("wasserstein")
@dataclass(frozen=True)
class Wasserstein(DistributionMetric):
    """Exact 2-Wasserstein distance of optimal transport, all points weighing the same."""

    larger_is_closer: ClassVar[bool] = False
    same_width: ClassVar[bool] = True
    label: ClassVar[str] = "2-Wasserstein distance"
    bounds: ClassVar[tuple[float, float]] = (0, np.inf)
    invariances: ClassVar[frozenset[str]] = frozenset({"permutation"})
    min_samples: ClassVar[int] = 1

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Masks) -> Array:
        """Return the distance for each division of the points."""
        return np.array([distributions.wasserstein_distances(_pooled(x, y), draws) for x in xs])


@METRICS.register("gromov_wasserstein")
@dataclass(frozen=True)
class GromovWasserstein(DistributionMetric):
    """Gromov-Wasserstein distance (Mémoli, 2011): optimal transport between shapes, by POT."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "Gromov-Wasserstein distance"
    bounds: ClassVar[tuple[float, float]] = (0, np.inf)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "translation", "permutation"})
    min_samples: ClassVar[int] = 2

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Masks) -> Array:
        """Return the distance for each division of the points."""
        return np.array(
            [distributions.gromov_wasserstein_distances(_pooled(x, y), draws) for x in xs]
        )
