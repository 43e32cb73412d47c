"""Linear kernels of clouds, without a matrix of n × n if there are many points.

⟨K, L⟩ of the Gram matrices of centred points X [n, d1] and Y [n, d2] is ‖XᵀY‖², and the diagonal
terms that debiased CKA and the modified RV coefficient leave out follow from Σ Kᵢᵢ Lᵢᵢ and
tr K tr L: O(n · d1 · d2) instead of O(n²) operations, in no more memory than the points. Both ways
agree to about 1e-16 times the ratio of the kernel's norms with and without its diagonal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np

from interp.metrics.functional import kernels
from interp.metrics.functional.points import Array, Orders, centred

# Points whose matrix takes 128 MiB; every layer may keep one.
_LARGEST_MATRIX = 4096
# Measured costs of permuting an entry of a kernel and of multiplying it with another kernel, in
# units of a multiplication within a matrix product.
_PERMUTING, _MULTIPLYING = 25, 12

_MATRICES: dict[str, Callable[[Array], Array]] = {
    "biased": partial(kernels.linear_kernel, debiased=False),
    "debiased": partial(kernels.linear_kernel, debiased=True),
    "modified": kernels.modified_rv_kernel,
}


@dataclass(frozen=True, eq=False)
class LinearKernel:
    """The linear kernel of a cloud, with unit norm.

    Attributes:
        points: centred, [n, d].
        form: "biased" as in linear CKA (Kornblith et al., 2019) and the RV coefficient; "debiased",
            U-centred, whose inner product is the unbiased HSIC of Song et al. (2012); "modified",
            without the diagonal (Smilde et al., 2009).
    """

    points: Array
    form: Literal["biased", "debiased", "modified"]

    @classmethod
    def of(cls, points: Array, form: Literal["biased", "debiased", "modified"]) -> "LinearKernel":
        """Return the kernel of points [n, d].

        Raises:
            ValueError: too few points for the form, or all points are equally far apart.
        """
        kernel = cls(centred(points), form)
        n, d = points.shape
        if n <= d + 2:
            # Computing the matrix, the smaller form here, also checks that the points have a shape.
            kernel.matrix  # noqa: B018
        elif kernel.norm**2 <= 1e-12 * kernel._of_products:
            raise ValueError("all points are equally far apart, so there is no shape to compare")
        return kernel

    @cached_property
    def matrix(self) -> Array:
        """The kernel itself, [n, n]."""
        return _MATRICES[self.form](self.points)

    @cached_property
    def norm(self) -> float:
        """The norm of the kernel before normalisation."""
        own = self._of_products + self._of_diagonals(self, np.arange(len(self.points))[None])
        return float(np.sqrt(np.maximum(own, 0)[0]))

    @cached_property
    def _of_products(self) -> float:
        """‖XXᵀ‖² = ‖XᵀX‖², from the smaller of the two."""
        n, d = self.points.shape
        x = self.points if n < d else self.points.T
        return float(((x @ x.T) ** 2).sum())

    @cached_property
    def _diagonal(self) -> Array:
        return np.asarray((self.points**2).sum(1))

    def _of_diagonals(self, y: "LinearKernel", orders: Orders) -> Array:
        """Return the contribution of the diagonals for each order [b, n] of y's points, [b].

        The rows of a centred kernel sum to 0, which leaves two terms of the unbiased HSIC.
        """
        n = len(self.points)
        if self.form == "biased":
            return np.zeros(len(orders))
        together = y._diagonal[orders] @ self._diagonal
        if self.form == "modified":
            return np.asarray(-together)
        traces = self._diagonal.sum() * y._diagonal.sum()
        return np.asarray(traces / ((n - 1) * (n - 2)) - n / (n - 2) * together)


def inner_products(xs: Sequence[LinearKernel], y: LinearKernel, orders: Orders) -> Array:
    """Return ⟨x, permuted y⟩ for each kernel x and each order of y's points, [len(xs), b].

    Computed from n × n matrices or from products of features, whichever is faster; from features if
    a matrix would be too large to keep.

    Args:
        xs: kernels of n points.
        y: a kernel of n points.
        orders: permutations of y's points, [b, n].
    """
    n, d = y.points.shape
    widths = sum(x.points.shape[1] for x in xs)
    by_features = len(orders) * d * widths
    by_matrices = n * (d + widths + len(orders) * (_PERMUTING + _MULTIPLYING * len(xs)))
    # With more dimensions than points, as logits have, products of features may be the larger.
    fits = n <= max(_LARGEST_MATRIX, d, *(x.points.shape[1] for x in xs))
    if fits and by_matrices <= by_features:
        return kernels.inner_products([x.matrix for x in xs], y.matrix, orders)
    products = np.empty((len(xs), len(orders)))
    for j, order in enumerate(orders):
        permuted = y.points[order]
        for i, x in enumerate(xs):
            products[i, j] = ((x.points.T @ permuted) ** 2).sum()
    for x, of_x in zip(xs, products, strict=True):
        of_x += x._of_diagonals(y, orders)
        of_x /= x.norm * y.norm
    return products
