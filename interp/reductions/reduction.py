"""What a reduction is, and the registry of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.core.registry import Registry
from interp.metrics.functional.points import Array, centred

Groups = NDArray[Any]


class Estimator(Protocol):
    """scikit-learn's verbs, and after fitting what scikit-learn's objects say of themselves.

    `explained_variance_ratio_` [k], the share of the points' variance that each component holds, is
    there only where a reduction has one.
    """

    def fit(self, points: Array, y: Groups | None = None) -> Self:
        """Fit on points [n, d]; y [n] is the group of each, where the reduction is supervised."""
        ...

    def fit_transform(self, points: Array, y: Groups | None = None) -> Array:
        """Fit on points [n, d] and return them reduced, [n, k]."""
        ...

    def transform(self, points: Array) -> Array:
        """Reduce other points [m, d]; only inductive reductions have it."""
        ...


class Reduction(ABC):
    """Maps points [n, d] to points [n, k].

    Attributes:
        supervised: fitted on the groups, so that it must be shown on points that it was not fitted
            on: any two groups come apart where they are fitted.
        inductive: can be applied to points that it was not fitted on.
        iterative: finds its layout step by step from a start, which may be given.
        min_samples: the fewest points that it can be fitted on.

    A field `n_components` says how many dimensions there are afterwards, where it reduces them.
    """

    supervised: ClassVar[bool] = False
    inductive: ClassVar[bool] = True
    iterative: ClassVar[bool] = False

    @property
    @abstractmethod
    def min_samples(self) -> int: ...  # noqa: D102 — see the class

    @abstractmethod
    def estimator(self, start: Array | None = None) -> Estimator:
        """Return an unfitted object with scikit-learn's verbs.

        Args:
            start: the layout [n, k] that an iterative reduction begins from.

        Raises:
            ValueError: a start for a reduction that has none.
        """


REDUCTIONS: Registry[Reduction] = Registry("reduction", "interp.reductions")


def refuse_supervised(reduction: Reduction) -> None:
    """Refuse a reduction that is fitted on the groups, where these are compared afterwards.

    Raises:
        ConfigError: the reduction is supervised.
    """
    if reduction.supervised:
        raise ConfigError(
            f"reduction: {REDUCTIONS.name_of(reduction)} is fitted on the groups that would then "
            "be compared; use it with analysis=layer_geometry"
        )


def check_at_least(field: str, given: float, lowest: int) -> None:
    """Refuse a field's value that is too small.

    Raises:
        ConfigError: naming the field, the value and the smallest valid one.
    """
    if given < lowest:
        raise ConfigError(f"{field} must be at least {lowest}, not {given}")


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy's older generators, which scikit-learn draws from, do not take.

    Raises:
        ConfigError: a seed below 0 or above 2³² - 1.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed must lie between 0 and {2**32 - 1}, not {seed}")


@dataclass(frozen=True, eq=False)
class Fit:
    """What fitting gives.

    Attributes:
        scores: the points reduced, [n, k].
        transform: reduces other points, where the reduction is inductive.
        explained: share of the variance that each component holds, [k], where that is defined.
    """

    scores: Array
    transform: Callable[[Array], Array] | None = None
    explained: Array | None = None


class Components(Reduction):
    """A reduction to so many components."""

    n_components: int

    def __post_init__(self) -> None:
        check_at_least("n_components", self.n_components, 1)

    @property
    def min_samples(self) -> int:
        """A point for each component, and two that can differ."""
        return max(2, self.n_components)

    def estimator(self, start: Array | None = None) -> Estimator:
        """Return an unfitted object with scikit-learn's verbs."""
        if start is not None and not self.iterative:
            name = REDUCTIONS.name_of(self)
            raise ValueError(f"{name} does not go step by step, so it begins from no layout")
        kind = _Projection if self.inductive else _Layout
        return cast("Estimator", kind(self, start))

    @abstractmethod
    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Fit on points that differ and are enough."""


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
            raise ValueError(f"a start of shape {self._start.shape} is no layout of shape {n, k}")
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
