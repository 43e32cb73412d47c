"""Similarity of two tokens at each layer, with the similarities of other pairs as its null."""

import itertools

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.hooks import HookPoint
from interp.metrics import Metric
from interp.runner.analysis import at_layer
from interp.stats.calibration import Calibration, calibrate

Array = NDArray[np.float64]
Pairs = NDArray[np.intp]


def token_pairs(
    given: tuple[int, int], n_tokens: int, symmetric: bool, most: int, rng: np.random.Generator
) -> Pairs:
    """Return the given pair and, after it, other pairs of the tokens, [1 + pair, 2].

    Args:
        given: the numbers of the two tokens in question.
        n_tokens: how many tokens there are; a pair may hold one of the given two.
        symmetric: whether the metric is; if not, each pair stands in both orders.
        most: how many other pairs to take at most; of more, a random subset without replacement.
        rng: where the subset comes from.
    """
    every = itertools.combinations if symmetric else itertools.permutations
    others = [pair for pair in every(range(n_tokens), 2) if pair != given]
    if len(others) > most:
        chosen = rng.choice(len(others), most, replace=False)
        others = [others[i] for i in np.sort(chosen)]
    return np.array([given, *others])


def compare_tokens(
    activations: Activations, pairs: Pairs, metric: Metric, hook: HookPoint, alpha: float
) -> Calibration:
    """Compute the metric of each pair of tokens at each layer; the first pair is the observed one.

    Args:
        activations: one point per token.
        pairs: the numbers of the tokens of each pair, [1 + pair, 2]; the same at every layer.
        metric: defined between two single points.
        hook: what errors call the layers by.
        alpha: the corrected p below which a layer is significant.

    Raises:
        ConfigError: a layer at which the metric is not defined.
    """
    from tqdm import tqdm

    layers, rows = activations.layers, np.arange(len(activations.samples))
    values, identity = np.empty((len(layers), len(pairs))), np.empty(len(layers))
    for i, layer in enumerate(tqdm(layers, "comparing", unit="layer", delay=2, disable=None)):
        with at_layer(hook, layer, layers):
            if activations.is_degenerate(i, rows):
                raise ValueError("all tokens coincide up to rounding")
            points = activations.points(i, rows)
            values[i], identity[i] = _values_of_pairs(points, pairs, metric)
    return calibrate(values[:, 0], values[:, 1:], identity, metric, alpha)


def _values_of_pairs(points: Array, pairs: Pairs, metric: Metric) -> tuple[Array, float]:
    """Return the metric of each pair of points, and that of the first pair's second with itself."""
    single = [metric.prepared(point[None]) for point in points]
    alone = np.zeros((1, 1), dtype=np.intp)
    values = np.empty(len(pairs))
    for second in np.unique(pairs[:, 1]):
        of_second = np.flatnonzero(pairs[:, 1] == second)
        firsts = [single[first] for first in pairs[of_second, 0]]
        values[of_second] = metric.evaluate_permutations(firsts, single[second], alone)[:, 0]
    return values, metric.identity(single[pairs[0, 1]])
