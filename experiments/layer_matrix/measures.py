"""Similarity of pairs of layers with one null for all pairs, and the best match of each layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.hooks import HookPoint
from interp.metrics import Metric
from interp.reductions import Reduction
from interp.runner.analysis import at_layer
from interp.stats.calibration import Calibration, calibrate

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Bytes of points, all layers together, up to which every layer is prepared once and kept. Logits of
# many prompts take more: they are prepared again for each pair of layers.
_HELD_AT_ONCE = 2**30


@dataclass(frozen=True, eq=False)
class LayerPoints(Sequence[Any]):
    """The points of each layer in the form that the metric computes with, made when asked for.

    Attributes:
        activations: the points.
        model: the model's title, for errors.
        hook: what errors call the layers by.
        metric: what prepares the points.
        reduction: fitted at each layer.
    """

    activations: Activations
    model: str
    hook: HookPoint
    metric: Metric
    reduction: Reduction

    def __len__(self) -> int:
        return len(self.activations.layers)

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Any]: ...
    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if i >= len(self):
            raise IndexError(i)
        rows = np.arange(len(self.activations.samples))
        with self.named(i):
            if self.activations.is_degenerate(i, rows):
                raise ValueError("all points coincide up to rounding")
            points = self.activations.points(i, rows)
            return self.metric.prepared(self.reduction.estimator().fit_transform(points))

    def named(self, i: int) -> Any:
        """Return a context that names the i-th layer where the metric is not defined."""
        layers = self.activations.layers
        return at_layer(self.hook, layers[i], layers, self.model)

    @property
    def n_bytes(self) -> int:
        """The size of the points of all layers in float64."""
        width = int(self.activations.points(0, np.arange(1)).shape[1])
        return 8 * width * len(self.activations.samples) * len(self)


@dataclass(frozen=True, eq=False)
class LayerPairs:
    """The similarity of pairs of layers, and the best match of each layer.

    Attributes:
        rows: the layers that are compared.
        columns: the layers that they are compared with.
        compared: the pairs that were computed, each once, [row, column].
        index: the position of each pair in `calibration`, -1 for a layer with itself,
            [row, column]. With a symmetric metric a pair and its reverse have one position.
        calibration: values with their null, [pair].
        identity: the value of each column's layer with itself, [column].
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    compared: Mask
    index: NDArray[np.intp]
    calibration: Calibration
    identity: Array

    @property
    def pairs(self) -> NDArray[np.intp]:
        """The row and the column of each pair, [pair, 2]."""
        return np.argwhere(self.compared)

    @property
    def similarity(self) -> Array:
        """The value of each pair of layers, [row, column]."""
        values = self.calibration.observed[self.index]
        return np.asarray(np.where(self.index < 0, self.identity, values))

    @property
    def significant(self) -> Mask:
        """Whether each pair is significant, [row, column]; a layer with itself is."""
        return np.asarray((self.index < 0) | self.calibration.significant[self.index])

    @cached_property
    def best(self) -> NDArray[np.intp]:
        """The column with the highest score of each row, the layer itself apart, [row]."""
        scores = np.where(self.index < 0, -np.inf, self.calibration.score[self.index])
        return np.asarray(scores.argmax(1))

    @property
    def best_pair(self) -> NDArray[np.intp]:
        """The position in `calibration` of each row with its best match, [row]."""
        return self.index[np.arange(len(self.rows)), self.best]

    @property
    def matched(self) -> int:
        """How many rows have a significant best match."""
        return int(self.calibration.significant[self.best_pair].sum())

    @property
    def neighbouring(self) -> int:
        """How many rows have a neighbouring layer as their best match."""
        return int((np.abs(np.subtract(np.array(self.columns)[self.best], self.rows)) == 1).sum())


def compare_layers(
    own: LayerPoints, other: LayerPoints, permuted: NDArray[Any], alpha: float
) -> LayerPairs:
    """Compare layers in pairs; those of one model where `other` is `own`, else those of two.

    Within one model no layer is compared with itself and, where the metric is symmetric, no pair
    twice.

    Args:
        own: the points of the rows.
        other: the points of the columns.
        permuted: the arrangements of the points, the given one first; the same for all pairs.
        alpha: the corrected p below which a pair is significant.

    Raises:
        ConfigError: fewer than two layers, or one at which the metric is not defined.
    """
    metric, shape = own.metric, (len(own), len(other))
    compared = np.ones(shape, bool)
    if own is other:
        compared = np.triu(compared, 1) if metric.symmetric else ~np.eye(len(own), dtype=bool)
    if not compared.any():
        raise ConfigError("hook: one layer has no other to be compared with; read more layers")
    values, identity = _evaluate(own, other, compared, permuted)
    pairs = np.argwhere(compared)
    observed, null = values[compared][:, 0], values[compared][:, 1:]
    index = np.full(shape, -1)
    index[compared] = np.arange(len(pairs))
    if own is other and metric.symmetric:
        index.T[compared] = np.arange(len(pairs))
    return LayerPairs(
        own.activations.layers,
        other.activations.layers,
        compared,
        index,
        calibrate(observed, null, identity[pairs[:, 1]], metric, alpha),
        identity,
    )


def _evaluate(
    own: LayerPoints, other: LayerPoints, compared: Mask, permuted: NDArray[Any]
) -> tuple[Array, Array]:
    """Return values [row, column, 1 + permutation], and each column with itself, [column]."""
    from tqdm import tqdm

    at_once = own.n_bytes + other.n_bytes <= _HELD_AT_ONCE
    xs: Sequence[Any] = own
    ys: Sequence[Any] = other
    if at_once:
        # The reference first, since it is the model in memory.
        ys = list(other)
        xs = ys if own is other else list(own)
    values, identity = np.zeros((*compared.shape, len(permuted))), np.zeros(len(other))
    for j in tqdm(range(len(other)), "comparing", unit="layer", delay=2, disable=None):
        y, rows = ys[j], np.flatnonzero(compared[:, j]).tolist()
        for block in [rows] if at_once else [[i] for i in rows]:
            if block:
                x = [xs[i] for i in block]
                with other.named(j):
                    values[block, j] = own.metric.evaluate_permutations(x, y, permuted)
        identity[j] = own.metric.identity(y)
    return values, identity
