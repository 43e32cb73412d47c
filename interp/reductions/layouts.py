"""Nonlinear reductions: layouts that preserve neighbours, distances or a kernel.

All but `kernel_pca` and `isomap` are optimised step by step. Initialised with the layout of the
layer before, they stay near it; how each uses the initial layout was chosen on clouds of 40 to 200
points that drift by a tenth to a third of their spread between layers.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError, check_at_least, check_choice
from interp.metrics.functional.points import Array, centred, distances
from interp.reductions.reduction import (
    REDUCTIONS,
    Components,
    Fit,
    Groups,
    check_seed,
)

_SCALED_KERNELS = ("rbf", "poly", "sigmoid")


@REDUCTIONS.register("kernel_pca")
@dataclass(frozen=True)
class KernelPCA(Components):
    """Kernel principal component analysis (Schölkopf et al., 1998).

    Attributes:
        kernel: rbf, poly (of degree 3, plus 1), sigmoid, cosine or linear.
        gamma: the factor of the first three; by default 1 / the median of the squared distances
            between points, so that a layer's scale does not matter.

    `explained_variance_ratio_` is a component's share of the trace of the centred kernel matrix,
    which for the linear kernel is a share of the variance. The sigmoid kernel has none, since it
    has negative eigenvalues.
    """

    n_components: int = 2
    kernel: str = "rbf"
    gamma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("kernel", self.kernel, (*_SCALED_KERNELS, "cosine", "linear"))
        if self.gamma is None:
            return
        if self.kernel not in _SCALED_KERNELS:
            raise ConfigError(f"gamma: kernel={self.kernel} has none; leave it null")
        if self.gamma <= 0:
            raise ConfigError(f"gamma must be positive, not {self.gamma}")

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the leading eigenvectors of the centred kernel matrix."""
        from sklearn import decomposition
        from sklearn.metrics.pairwise import pairwise_kernels

        settings = {"gamma": self._gamma(points), "degree": 3, "coef0": 1}
        model = decomposition.KernelPCA(
            self.n_components, kernel=self.kernel, eigen_solver="dense", **settings
        )
        scores = model.fit_transform(points)
        explained = None
        if self.kernel != "sigmoid":
            kernel = pairwise_kernels(points, metric=self.kernel, filter_params=True, **settings)
            explained = model.eigenvalues_ / (np.trace(kernel) - kernel.mean(0).sum())
        return Fit(scores, model.transform, explained)

    def _gamma(self, points: Array) -> float | None:
        if self.gamma is not None or self.kernel not in _SCALED_KERNELS:
            return self.gamma
        pairs = np.triu_indices(len(points), 1)
        median = float(np.median(distances(points, points, "sqeuclidean")[pairs]))
        if median == 0:
            raise ValueError("half of the points coincide, so their median distance gives no gamma")
        return 1 / median


@REDUCTIONS.register("isomap")
@dataclass(frozen=True)
class Isomap(Components):
    """Isomap (Tenenbaum et al., 2000): distances along the graph of nearest neighbours.

    Attributes:
        neighbors: how many nearest neighbours a point is connected to; all others if there are
            fewer. Groups that no neighbours connect are connected by their two nearest points.
    """

    n_components: int = 2
    neighbors: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("neighbors", self.neighbors, 1)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the principal components of the distances along the graph."""
        from sklearn import manifold

        # The other solvers start at random and take no seed.
        model = manifold.Isomap(
            n_neighbors=min(self.neighbors, len(points) - 1),
            n_components=self.n_components,
            eigen_solver="dense",
        )
        # Well separated groups give an unconnected graph, which is connected as documented.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of connected components")
            warnings.filterwarnings("ignore", "Changing the sparsity structure")
            scores = model.fit_transform(points)
        return Fit(scores, model.transform)


@REDUCTIONS.register("mds")
@dataclass(frozen=True)
class MDS(Components):
    """Multidimensional scaling by SMACOF (de Leeuw, 1977): distances close to those of the points.

    It starts from the principal components, which are classical scaling: less stress remains than
    from random starts, and the result is deterministic.
    """

    inductive: ClassVar[bool] = False
    iterative: ClassVar[bool] = True

    n_components: int = 2

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Minimise the stress; the scale of the initial layout does not matter."""
        from sklearn import decomposition, manifold

        if start is None:
            start = decomposition.PCA(self.n_components, svd_solver="full").fit_transform(points)
        layout, _ = manifold.smacof(
            distances(points, points, "euclidean"),
            n_components=self.n_components,
            init=start,
            n_init=1,
            eps=1e-6,
            normalized_stress=False,
        )
        return Fit(np.asarray(layout))


@REDUCTIONS.register("tsne")
@dataclass(frozen=True)
class TSNE(Components):
    """t-SNE (van der Maaten and Hinton, 2008): it preserves neighbours, not large distances.

    It starts from the principal components, so that little depends on the seed.

    Attributes:
        perplexity: the effective number of neighbours of a point; by default a third of the other
            points, and at most 30.
        seed: of its random numbers.
    """

    inductive: ClassVar[bool] = False
    iterative: ClassVar[bool] = True

    n_components: int = 2
    perplexity: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_components > 3:
            raise ConfigError(f"n_components of tsne must be at most 3, not {self.n_components}")
        if self.perplexity is not None:
            check_at_least("perplexity", self.perplexity, 1)
        check_seed(self.seed)

    @property
    def min_samples(self) -> int:
        """More points than the perplexity, and at least four."""
        return 4 if self.perplexity is None else max(4, int(self.perplexity) + 1)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Minimise the Kullback-Leibler divergence by gradient descent."""
        from sklearn import manifold
        from threadpoolctl import threadpool_limits

        begin: dict[str, object] = {"init": "pca"}
        if start is not None:
            # With scikit-learn's initial scale of 10⁻⁴ and early exaggeration of 12 nothing of an
            # initial layout remains. Exaggeration serves to find clusters, which the layout already
            # has. At unit scale it can still change; at its own scale it hardly moved and ended at
            # a larger divergence.
            moved = centred(start)
            begin = {"init": (moved / moved.std()).astype(np.float32), "early_exaggeration": 1.0}
        model = manifold.TSNE(
            self.n_components,
            perplexity=self.perplexity or min(30.0, (len(points) - 1) / 3),
            random_state=self.seed,
            **begin,
        )
        # Its threads wait for each other at every step: on cores shared with other jobs of a sweep
        # a second becomes half a minute. One thread also sums in a fixed order.
        with threadpool_limits(1):
            layout = model.fit_transform(points)
        return Fit(np.asarray(layout, dtype=np.float64))


@REDUCTIONS.register("umap")
@dataclass(frozen=True)
class UMAP(Components):
    """UMAP (McInnes et al., 2018): a layout with the neighbour graph of the points.

    Attributes:
        neighbors: how many nearest neighbours a point has; all others if there are fewer.
        min_dist: the smallest distance between points of the layout.
        seed: of its random numbers.
    """

    iterative: ClassVar[bool] = True

    n_components: int = 2
    neighbors: int = 15
    min_dist: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("neighbors", self.neighbors, 2)
        if not 0 <= self.min_dist <= 1:
            raise ConfigError(f"min_dist must lie between 0 and 1, not {self.min_dist}")
        check_seed(self.seed)
        _check_installed("umap")

    @property
    def min_samples(self) -> int:
        """Two more than components: its spectral initialisation needs one more eigenvector."""
        return self.n_components + 2

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Optimise the layout of the graph."""
        with _quiet():
            import umap

            begin: dict[str, object] = {"init": "spectral"}
            if start is not None:
                # A tenth of the default rate: larger first steps would discard the initial layout.
                begin = {"init": start.astype(np.float32), "learning_rate": 0.1}
            model = umap.UMAP(
                n_neighbors=min(self.neighbors, len(points) - 1),
                n_components=self.n_components,
                min_dist=self.min_dist,
                random_state=self.seed,
                n_jobs=1,
                **begin,
            )
            layout = np.asarray(model.fit_transform(points), dtype=np.float64)

        def transform(others: Array) -> Array:
            with _quiet():
                return np.asarray(model.transform(others))

        return Fit(layout, transform)


@REDUCTIONS.register("pacmap")
@dataclass(frozen=True)
class PaCMAP(Components):
    """PaCMAP (Wang et al., 2021): near, mid-near and far pairs, for local and global structure.

    Attributes:
        neighbors: how many nearest neighbours a point has; fewer if there are few points.
        seed: of the random choice of pairs.
    """

    # Its `transform` optimises a new layout and does not reproduce that of the fitted points.
    inductive: ClassVar[bool] = False
    iterative: ClassVar[bool] = True

    n_components: int = 2
    neighbors: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("neighbors", self.neighbors, 1)
        check_seed(self.seed)
        _check_installed("pacmap")

    @property
    def min_samples(self) -> int:
        """Five: a neighbour, two far points, and the points that scale its distances."""
        return max(5, self.n_components)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Optimise the layout of the pairs.

        An initial layout determines only rotation and reflection: PaCMAP shrinks it to almost
        nothing, and other schedules of its steps kept no more of it.
        """
        with _quiet():
            import pacmap
            from threadpoolctl import threadpool_limits

            model = pacmap.PaCMAP(
                n_components=self.n_components,
                n_neighbors=self.neighbors,
                random_state=self.seed,
            )
            with threadpool_limits(1):
                layout = model.fit_transform(points, init=start)
        return Fit(np.asarray(layout, dtype=np.float64))


def _check_installed(extra: str) -> None:
    if importlib.util.find_spec(extra) is None:
        raise ConfigError(f"name: {extra} is not installed: pip install 'interp[{extra}]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of UMAP and PaCMAP about seeds and small samples."""
    logger = logging.getLogger("pacmap")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
