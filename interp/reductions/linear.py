"""Linear reductions."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from interp.metrics.functional.components import principal_components
from interp.metrics.functional.points import Array
from interp.reductions.reduction import (
    REDUCTIONS,
    Components,
    Estimator,
    Fit,
    Groups,
    Reduction,
    check_seed,
)


class _Unchanged:
    """Returns the points unchanged."""

    def fit(self, points: Array, y: Groups | None = None) -> Self:
        return self

    def fit_transform(self, points: Array, y: Groups | None = None) -> Array:
        return points

    def transform(self, points: Array) -> Array:
        return points


@REDUCTIONS.register("identity")
@dataclass(frozen=True)
class Identity(Reduction):
    """No reduction: the points unchanged."""

    @property
    def min_samples(self) -> int:
        """One point."""
        return 1

    def estimator(self, start: Array | None = None) -> Estimator:
        """Return an object that leaves all points unchanged."""
        if start is not None:
            raise ValueError("identity is not iterative and takes no initial layout")
        return _Unchanged()


@REDUCTIONS.register("pca")
@dataclass(frozen=True)
class PCA(Components):
    """Principal component analysis: the directions of most variance (Pearson, 1901).

    Signs follow scikit-learn's convention: the largest loading of each component is positive.
    """

    n_components: int = 10

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the directions of most variance."""
        mean, axes, shares = principal_components(points, self.n_components)

        def transform(others: Array) -> Array:
            return np.asarray((others - mean) @ axes.T)

        return Fit(transform(points), transform, shares)


@REDUCTIONS.register("svd")
@dataclass(frozen=True)
class SVD(Components):
    """Singular value decomposition of the points without subtracting their mean.

    The first component is mostly the mean itself. `explained_variance_ratio_` is a share of the sum
    of squares about the origin and adds up to 1 over all components; that of scikit-learn's
    TruncatedSVD is the variance of the scores and does not. TruncatedSVD is not used because it
    finds fewer components than exist, or finds them at random.
    """

    n_components: int = 10

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the directions of the largest sum of squares about the origin."""
        from scipy import linalg
        from sklearn.utils.extmath import svd_flip

        u, sizes, axes = linalg.svd(points, full_matrices=False)
        # The sign convention of scikit-learn's PCA and TruncatedSVD.
        _, axes = svd_flip(u, axes, u_based_decision=False)
        axes = axes[: self.n_components].T
        explained = sizes[: self.n_components] ** 2 / (sizes**2).sum()
        return Fit(points @ axes, lambda others: others @ axes, explained)


@REDUCTIONS.register("random_projection")
@dataclass(frozen=True)
class RandomProjection(Components):
    """Gaussian random projection (Johnson and Lindenstrauss, 1984): the same axes at every layer.

    It preserves squared distances on average and is not fitted to the points, so that structure in
    the projection is not an artefact of a search for structure. Its axes are not orthonormal, so
    that they explain no share of the variance.

    Attributes:
        seed: of the axes.
    """

    n_components: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Draw the axes at random; only the number of dimensions d matters."""
        from sklearn.random_projection import GaussianRandomProjection

        projection = GaussianRandomProjection(self.n_components, random_state=self.seed)
        scores = np.asarray(projection.fit_transform(points))
        return Fit(scores, projection.transform)
