"""Metrics of the relations between points: CKA, RV, RSA, nearest neighbours, recurrence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from interp.core.errors import ConfigError, check_choice
from interp.metrics.functional import kernels, linear_kernels
from interp.metrics.functional.points import Array, Orders
from interp.metrics.metric import METRICS, Metric

_UP_TO_AXES = frozenset({"orthogonal", "scale", "translation"})


class KernelMetric(Metric):
    """The inner product of two clouds' kernels [n, n], each of unit norm."""

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, permutations: Orders) -> Array:
        """Return the inner product for each order of y's rows [b, n], [len(xs), b]."""
        return kernels.inner_products(xs, y, permutations)


class LinearKernelMetric(Metric):
    """The inner product of two clouds' linear kernels, each of unit norm."""

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES

    def evaluate_permutations(
        self,
        xs: Sequence[linear_kernels.LinearKernel],
        y: linear_kernels.LinearKernel,
        permutations: Orders,
    ) -> Array:
        """Return the inner product for each order of y's rows [b, n], [len(xs), b]."""
        return linear_kernels.inner_products(xs, y, permutations)


@METRICS.register("linear_cka")
@dataclass(frozen=True)
class LinearCKA(LinearKernelMetric):
    """Linear centred kernel alignment (Kornblith et al., 2019).

    Attributes:
        debiased: use the unbiased estimator of HSIC (Song et al., 2012).
    """

    label: ClassVar[str] = "linear CKA"
    debiased: bool = True

    @property
    def bounds(self) -> tuple[float, float]:
        """The unbiased estimator can be negative."""
        return (-1 if self.debiased else 0, 1)

    @property
    def min_samples(self) -> int:
        """Five for the unbiased estimator: with four points many pairings have the same value."""
        return 5 if self.debiased else 2

    def prepared(self, points: Array) -> linear_kernels.LinearKernel:
        """Return the kernel of points [n, d]."""
        form: Final = "debiased" if self.debiased else "biased"
        return linear_kernels.LinearKernel.of(points, form)


@METRICS.register("rbf_cka")
@dataclass(frozen=True)
class RBFCKA(KernelMetric):
    """Centred kernel alignment with a Gaussian kernel (Kornblith et al., 2019).

    Near points have more weight than with the linear kernel.

    Attributes:
        bandwidth: the kernel's standard deviation, in units of the median distance of two points.
        debiased: use the unbiased estimator of HSIC (Song et al., 2012).
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
        """The unbiased estimator can be negative."""
        return (-1 if self.debiased else 0, 1)

    @property
    def min_samples(self) -> int:
        """Five for the unbiased estimator: with four points many pairings have the same value."""
        return 5 if self.debiased else 2

    def prepared(self, points: Array) -> Array:
        """Return `kernels.rbf_kernel`."""
        return kernels.rbf_kernel(points, bandwidth=self.bandwidth, debiased=self.debiased)


@METRICS.register("rv_coefficient")
@dataclass(frozen=True)
class RVCoefficient(LinearKernelMetric):
    """RV coefficient (Robert and Escoufier, 1976), or the modified one (Smilde et al., 2009).

    The RV coefficient equals biased linear CKA, and is as large for independent points; the
    modified one leaves out each point's product with itself.

    Attributes:
        modified: leave out the diagonals.
    """

    modified: bool = False

    @property
    def label(self) -> str:
        """The quantity, modified or not."""
        return f"{'modified ' * self.modified}RV coefficient"

    @property
    def bounds(self) -> tuple[float, float]:
        """The modified coefficient can be negative."""
        return (-1 if self.modified else 0, 1)

    @property
    def min_samples(self) -> int:
        """Three without the diagonal: two points have only one product."""
        return 3 if self.modified else 2

    def prepared(self, points: Array) -> linear_kernels.LinearKernel:
        """Return the kernel of points [n, d] in the chosen form."""
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
        """The quantity, with both choices."""
        return f"RSA ({self.correlation.title()}, {self.dissimilarity})"

    @property
    def invariances(self) -> frozenset[str]:
        """Those of the dissimilarity, and scale, on which no correlation depends."""
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
    """Mean share of the k nearest neighbours of a point that both clouds agree on.

    Huh et al. (2024); neighbours by cosine similarity.

    Attributes:
        k: how many neighbours.
    """

    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"orthogonal", "scale"})
    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be at least 1, not {self.k}")

    @property
    def label(self) -> str:
        """The quantity, with the number of neighbours."""
        return f"mutual {self.k}-nearest neighbours"

    @property
    def min_samples(self) -> int:
        """Two more than k: a point, its k neighbours, and one that is not a neighbour."""
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
