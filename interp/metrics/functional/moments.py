"""Means, variances, principal components and linear CKA of clouds of any length, chunk by chunk.

What is kept of two clouds [n, d1] and [n, d2] are their means and the sums of products about them:
O(d1 · d2) numbers, however many points there were. Sums of two chunks are moved to their common
mean when they are merged (Chan, Golub and LeVeque, 1979; of fourth order: Pébay, 2008), so that
nothing large is taken from something large where the means lie far from the origin.

The error is that of float64. Beside one pass over all points, 1,000,000 points in 64 chunks, their
means a thousand standard deviations from the origin, keep scatter and CKA to about 1e-12 of their
size. What comes from a scatter knows a direction only where its variance is not less than 1e-16 of
the largest: `principal_axes` says what that costs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# Rows taken to float64 at once: a copy of a chunk, and not one of the whole cloud.
_ROWS_A_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over points (xᵢ, yᵢ) about their means; of one cloud alone where y is x.

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
        """Return the moments of both sets of points together."""
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
    """Return Σᵢⱼ Kᵢⱼ Lᵢⱼ for the centred linear kernels of both clouds, biased or not.

    Gretton et al. (2005) without its factor, ‖XᵀY‖²; `debiased` that of Song et al. (2012), which
    for centred kernels is ‖XᵀY‖² - n / (n - 2) Σ Kᵢᵢ Lᵢᵢ + tr K tr L / ((n - 1) (n - 2)).
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
    """Return the linear CKA (Kornblith et al., 2019) of paired points that come in chunks.

    One pass in O((d1 + d2)²) memory. Its error is about 1e-16 times the share that the biased form
    is of the debiased: some digits go where a few points lie very far from all others.

    Args:
        chunks: points x [nᵢ, d1] and y [nᵢ, d2].
        debiased: the unbiased estimator.

    Raises:
        ValueError: too few points for the estimator, or a cloud with no shape to compare.
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

    They are eigenvectors of the covariance, signed as those of scikit-learn's PCA. A variance is
    exact to about 1e-16 of the largest one, an axis to about 1e-16 times the largest variance over
    the distance of its own from the next one.

    Args:
        moments: of x and x.
        k: how many, at most d.
    """
    variances, axes = np.linalg.eigh(moments.scatter / (moments.count - 1))
    return np.maximum(variances[::-1][:k], 0), signed(axes[:, ::-1][:, :k].T)


def signed(axes: Array) -> Array:
    """Return axes [k, d], each turned so that its largest entry by size is positive."""
    largest = np.abs(axes).argmax(1)
    return np.asarray(axes * np.sign(axes[np.arange(len(axes)), largest])[:, None])
