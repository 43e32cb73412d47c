"""Linear kernels of clouds, which need no matrix of n × n where there are many points.

⟨K, L⟩ of the Gram matrices of centred points X [n, d1] and Y [n, d2] is ‖XᵀY‖², and what CKA and RV
coefficients leave out of the diagonal comes down to Σ Kᵢᵢ Lᵢᵢ and tr K tr L: O(n · d1 · d2) instead
of O(n²), in no more memory than the points. Both ways give the same number to about 1e-16 times
what the kernel with its diagonal is of that without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np

from interp.metrics.functional import kernels
from interp.metrics.functional.points import Array, Orders, centred

# Points whose matrix takes 128 MiB; every layer may have to keep one.
_LARGEST_MATRIX = 4096
# What rearranging a number of a kernel, and what holding it against another kernel costs, measured,
# in multiplications of a matrix product.
_REARRANGING, _HOLDING = 25, 12

_MATRICES: dict[str, Callable[[Array], Array]] = {
    "biased": partial(kernels.linear_kernel, debiased=False),
    "debiased": partial(kernels.linear_kernel, debiased=True),
    "modified": kernels.modified_rv_kernel,
}


@dataclass(frozen=True, eq=False)
class LinearKernel:
    """The linear kernel of a cloud, at unit norm.

    Attributes:
        points: centred, [n, d].
        form: "biased" as in linear CKA (Kornblith et al., 2019) and the RV coefficient; "debiased",
            U-centred, whose inner product is the unbiased HSIC of Song et al. (2012); "modified",
            no point against itself (Smilde et al., 2009).
    """

    points: Array
    form: Literal["biased", "debiased", "modified"]

    @classmethod
    def of(cls, points: Array, form: Literal["biased", "debiased", "modified"]) -> "LinearKernel":
        """Return the kernel of points [n, d].

        Raises:
            ValueError: too few points for the form, or no shape to compare.
        """
        kernel = cls(centred(points), form)
        n, d = points.shape
        if n <= d + 2:
            # Refuses what has no shape; the matrix is the smaller form, and will be used.
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
        """The norm of the kernel before it was set to 1."""
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
        """Return what the diagonals add to ‖XᵀY‖² for each of orders of y's points; [b].

        The sums of a centred kernel's rows are 0, which leaves two terms of the unbiased HSIC.
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
    """Return ⟨x, y evaluate_permutations⟩ for each of xs and each of orders [b, n]; [len(xs), b].

    By whichever way is the cheaper; by way of features where a matrix would be too large to keep.
    """
    n, d = y.points.shape
    widths = sum(x.points.shape[1] for x in xs)
    by_features = len(orders) * d * widths
    by_matrices = n * (d + widths + len(orders) * (_REARRANGING + _HOLDING * len(xs)))
    # The products of features may be the larger: logits have more of these than there are points.
    fits = n <= max(_LARGEST_MATRIX, d, *(x.points.shape[1] for x in xs))
    if fits and by_matrices <= by_features:
        return kernels.inner_products([x.matrix for x in xs], y.matrix, orders)
    products = np.empty((len(xs), len(orders)))
    for draw, order in enumerate(orders):
        evaluate_permutations = y.points[order]
        for i, x in enumerate(xs):
            products[i, draw] = ((x.points.T @ evaluate_permutations) ** 2).sum()
    for x, of_x in zip(xs, products, strict=True):
        of_x += x._of_diagonals(y, orders)
        of_x /= x.norm * y.norm
    return products
