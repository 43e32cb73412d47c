"""Reductions that bend: layouts that keep neighbours, distances or a kernel, and no straight axes.

All but `kernel_pca` and `isomap` are found step by step. Begun from the layout of the layer before
they stay near it; how they are begun was chosen on clouds of 40 to 200 points that drift by a tenth
to a third of their spread between layers.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError, check_choice
from interp.metrics.functional.points import Array, centred, distances
from interp.reductions.reduction import (
    REDUCTIONS,
    Components,
    Fit,
    Groups,
    check_at_least,
    check_seed,
)

_SCALED_KERNELS = ("rbf", "poly", "sigmoid")


@REDUCTIONS.register("kernel_pca")
@dataclass(frozen=True)
class KernelPCA(Components):
    """Kernel principal component analysis (Schölkopf et al., 1998).

    Attributes:
        kernel: rbf, poly (of degree 3, plus 1), sigmoid, cosine or linear.
        gamma: the factor within the first three; by default 1 / the median of the squared distances
            between points, so that a layer's scale does not matter.

    What a component explains is its share of the trace of the centred kernel matrix, which for
    the linear kernel is a share of the variance. The sigmoid kernel has no such share, since it has
    negative eigenvalues.
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
            raise ValueError("half of the points coincide, so that their distances give no gamma")
        return 1 / median


@REDUCTIONS.register("isomap")
@dataclass(frozen=True)
class Isomap(Components):
    """Isomap (Tenenbaum et al., 2000): distances along the graph of nearest neighbours.

    Attributes:
        neighbors: how many nearest neighbours a point is joined to; all others where points are
            fewer. Where groups lie so far apart that no neighbours join them, the two nearest
            points of both are joined.
    """

    n_components: int = 2
    neighbors: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("neighbors", self.neighbors, 1)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Find the principal components of the distances along the graph."""
        from sklearn import manifold

        # The other solvers begin at random, without a seed.
        model = manifold.Isomap(
            n_neighbors=min(self.neighbors, len(points) - 1),
            n_components=self.n_components,
            eigen_solver="dense",
        )
        # An unconnected graph is what well parted groups have: no error, and joined as documented.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of connected components")
            warnings.filterwarnings("ignore", "Changing the sparsity structure")
            scores = model.fit_transform(points)
        return Fit(scores, model.transform)


@REDUCTIONS.register("mds")
@dataclass(frozen=True)
class MDS(Components):
    """Multidimensional scaling by SMACOF: distances as near to those of the points as can be.

    It begins from the principal components, which are classical scaling: less stress remains than
    from random starts, and there is nothing to draw.
    """

    inductive: ClassVar[bool] = False
    iterative: ClassVar[bool] = True

    n_components: int = 2

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Lower the stress step by step; the scale of the start does not matter."""
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
    """t-SNE (van der Maaten and Hinton, 2008): near points stay near, far ones go anywhere.

    Attributes:
        perplexity: how many neighbours a point has, about; by default a third of the others, and at
            most 30.
        seed: of what little is drawn: the layout begins from the principal components.
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
        """More points than the perplexity, which is at least 1."""
        return 4 if self.perplexity is None else max(4, int(self.perplexity) + 1)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Follow the gradient of the Kullback-Leibler divergence."""
        from sklearn import manifold
        from threadpoolctl import threadpool_limits

        begin: dict[str, object] = {"init": "pca"}
        if start is not None:
            # At scikit-learn's usual start of 10⁻⁴ and early exaggeration of 12 nothing of a layout
            # remains. Exaggeration is for finding clusters, which a start already has; and from
            # unit size there is room to unfold: as it is it would be stuck where it was, and in
            # these tries ended at a larger divergence.
            moved = centred(start)
            begin = {"init": (moved / moved.std()).astype(np.float32), "early_exaggeration": 1.0}
        model = manifold.TSNE(
            self.n_components,
            perplexity=self.perplexity or min(30.0, (len(points) - 1) / 3),
            random_state=self.seed,
            **begin,
        )
        # Its threads wait for each other at every step: on cores that others use too, say other
        # jobs of a sweep, a second becomes half a minute. One thread also adds up in one order.
        with threadpool_limits(1):
            layout = model.fit_transform(points)
        return Fit(np.asarray(layout, dtype=np.float64))


@REDUCTIONS.register("umap")
@dataclass(frozen=True)
class UMAP(Components):
    """UMAP (McInnes et al., 2018): a layout whose graph of near neighbours is that of the points.

    Attributes:
        neighbors: how many nearest neighbours a point has; all others where points are fewer.
        min_dist: how near points may come in the layout.
        seed: of the layout.
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
        """It begins from the spectrum of a graph, which has one vector more than is used."""
        return self.n_components + 2

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Lay the graph out."""
        with _quiet():
            import umap

            begin: dict[str, object] = {"init": "spectral"}
            if start is not None:
                # A tenth of the usual steps: the first ones would throw the start away.
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
    """PaCMAP (Wang et al., 2021): near, middling and far pairs, for shape near and far.

    Attributes:
        neighbors: how many nearest neighbours a point has; fewer where points are few.
        seed: of the pairs that are drawn.
    """

    # Its `transform` lays other points out anew, and does not give back those it was fitted on.
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
        """A neighbour, two far points, and what it measures neighbours by."""
        return max(5, self.n_components)

    def fitted(self, points: Array, y: Groups | None, start: Array | None) -> Fit:
        """Lay the pairs out.

        A start sets how the layout is turned and mirrored, and no more: PaCMAP itself shrinks it to
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
    """Keep from the console what UMAP and PaCMAP say of seeds and small samples."""
    logger = logging.getLogger("pacmap")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
