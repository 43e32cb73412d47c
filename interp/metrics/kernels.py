"""Metrics of which points lie together: CKA, RV, RSA, neighbours, recurrence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from interp.core.errors import ConfigError, check_choice
from interp.metrics.functional import kernels, linear_kernels
from interp.metrics.functional.points import Array, Orders
from interp.metrics.metric import METRICS, Metric

_UP_TO_AXES = frozenset({"orthogonal", "scale", "translation"})


class KernelMetric(Metric):
    """The inner product of two clouds' kernels [n, n], each at unit norm."""

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, draws: Orders) -> Array:
        """Return the inner product for each order of y's rows."""
        return kernels.inner_products(xs, y, draws)


class LinearKernelMetric(Metric):
    """The inner product of two clouds' linear kernels, at unit norm."""

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES

    def evaluate_permutations(
        self,
        xs: Sequence[linear_kernels.LinearKernel],
        y: linear_kernels.LinearKernel,
        draws: Orders,
    ) -> Array:
        """Return the inner product for each order of y's rows."""
        return linear_kernels.inner_products(xs, y, draws)


@METRICS.register("linear_cka")
@dataclass(frozen=True)
class LinearCKA(LinearKernelMetric):
    """Linear centred kernel alignment (Kornblith et al., 2019), debiased unless told not."""

    label: ClassVar[str] = "linear CKA"
    debiased: bool = True

    @property
    def bounds(self) -> tuple[float, float]:
        """The unbiased estimator may fall below 0."""
        return (-1 if self.debiased else 0, 1)

    @property
    def min_samples(self) -> int:
        """Five for the unbiased estimator: of four points many pairings have the same value."""
        return 5 if self.debiased else 2

    def prepared(self, points: Array) -> linear_kernels.LinearKernel:
        """Return the kernel."""
        form: Final = "debiased" if self.debiased else "biased"
        return linear_kernels.LinearKernel.of(points, form)


@METRICS.register("rbf_cka")
@dataclass(frozen=True)
class RBFCKA(KernelMetric):
    """Centred kernel alignment with a Gaussian kernel, which weighs near points more.

    Attributes:
        bandwidth: the kernel's standard deviation, in medians of the distance between points.
        debiased: the unbiased estimator.
    """

    label: ClassVar[str] = "RBF CKA"
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES
    bandwidth: float = 0.8
    debiased: bool = True

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ConfigError(f"bandwidth must be above 0, not {self.bandwidth}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The unbiased estimator may fall below 0."""
        return (-1 if self.debiased else 0, 1)

    @property
    def min_samples(self) -> int:
        """Five for the unbiased estimator: of four points many pairings have the same value."""
        return 5 if self.debiased else 2

    def prepared(self, points: Array) -> Array:
        """Return `kernels.rbf_kernel`."""
        return kernels.rbf_kernel(points, bandwidth=self.bandwidth, debiased=self.debiased)


@METRICS.register("rv_coefficient")
@dataclass(frozen=True)
class RVCoefficient(LinearKernelMetric):
    """RV coefficient (Robert and Escoufier, 1976), or the modified one (Smilde et al., 2009).

    The plain one is the biased linear CKA under its older name, and as large for independent
    points; the modified one leaves out each point's product with itself.
    """

    modified: bool = False

    @property
    def label(self) -> str:
        """Modified or not."""
        return f"{'modified ' * self.modified}RV coefficient"

    @property
    def bounds(self) -> tuple[float, float]:
        """The modified one may fall below 0."""
        return (-1 if self.modified else 0, 1)

    @property
    def min_samples(self) -> int:
        """Three, where the diagonal is left out: two points have but one product."""
        return 3 if self.modified else 2

    def prepared(self, points: Array) -> linear_kernels.LinearKernel:
        """Return the kernel of the chosen form."""
        form: Final = "modified" if self.modified else "biased"
        return linear_kernels.LinearKernel.of(points, form)


@METRICS.register("rsa")
@dataclass(frozen=True)
class RSA(KernelMetric):
    """Representational similarity analysis (Kriegeskorte et al., 2008).

    Attributes:
        correlation: "spearman" or "pearson", between the dissimilarities of both clouds.
        dissimilarity: "correlation", "cosine" or "euclidean", between points of one cloud.
    """

    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    min_samples: ClassVar[int] = 3
    correlation: str = "spearman"
    dissimilarity: str = "correlation"

    def __post_init__(self) -> None:
        check_choice("correlation", self.correlation, ("spearman", "pearson"))
        check_choice("dissimilarity", self.dissimilarity, ("correlation", "cosine", "euclidean"))

    @property
    def label(self) -> str:
        """Both choices."""
        return f"RSA ({self.correlation.title()}, {self.dissimilarity})"

    @property
    def invariances(self) -> frozenset[str]:
        """Those of the dissimilarity; any scale falls out of the correlation."""
        more = {"correlation": [], "cosine": ["orthogonal"], "euclidean": _UP_TO_AXES}
        return frozenset({"scale", *more[self.dissimilarity]})

    def prepared(self, points: Array) -> Array:
        """Return `kernels.dissimilarity_kernel`."""
        return kernels.dissimilarity_kernel(
            points, dissimilarity=self.dissimilarity, ranked=self.correlation == "spearman"
        )


@METRICS.register("mutual_knn")
@dataclass(frozen=True)
class MutualKNN(KernelMetric):
    """Mean share of the k nearest neighbours that a point has in both clouds (Huh et al., 2024)."""

    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "scale"})
    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be at least 1, not {self.k}")

    @property
    def label(self) -> str:
        """With how many neighbours."""
        return f"mutual {self.k}-nearest neighbours"

    @property
    def min_samples(self) -> int:
        """One point that is no neighbour: all would agree otherwise."""
        return self.k + 2

    def prepared(self, points: Array) -> Array:
        """Return `kernels.neighbour_kernel`."""
        return kernels.neighbour_kernel(points, k=self.k)


@METRICS.register("recurrence")
@dataclass(frozen=True)
class Recurrence(KernelMetric):
    """Share of recurrences that two recurrence plots have in common (after Marwan et al., 2007).

    With position=all the points are the tokens of a sequence, in the order of the text.

    Attributes:
        rate: the share of pairs of points that counts as close.
    """

    label: ClassVar[str] = "joint recurrence"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES
    min_samples: ClassVar[int] = 3
    rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ConfigError(f"rate must lie between 0 and 1, not {self.rate}")

    def prepared(self, points: Array) -> Array:
        """Return `kernels.recurrence_kernel`."""
        return kernels.recurrence_kernel(points, rate=self.rate)
