"""Metrics up to a linear map: Procrustes, the CCA family, linear predictivity."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError
from interp.metrics.functional import kernels, predictivity, subspaces
from interp.metrics.functional.points import Array, Orders, centred
from interp.metrics.metric import METRICS, Metric

_UP_TO_AXES = frozenset({"orthogonal", "scale", "translation"})


@METRICS.register("procrustes")
@dataclass(frozen=True)
class Procrustes(Metric):
    """Orthogonal Procrustes similarity (Schönemann, 1966): 1 if a rotation maps x to y."""

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "Procrustes similarity"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES
    min_samples: ClassVar[int] = 2

    def prepared(self, points: Array) -> Array:
        """Return `subspaces.principal` of points [n, d]."""
        return subspaces.principal(points)

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, permutations: Orders) -> Array:
        """Return the similarity for each order of y's rows [b, n], [len(xs), b]."""
        return np.array([subspaces.procrustes(x, y, permutations) for x in xs])


@METRICS.register("cca")
@dataclass(frozen=True)
class CCA(Metric):
    """Mean canonical correlation (Hotelling, 1936) of the leading principal components.

    Attributes:
        components: how many principal components of each cloud to keep; null keeps all, which
            needs more points than the dimensions of both clouds together.
    """

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    components: int | None = 10

    def __post_init__(self) -> None:
        _check_components(self.components)

    @property
    def label(self) -> str:
        """The quantity, with the number of components."""
        return f"mean canonical correlation{_kept(self.components)}"

    @property
    def invariances(self) -> frozenset[str]:
        """Any invertible map, if all components are kept."""
        return _UP_TO_AXES | {"linear"} if self.components is None else _UP_TO_AXES

    @property
    def min_samples(self) -> int:
        """So many that no correlation is 1 by construction."""
        return 3 if self.components is None else 2 * self.components + 1

    def prepared(self, points: Array) -> Array:
        """Return `subspaces.leading_basis`."""
        return subspaces.leading_basis(points, components=self.components, variance=1.0)

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, permutations: Orders) -> Array:
        """Return the mean correlation for each order of y's rows [b, n], [len(xs), b]."""
        for x in xs:
            _check_room(x, y)
        return subspaces.mean_correlations(xs, y, permutations)


@METRICS.register("svcca")
@dataclass(frozen=True)
class SVCCA(Metric):
    """Mean canonical correlation of the leading principal components (Raghu et al., 2017).

    Attributes:
        variance: the share of a cloud's variance that the kept components explain.
        components: at most that many of them; null for no limit.
    """

    paired: ClassVar[bool] = True
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES
    variance: float = 0.99
    components: int | None = 20

    def __post_init__(self) -> None:
        _check_components(self.components)
        if not 0 < self.variance <= 1:
            raise ConfigError(f"variance must lie between 0 and 1, not {self.variance}")

    @property
    def label(self) -> str:
        """The quantity, with what is kept."""
        most = "" if self.components is None else f", at most {self.components} PCs"
        return f"SVCCA ({self.variance:.4g} of the variance{most})"

    @property
    def min_samples(self) -> int:
        """So many that no correlation is 1 by construction."""
        return 3 if self.components is None else 2 * self.components + 1

    def prepared(self, points: Array) -> Array:
        """Return `subspaces.leading_basis`."""
        return subspaces.leading_basis(points, components=self.components, variance=self.variance)

    def evaluate_permutations(self, xs: Sequence[Array], y: Array, permutations: Orders) -> Array:
        """Return the mean correlation for each order of y's rows [b, n], [len(xs), b]."""
        for x in xs:
            _check_room(x, y)
        return subspaces.mean_correlations(xs, y, permutations)


@dataclass(frozen=True, eq=False)
class Projected:
    """A cloud's basis [n, k], and its centred neurons' coordinates on it [k, d]."""

    basis: Array
    loadings: Array


@METRICS.register("pwcca")
@dataclass(frozen=True)
class PWCCA(Metric):
    """Projection-weighted CCA (Morcos et al., 2018), weighted by the first cloud's neurons.

    Attributes:
        components: how many principal components of each cloud to keep first; null keeps all,
            which needs more points than the dimensions of both clouds together.
    """

    paired: ClassVar[bool] = True
    symmetric: ClassVar[bool] = False
    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    # The weights sum absolute values over neurons, which a rotation changes.
    invariances: ClassVar[frozenset[str]] = frozenset({"scale", "translation"})
    components: int | None = 20

    def __post_init__(self) -> None:
        _check_components(self.components)

    @property
    def label(self) -> str:
        """The quantity, with the number of components."""
        return f"PWCCA{_kept(self.components)}"

    @property
    def min_samples(self) -> int:
        """So many that no correlation is 1 by construction."""
        return 3 if self.components is None else 2 * self.components + 1

    def prepared(self, points: Array) -> Projected:
        """Return the leading basis of points [n, d] and the neurons' coordinates on it."""
        basis = subspaces.leading_basis(points, components=self.components, variance=1.0)
        return Projected(basis, basis.T @ centred(points))

    def evaluate_permutations(
        self, xs: Sequence[Projected], y: Projected, permutations: Orders
    ) -> Array:
        """Return the weighted correlation for each order of y's rows [b, n], [len(xs), b]."""
        for x in xs:
            _check_room(x.basis, y.basis)
        bases, loadings = [x.basis for x in xs], [x.loadings for x in xs]
        return subspaces.projection_weighted_correlations(bases, y.basis, loadings, permutations)


@dataclass(frozen=True, eq=False)
class CentredGram:
    """A cloud as predictor and as target of a ridge regression.

    Attributes:
        gram: of the centred points, [n, n].
        folds: of the cross-validation.
        ridge: the relative penalty.
    """

    gram: Array
    folds: int
    ridge: float

    @cached_property
    def errors(self) -> Array:
        """The quadratic form [n, n] of the squared error of predictions from this cloud."""
        return predictivity.residual_forms(len(self.gram), self.folds, self.gram, self.ridge)


@METRICS.register("linear_predictivity")
@dataclass(frozen=True)
class LinearPredictivity(Metric):
    """Cross-validated R² of predicting the second cloud from the first by ridge regression.

    1 minus the squared error of the predictions over that of the training mean, over all held-out
    points and dimensions; negative if the regression predicts worse than that mean.

    Attributes:
        folds: blocks of consecutive points, each predicted from the others.
        ridge: the penalty, in units of the mean squared length of the centred training points.
    """

    paired: ClassVar[bool] = True
    symmetric: ClassVar[bool] = False
    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "cross-validated R²"
    bounds: ClassVar[tuple[float, float]] = (-np.inf, 1)
    invariances: ClassVar[frozenset[str]] = _UP_TO_AXES
    folds: int = 5
    ridge: float = 0.1

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"folds must be at least 2, not {self.folds}")
        if self.ridge < 0:
            raise ConfigError(f"ridge must be at least 0, not {self.ridge}")

    @property
    def min_samples(self) -> int:
        """Two points per fold."""
        return 2 * self.folds

    def prepared(self, points: Array) -> CentredGram:
        """Return the Gram matrix of the centred points [n, d]."""
        moved = centred(points)
        return CentredGram(moved @ moved.T, self.folds, self.ridge)

    def identity(self, y: CentredGram) -> float:
        """Return how well the cloud predicts itself; below 1, since points are held out."""
        return float(self.evaluate_permutations([y], y, np.arange(len(y.gram))[None])[0, 0])

    def evaluate_permutations(
        self, xs: Sequence[CentredGram], y: CentredGram, permutations: Orders
    ) -> Array:
        """Return R² for each order of y's rows [b, n], [len(xs), b]."""
        baseline = predictivity.residual_forms(len(y.gram), self.folds, None, self.ridge)
        forms = [*(x.errors for x in xs), baseline]
        *errors, of_mean = kernels.inner_products(forms, y.gram, permutations)
        return np.asarray(1 - np.array(errors) / of_mean)


def _check_components(components: int | None) -> None:
    if components is not None and components < 1:
        raise ConfigError(f"components must be at least 1, not {components}")


def _check_room(x: Array, y: Array) -> None:
    n, k1, k2 = len(x), x.shape[1], y.shape[1]
    if k1 + k2 >= n:
        raise ConfigError(
            f"metric.components: {k1} and {k2} dimensions correlate perfectly on {n} points, "
            "whatever the points are; keep fewer, or give more prompts"
        )


def _kept(components: int | None) -> str:
    return "" if components is None else f" ({components} PCs)"
