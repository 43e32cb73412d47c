"""Directions that tell groups apart: fitted on the groups, to be shown on other points.

In many dimensions any few points come apart along some direction. What separates on the points that
a direction was fitted on says nothing; what separates on held-out points does.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.reductions.reduction import REDUCTIONS, Components, Fit, Groups


class Directions(Components):
    """Axes along which the means of the groups lie apart, filled up by principal components.

    G groups have at most G - 1 such axes. Further ones are the leading principal components of what
    is orthogonal to them, so that a picture always has its two axes; all axes are orthonormal.
    Groups are taken in the order of their labels in y, sorted. Along each of the first axes the
    second group's mean lies above the first one's, so that an axis keeps its sign from layer to
    layer; the mean of all points is the origin.
    """

    supervised: ClassVar[bool] = True

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the axes.

        Raises:
            ValueError: no groups, one group, or groups whose means coincide.
        """
        name = REDUCTIONS.name_of(self)
        if y is None or len(y) != len(points):
            raise ValueError(f"{name} is fitted on groups: y must name that of each point")
        labels, of_point, sizes = np.unique(y, return_inverse=True, return_counts=True)
        if len(labels) < 2:
            raise ValueError(f"{name} tells groups apart, and there is only one")

        origin = points.mean(0)
        moved = points - origin
        # A d x d matrix of logits would have 10^9 entries: turn into the space of the points first.
        basis = np.linalg.qr(moved.T)[0]
        x = moved @ basis
        means = np.stack([x[of_point == group].mean(0) for group in range(len(labels))])
        spread = np.sqrt(sizes)[:, None] * means
        rank = int((np.linalg.svd(spread)[1] > 1e-7 * np.linalg.norm(points)).sum())
        if rank == 0:
            raise ValueError("the means of the groups coincide, so that no direction parts them")

        within = x - means[of_point]
        apart = self.parting(within, spread, points.shape[1])[:, : min(rank, self.n_components)]
        apart = _orthonormal(apart)
        apart *= np.where((means[1] - means[0]) @ apart < 0, -1, 1)
        rest = np.linalg.svd(x - x @ apart @ apart.T, full_matrices=False)[2].T
        together = _orthonormal(np.hstack([apart, rest[:, : self.n_components - apart.shape[1]]]))
        axes = basis @ together

        filled = axes[:, apart.shape[1] :]
        # Principal components have no sign of their own: scikit-learn's convention gives one.
        filled *= np.sign(np.take_along_axis(filled, np.abs(filled).argmax(0)[None], 0))
        scores = moved @ axes
        explained = (scores**2).sum(0) / (x**2).sum()
        return Fit(scores, lambda others: (others - origin) @ axes, explained)

    @abstractmethod
    def parting(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the axes that part the groups as columns [p, r], the one that parts most first.

        Args:
            within: each point less its group's mean, in p coordinates of the space that the points
                span, [n, p].
            spread: each group's mean less that of all points, times the root of its size, [G, p].
            dimensions: of the space that the points lie in.
        """


@REDUCTIONS.register("class_direction")
@dataclass(frozen=True)
class ClassDirection(Directions):
    """The difference of the groups' means, as in difference-in-means probes.

    With more than two groups, the principal components of the means, each weighed by its group's
    size: the axes of most variance between groups.
    """

    n_components: int = 2

    def parting(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the principal axes of the groups' means."""
        axes: Array = np.linalg.svd(spread, full_matrices=False)[2].T
        return axes


@REDUCTIONS.register("lda")
@dataclass(frozen=True)
class LDA(Directions):
    """Linear discriminant analysis (Fisher, 1936), the covariance shrunk (Ledoit and Wolf, 2004).

    The difference of the groups' means, seen against the spread within the groups. scikit-learn's
    own `shrinkage="auto"` measures every coordinate in its standard deviation first, and shrinks
    the covariance of all points too: rotated points would give another direction, and two groups
    none that is Σ⁻¹Δμ. Here the one covariance within all groups is shrunk towards a sphere.
    """

    n_components: int = 2

    @property
    def min_samples(self) -> int:
        """Two groups, one of which has a spread."""
        return max(3, self.n_components)

    def parting(self, within: Array, spread: Array, dimensions: int) -> Array:
        """Return the directions of most variance between groups for that within them.

        Raises:
            ValueError: the points of each group coincide.
        """
        from scipy import linalg

        if np.linalg.norm(within) <= 1e-7 * np.linalg.norm(spread):
            raise ValueError("the points of each group coincide, so that lda has no spread in them")
        covariance = shrunk_covariance(within, dimensions)
        axes: Array = linalg.eigh(spread.T @ spread, covariance)[1][:, ::-1]
        return axes


def shrunk_covariance(x: Array, dimensions: int) -> NDArray[np.float64]:
    """Return the covariance of centred points, shrunk towards a sphere (Ledoit and Wolf, 2004).

    In the coordinates of their own span n points look as round as a sphere and would be shrunk into
    one. So the sphere, and how much of it, are those of the whole space.

    Args:
        x: the points in any orthonormal basis of a space that holds them, [n, p].
        dimensions: of the whole space, p or more.

    Returns:
        [p, p]: the part of the whole covariance that belongs to the basis.
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
    """Return orthonormal columns, of which the first k span what the first k axes do."""
    q, r = np.linalg.qr(axes)
    return np.asarray(q * np.where(np.diag(r) < 0, -1, 1))
