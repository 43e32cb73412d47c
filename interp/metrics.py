"""Metrics as components: thin, declared classes over the maths in `similarity`."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from interp import similarity
from interp.registry import Registry
from interp.similarity import Array


class Metric(Protocol):
    """A number for how alike two point clouds x [n1, d1] and y [n2, d2] are.

    Attributes:
        label: what the value is, as figures and findings call it.
        paired: row i of x belongs to row i of y, so that n1 = n2.
        larger_is_closer: a similarity, not a distance.
        bounds: the smallest and the largest value.
        invariances: what may be done to x alone without changing the value: "orthogonal",
            "scale" (one positive factor), "translation", "permutation" (of rows).
    """

    label: ClassVar[str]
    paired: ClassVar[bool]
    larger_is_closer: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    invariances: ClassVar[frozenset[str]]

    @property
    def min_samples(self) -> int:
        """The fewest points a cloud must have."""
        ...

    def __call__(self, x: Array, y: Array) -> float:
        """Return the value for x and y."""
        ...

    def rearranged(self, x: Array, y: Array, draws: NDArray[Any]) -> Array:
        """Return the value for each draw of a permutation null, [b].

        A draw of a paired metric is an order [n] of y's rows; one of an unpaired metric is a mask
        [n1 + n2] that says which of the rows of x and then y form the first cloud.
        """
        ...


METRICS: Registry[Metric] = Registry("metric")


@METRICS.register("cosine")
@dataclass(frozen=True)
class Cosine:
    """Mean cosine between paired points."""

    label: ClassVar[str] = "mean cosine"
    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})

    @property
    def min_samples(self) -> int:
        """Two, so that there is another pairing to compare with."""
        return 2

    def __call__(self, x: Array, y: Array) -> float:
        """Return `similarity.cosine`."""
        return similarity.cosine(x, y)

    def rearranged(self, x: Array, y: Array, draws: NDArray[Any]) -> Array:
        """Return the cosine under each order of y's rows."""
        return similarity.cosine_permuted(x, y, draws)


@METRICS.register("linear_cka")
@dataclass(frozen=True)
class LinearCKA:
    """Linear centred kernel alignment (Kornblith et al., 2019), debiased unless told otherwise."""

    label: ClassVar[str] = "linear CKA"
    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "scale", "translation"})
    debiased: bool = True

    @property
    def min_samples(self) -> int:
        """Four for the unbiased estimator, which divides by n - 3."""
        return 4 if self.debiased else 2

    def __call__(self, x: Array, y: Array) -> float:
        """Return `similarity.linear_cka`."""
        return similarity.linear_cka(x, y, debiased=self.debiased)

    def rearranged(self, x: Array, y: Array, draws: NDArray[Any]) -> Array:
        """Return the alignment under each order of y's rows."""
        return similarity.linear_cka_permuted(x, y, draws, debiased=self.debiased)


@METRICS.register("procrustes")
@dataclass(frozen=True)
class Procrustes:
    """Orthogonal Procrustes similarity: 1 where a rotation carries one cloud into the other."""

    label: ClassVar[str] = "Procrustes similarity"
    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "scale", "translation"})

    @property
    def min_samples(self) -> int:
        """Two, the fewest points that have a shape."""
        return 2

    def __call__(self, x: Array, y: Array) -> float:
        """Return `similarity.procrustes`."""
        return similarity.procrustes(x, y)

    def rearranged(self, x: Array, y: Array, draws: NDArray[Any]) -> Array:
        """Return the similarity under each order of y's rows."""
        return similarity.procrustes_permuted(x, y, draws)


@METRICS.register("singular_values")
@dataclass(frozen=True)
class SingularValues:
    """Relative distance between the clouds' singular values, mean-centred unless told otherwise."""

    label: ClassVar[str] = "distance between singular values"
    paired: ClassVar[bool] = False
    larger_is_closer: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    center: bool = True

    @property
    def invariances(self) -> frozenset[str]:
        """Translation too, where the mean is taken off."""
        return frozenset({"orthogonal", "permutation", *["translation"] * self.center})

    @property
    def min_samples(self) -> int:
        """Two, the fewest points that spread."""
        return 2

    def __call__(self, x: Array, y: Array) -> float:
        """Return `similarity.singular_value_distance`."""
        return similarity.singular_value_distance(x, y, center=self.center)

    def rearranged(self, x: Array, y: Array, draws: NDArray[Any]) -> Array:
        """Return the distance under each relabelling of the pooled points."""
        return similarity.singular_value_distance_relabelled(x, y, draws, center=self.center)
