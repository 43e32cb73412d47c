"""Means, variances, principal components and linear CKA of clouds of any length, chunk by chunk.

Of two clouds [n, d1] and [n, d2] their means and the sums of products about these are kept:
O(d1 · d2) numbers for any number of points. Sums of two chunks are moved to their common mean when
they are merged (Chan, Golub and LeVeque, 1979; fourth order: Pébay, 2008), which avoids
cancellation if the means lie far from the origin.

Compared with one pass over all points, 1,000,000 points in 64 chunks with means a thousand standard
deviations from the origin keep scatter and CKA to about 1e-12 of their size. A scatter resolves
only directions with at least 1e-16 of the largest variance; see `principal_axes`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# Rows converted to float64 at once, so that the whole cloud is never copied.
_ROWS_A_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over points (xᵢ, yᵢ) about their means; of one cloud alone if y is x.

    Attributes:
        count: how many points, n.
        means: of x [d1] and of y [d2].
        scatter: Σ xᵢ yᵢᵀ, [d1, d2].
        sizes: Σ ‖xᵢ‖² and Σ ‖yᵢ‖².
        thirds: Σ ‖yᵢ‖² xᵢ, [d1], and Σ ‖xᵢ‖² yᵢ, [d2].
        fourth: Σ ‖xᵢ‖² ‖yᵢ‖².
    """

    count: int
    means: tuple[Array, Array]
    scatter: Array
    sizes: tuple[float, float]
    thirds: tuple[Array, Array]
    fourth: float

    @classmethod
    def of(cls, x: NDArray[np.floating], y: NDArray[np.floating]) -> "Moments":
        """Return the moments of points x [n, d1] and y [n, d2], at least one, summed in float64."""
        starts = range(0, len(x), _ROWS_A_CHUNK)
        parts = [[z[i : i + _ROWS_A_CHUNK] for i in starts] for z in ((x,) if y is x else (x, y))]
        return reduce(add, map(cls._of_chunk, parts[0], parts[-1]))

    @classmethod
    def _of_chunk(cls, x: NDArray[np.floating], y: NDArray[np.floating]) -> "Moments":
        means = [points.mean(0, dtype=np.float64) for points in (x, y)]
        moved_x = x - means[0]
        # The product of a matrix with itself takes half as long.
        moved_y = moved_x if y is x else y - means[1]
        lengths_x, lengths_y = (np.einsum("nd,nd->n", z, z) for z in (moved_x, moved_y))
        return cls(
            len(x),
            (means[0], means[1]),
            moved_x.T @ moved_y,
            (float(lengths_x.sum()), float(lengths_y.sum())),
            (lengths_y @ moved_x, lengths_x @ moved_y),
            float(lengths_x @ lengths_y),
        )

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of the union of both sets of points."""
        n = self.count + other.count
        means = tuple(
            one + (two - one) * (other.count / n)
            for one, two in zip(self.means, other.means, strict=True)
        )
        one, two = self._about(*means), other._about(*means)
        return Moments(
            n,
            (means[0], means[1]),
            one.scatter + two.scatter,
            (one.sizes[0] + two.sizes[0], one.sizes[1] + two.sizes[1]),
            (one.thirds[0] + two.thirds[0], one.thirds[1] + two.thirds[1]),
            one.fourth + two.fourth,
        )

    def _about(self, x: Array, y: Array) -> "Moments":
        """Return the sums about other points than the means."""
        dx, dy = self.means[0] - x, self.means[1] - y
        xx, yy = float(dx @ dx), float(dy @ dy)
        n, scatter, (size_x, size_y), (third_x, third_y) = (
            self.count,
            self.scatter,
            self.sizes,
            self.thirds,
        )
        along_y, along_x = scatter @ dy, dx @ scatter
        return Moments(
            n,
            (x, y),
            scatter + n * np.outer(dx, dy),
            (size_x + n * xx, size_y + n * yy),
            (
                third_x + size_y * dx + 2 * along_y + n * yy * dx,
                third_y + size_x * dy + 2 * along_x + n * xx * dy,
            ),
            self.fourth
            + 2 * float(third_y @ dy + third_x @ dx)
            + yy * size_x
            + xx * size_y
            + 4 * float(dx @ along_y)
            + n * xx * yy,
        )


def linear_hsic(moments: Moments, *, debiased: bool) -> float:
    """Return HSIC without its factor, Σᵢⱼ Kᵢⱼ Lᵢⱼ of the centred linear kernels of both clouds.

    The biased form is ‖XᵀY‖² (Gretton et al., 2005); the debiased form (Song et al., 2012) is, for
    centred kernels, ‖XᵀY‖² - n / (n - 2) Σ Kᵢᵢ Lᵢᵢ + tr K tr L / ((n - 1) (n - 2)).
    """
    biased = float((moments.scatter**2).sum())
    if not debiased:
        return biased
    n = moments.count
    traces = moments.sizes[0] * moments.sizes[1]
    return biased - n / (n - 2) * moments.fourth + traces / ((n - 1) * (n - 2))


def linear_cka(
    chunks: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], *, debiased: bool
) -> float:
    """Return the linear CKA (Kornblith et al., 2019) of paired points given in chunks.

    One pass in O((d1 + d2)²) memory. The relative error is about 1e-16 times the ratio of the
    biased to the debiased form, which is large if a few points lie very far from all others.

    Args:
        chunks: points x [nᵢ, d1] and y [nᵢ, d2].
        debiased: use the unbiased estimator.

    Raises:
        ValueError: too few points for the estimator, or all points of a cloud equally far apart.
    """
    of_x, of_y, of_both = reduce(
        lambda one, two: tuple(map(add, one, two)),
        ((Moments.of(x, x), Moments.of(y, y), Moments.of(x, y)) for x, y in chunks),
    )
    fewest = 4 if debiased else 2
    if of_both.count < fewest:
        raise ValueError(f"{'debiased ' * debiased}CKA needs more points than {of_both.count}")
    sizes = []
    for own in (of_x, of_y):
        square, biased = (linear_hsic(own, debiased=way) for way in (debiased, False))
        if square <= 1e-12 * biased or biased == 0:
            raise ValueError("all points are equally far apart, so there is no shape to compare")
        sizes.append(square)
    return float(linear_hsic(of_both, debiased=debiased) / np.sqrt(sizes[0] * sizes[1]))


def principal_axes(moments: Moments, k: int) -> tuple[Array, Array]:
    """Return the k largest variances [k] of one cloud, and their axes [k, d].

    Axes are eigenvectors of the covariance, with the signs of scikit-learn's PCA. The error of a
    variance is about 1e-16 of the largest one, that of an axis about 1e-16 times the largest
    variance over the gap to the next one.

    Args:
        moments: of a cloud with itself.
        k: how many, at most d.
    """
    variances, axes = np.linalg.eigh(moments.scatter / (moments.count - 1))
    return np.maximum(variances[::-1][:k], 0), signed(axes[:, ::-1][:, :k].T)


def signed(axes: Array) -> Array:
    """Return axes [k, d] with signs such that each one's largest absolute entry is positive.

    >>> signed(np.array([[0.6, -0.8]]))
    array([[-0.6,  0.8]])
    """
    largest = np.abs(axes).argmax(1)
    return np.asarray(axes * np.sign(axes[np.arange(len(axes)), largest])[:, None])
