"""Reductions to fewer dimensions: scikit-learn's `fit_transform`, nothing new."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from interp.registry import ConfigError, Registry
from interp.similarity.points import Array


class Reduction(Protocol):
    """Maps points [n, d] to points [n, k].

    Attributes:
        min_samples: the fewest points it can be fitted on.
    """

    @property
    def min_samples(self) -> int:
        """The fewest points it can be fitted on."""
        ...

    def fit_transform(self, points: Array) -> Array:
        """Fit on the points and return them reduced."""
        ...


REDUCTIONS: Registry[Reduction] = Registry("reduction")


@REDUCTIONS.register("identity")
@dataclass(frozen=True)
class Identity:
    """The points as they are."""

    min_samples: ClassVar[int] = 1

    def fit_transform(self, points: Array) -> Array:
        """Return the points."""
        return points


@REDUCTIONS.register("pca")
@dataclass(frozen=True)
class PCA:
    """Principal component analysis by scikit-learn's full singular value decomposition."""

    n_components: int = 10

    def __post_init__(self) -> None:
        if self.n_components < 1:
            raise ConfigError(f"n_components must be at least 1, not {self.n_components}")

    @property
    def min_samples(self) -> int:
        """A point for each component."""
        return self.n_components

    def fit_transform(self, points: Array) -> Array:
        """Return the scores on the leading components.

        Raises:
            ConfigError: more components than points or dimensions.
        """
        from sklearn import decomposition

        if self.n_components > min(points.shape):
            raise ConfigError(
                f"reduction.n_components: {self.n_components} components are more than "
                f"{points.shape[0]} points in {points.shape[1]} dimensions have"
            )
        pca = decomposition.PCA(self.n_components, svd_solver="full")
        return cast("Array", pca.fit_transform(points))
