"""What a reduction is, and the registry of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_at_least
from interp.core.registry import Registry
from interp.metrics.functional.points import Array, centred

Groups = NDArray[Any]


class Estimator(Protocol):
    """scikit-learn's `fit`, `fit_transform` and `transform`.

    After fitting, `explained_variance_ratio_` [k] holds the share of the points' variance that each
    component explains; it is absent if a reduction defines none.
    """

    def fit(self, points: Array, y: Groups | None = None) -> Self:
        """Fit on points [n, d]; y [n] is the group of each, if the reduction is supervised."""
        ...

    def fit_transform(self, points: Array, y: Groups | None = None) -> Array:
        """Fit on points [n, d] and return them reduced, [n, k]."""
        ...

    def transform(self, points: Array) -> Array:
        """Reduce other points [m, d]; only inductive reductions have it."""
        ...


class Reduction(ABC):
    """Maps points [n, d] to points [n, k].

    A field `n_components` is the number k, if the reduction changes the number of dimensions.

    Attributes:
        supervised: fitted on the groups, so that its result must be shown on held-out points: in
            many dimensions any two groups separate on the points that were fitted.
        inductive: can be applied to points that it was not fitted on.
        iterative: optimised step by step from an initial layout, which may be given.
        min_samples: the fewest points that it can be fitted on.
    """

    supervised: ClassVar[bool] = False
    inductive: ClassVar[bool] = True
    iterative: ClassVar[bool] = False

    @property
    @abstractmethod
    def min_samples(self) -> int: ...  # noqa: D102 — see the class

    @abstractmethod
    def estimator(self, start: Array | None = None) -> Estimator:
        """Return an unfitted object with scikit-learn's methods.

        Args:
            start: the initial layout [n, k] of an iterative reduction.

        Raises:
            ValueError: an initial layout for a reduction that is not iterative.
        """


REDUCTIONS: Registry[Reduction] = Registry("reduction", "interp.reductions")


def refuse_supervised(reduction: Reduction) -> None:
    """Refuse a supervised reduction before a test that compares the groups it was fitted on.

    Raises:
        ConfigError: the reduction is supervised.
    """
    if reduction.supervised:
        raise ConfigError(
            f"reduction: {REDUCTIONS.name_of(reduction)} is fitted on the groups that would then "
            "be compared; use it with analysis=layer_geometry"
        )


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy's legacy generator, which scikit-learn uses, does not accept.

    Raises:
        ConfigError: a seed below 0 or above 2³² - 1.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed must lie between 0 and {2**32 - 1}, not {seed}")


@dataclass(frozen=True, eq=False)
class Fit:
    """The result of fitting a reduction.

    Attributes:
        scores: the points reduced, [n, k].
        transform: reduces other points [m, d]; None unless the reduction is inductive.
        explained: share of the variance that each component explains, [k]; None if undefined.
    """

    scores: Array
    transform: Callable[[Array], Array] | None = None
    explained: Array | None = None


class Components(Reduction):
    """A reduction to fewer dimensions.

    Attributes:
        n_components: how many dimensions the points are reduced to.
    """

    n_components: int

    def __post_init__(self) -> None:
        check_at_least("n_components", self.n_components, 1)

    @property
    def min_samples(self) -> int:
        """One point per component, and at least two, which can differ."""
        return max(2, self.n_components)

    def estimator(self, start: Array | None = None) -> Estimator:
        """Return an unfitted object with scikit-learn's methods."""
        if start is not None and not self.iterative:
            name = REDUCTIONS.name_of(self)
            raise ValueError(f"{name} is not iterative and takes no initial layout")
        kind = _Projection if self.inductive else _Layout
        return cast("Estimator", kind(self, start))

    @abstractmethod
    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Fit on at least `min_samples` points [n, d] that do not all coincide.

        Args:
            points: [n, d].
            y: the group of each point, [n]; only supervised reductions use it.
            start: the initial layout [n, k]; only iterative reductions use it.
        """


class _Layout:
    """Reduces the points that it is fitted on, and no others."""

    explained_variance_ratio_: Array
    _fit: Fit

    def __init__(self, reduction: Components, start: Array | None) -> None:
        self._reduction = reduction
        self._start = start

    def fit(self, points: Array, y: Groups | None = None) -> Self:
        self.fit_transform(points, y)
        return self

    def fit_transform(self, points: Array, y: Groups | None = None) -> Array:
        n, d = points.shape
        k, fewest = self._reduction.n_components, self._reduction.min_samples
        if k > min(n, d):
            raise ConfigError(
                f"reduction.n_components: {k} components are more than {n} points in {d} "
                "dimensions have"
            )
        if n < fewest:
            raise ConfigError(f"reduction: it needs at least {fewest} points, not {n}")
        if self._start is not None and self._start.shape != (n, k):
            raise ValueError(f"an initial layout of shape {self._start.shape} is not {n, k}")
        centred(points)
        self._fit = self._reduction.fitted(points, y, self._start)
        if self._fit.explained is not None:
            self.explained_variance_ratio_ = self._fit.explained
        return self._fit.scores


class _Projection(_Layout):
    """Reduces other points too."""

    def transform(self, points: Array) -> Array:
        assert self._fit.transform is not None
        return np.asarray(self._fit.transform(points), dtype=np.float64)
