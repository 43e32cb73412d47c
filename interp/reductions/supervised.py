"""Directions that separate groups: fitted on the groups, to be shown on held-out points.

In many dimensions any few points separate along some direction. Separation of the fitted points is
no evidence; separation of held-out points is.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.reductions.reduction import REDUCTIONS, Components, Fit, Groups


class Directions(Components):
    """Axes along which the group means differ, completed by principal components.

    G groups have at most G - 1 such axes. Further axes are the leading principal components of the
    orthogonal complement, so that a figure always has two; all axes are orthonormal. Groups are
    ordered by their sorted labels in y. Along each of the first axes the second group's mean lies
    above the first one's, so that an axis keeps its sign from layer to layer; the mean of all
    points is the origin.
    """

    supervised: ClassVar[bool] = True

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the axes.

        Raises:
            ValueError: no groups, one group, or groups whose means coincide.
        """
        name = REDUCTIONS.name_of(self)
        if y is None or len(y) != len(points):
            raise ValueError(f"{name} is fitted on groups: y must give the group of each point")
        labels, of_point, sizes = np.unique(y, return_inverse=True, return_counts=True)
        if len(labels) < 2:
            raise ValueError(f"{name} separates groups, and there is only one")

        origin = points.mean(0)
        moved = points - origin
        # A d × d matrix of logits would have 10⁹ entries: rotate into the span of the points first.
        basis = np.linalg.qr(moved.T)[0]
        x = moved @ basis
        means = np.stack([x[of_point == group].mean(0) for group in range(len(labels))])
        spread = np.sqrt(sizes)[:, None] * means
        rank = int((np.linalg.svd(spread)[1] > 1e-7 * np.linalg.norm(points)).sum())
        if rank == 0:
            raise ValueError("the means of the groups coincide, so no direction separates them")

        within = x - means[of_point]
        apart = self.separating_axes(within, spread, points.shape[1])[
            :, : min(rank, self.n_components)
        ]
        apart = _orthonormal(apart)
        apart *= np.where((means[1] - means[0]) @ apart < 0, -1, 1)
        rest = np.linalg.svd(x - x @ apart @ apart.T, full_matrices=False)[2].T
        together = _orthonormal(np.hstack([apart, rest[:, : self.n_components - apart.shape[1]]]))
        axes = basis @ together

        filled = axes[:, apart.shape[1] :]
        # The sign of a principal component is arbitrary: use scikit-learn's convention.
        filled *= np.sign(np.take_along_axis(filled, np.abs(filled).argmax(0)[None], 0))
        scores = moved @ axes
        explained = (scores**2).sum(0) / (x**2).sum()
        return Fit(scores, lambda others: (others - origin) @ axes, explained)

    @abstractmethod
    def separating_axes(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the axes that separate the groups as columns [p, r], the best one first.

        Args:
            within: each point minus its group's mean, in p coordinates of the span of the points,
                [n, p].
            spread: each group's mean minus that of all points, times the root of its size, [G, p].
            dimensions: of the space in which the points lie.
        """


@REDUCTIONS.register("class_direction")
@dataclass(frozen=True)
class ClassDirection(Directions):
    """The difference of the groups' means, as in difference-in-means probes.

    With more than two groups, the principal components of the means, weighted by group size: the
    axes of most variance between groups.
    """

    n_components: int = 2

    def separating_axes(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the principal axes of the groups' means."""
        axes: Array = np.linalg.svd(spread, full_matrices=False)[2].T
        return axes


@REDUCTIONS.register("lda")
@dataclass(frozen=True)
class LDA(Directions):
    """Linear discriminant analysis (Fisher, 1936), the covariance shrunk (Ledoit and Wolf, 2004).

    The difference of the group means relative to the spread within groups. scikit-learn's
    `shrinkage="auto"` standardises every coordinate first and shrinks the covariance of all points
    too: rotated points would give another direction, and that of two groups would not be Σ⁻¹Δμ.
    Here the pooled covariance within groups is shrunk towards a multiple of the identity.
    """

    n_components: int = 2

    @property
    def min_samples(self) -> int:
        """Three: two groups, one of which has at least two points."""
        return max(3, self.n_components)

    def separating_axes(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the directions of largest ratio of variance between to variance within groups.

        Raises:
            ValueError: the points of each group coincide.
        """
        from scipy import linalg

        if np.linalg.norm(within) <= 1e-7 * np.linalg.norm(spread):
            raise ValueError("the points of each group coincide: lda needs variance within groups")
        covariance = shrunk_covariance(within, dimensions)
        axes: Array = linalg.eigh(spread.T @ spread, covariance)[1][:, ::-1]
        return axes


def shrunk_covariance(x: Array, dimensions: int) -> NDArray[np.float64]:
    """Return the covariance of centred points, shrunk towards a multiple of the identity.

    The amount of shrinkage is that of Ledoit and Wolf (2004) in the whole space: in the coordinates
    of their own span alone n points look isotropic and would be shrunk too much.

    Args:
        x: the points in any orthonormal basis of a space that holds them, [n, p].
        dimensions: of the whole space, p or more.

    Returns:
        [p, p]: the shrunk covariance of the whole space, restricted to the basis.
    """
    n, p = x.shape
    covariance = x.T @ x / n
    variance = np.trace(covariance) / dimensions
    size = (covariance**2).sum()
    noise = (((x**2).sum(1) ** 2).sum() / n - size) / n
    distance = size - dimensions * variance**2
    share = min(noise / distance, 1.0) if distance > 0 else 1.0
    shrunk: Array = (1 - share) * covariance + share * variance * np.eye(p)
    return shrunk


def _orthonormal(axes: Array) -> Array:
    """Return orthonormal columns; the first k span the same space as the first k axes."""
    q, r = np.linalg.qr(axes)
    return np.asarray(q * np.where(np.diag(r) < 0, -1, 1))
