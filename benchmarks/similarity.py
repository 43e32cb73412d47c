"""What it saves to compute of each layer once what its pairs share, against pair by pair.

    python benchmarks/similarity.py

prints how many times longer the plain way takes: median and range over rounds, in each of which
both ways run one after the other, so that a ratio means something on a noisy machine. Points are 13
layers of 768 dimensions whose variances fall off as those of a trained model's do. The plain ways
are written out below as one would write them for one pair with NumPy and SciPy; both ways must give
the same numbers. Of the slow plain ways over 4,096 points a few of the 78 pairs are timed and taken
for all.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.stats

from interp.metrics import METRICS, Metric
from interp.stats import permutations
from interp.stats.two_sample import compare_groups

LAYERS, DIMENSIONS = 13, 768
FEW, MANY = 108, 4096
COMPONENTS, VARIANCE = 20, 0.99
PERMUTATIONS = 999
PAIRS_OF_SENTENCES, NEURONS = 54, 3072
PAIRS_TIMED = 2
ROUNDS = 5
SHORTEST = 0.2

Clouds = list[np.ndarray]


def layers(n: int, rng: np.random.Generator) -> Clouds:
    """Return points [n, d] of each layer, each layer the one before and something new."""
    falling = 1 / np.arange(1, DIMENSIONS + 1)
    points = rng.normal(size=(n, DIMENSIONS)) * falling
    found = []
    for _ in range(LAYERS):
        points = points + 0.5 * rng.normal(size=points.shape) * falling
        turned = points @ rng.normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
        found.append(turned.astype(np.float32).astype(np.float64))
    return found


def plain_svcca(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean canonical correlation of the leading components of both clouds."""
    bases = []
    for points in (x, y):
        u, s, _ = np.linalg.svd(points - points.mean(0), full_matrices=False)
        held = np.cumsum(s**2) / (s**2).sum()
        bases.append(u[:, : min(int(np.searchsorted(held, VARIANCE)) + 1, COMPONENTS)])
    return float(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean())


def plain_linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Return the debiased linear CKA by U-centred Gram matrices (Székely and Rizzo, 2014)."""
    centred = []
    for points in (x, y):
        gram = points @ points.T
        n = len(gram)
        np.fill_diagonal(gram, 0)
        sums = gram.sum(0)
        gram -= (sums[:, None] + sums) / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
        centred.append(gram)
    k, other = centred
    return float(np.vdot(k, other) / np.sqrt(np.vdot(k, k) * np.vdot(other, other)))


def pair_by_pair(
    value: Callable[[np.ndarray, np.ndarray], float], clouds: Clouds, pairs: int
) -> np.ndarray:
    """Return the value of the first so many pairs of layers, each computed for itself."""
    chosen = itertools.islice(itertools.combinations(range(len(clouds)), 2), pairs)
    return np.array([value(clouds[i], clouds[j]) for i, j in chosen])


def all_pairs(metric: Metric, clouds: Clouds) -> np.ndarray:
    """Return the value of every pair of layers as `layer_matrix` has it, each layer made once."""
    given = np.arange(len(clouds[0]))[None]
    prepared = [metric.prepared(points) for points in clouds]
    values = np.zeros((len(clouds), len(clouds)))
    for j in range(1, len(clouds)):
        values[:j, j] = metric.evaluate_permutations(prepared[:j], prepared[j], given)[:, 0]
    return values[np.triu_indices(len(clouds), 1)]


def plain_null(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the value for each rearrangement of y's rows, each computed for itself."""
    return np.array([plain_linear_cka(x, y[order]) for order in orders])


def null(metric: Metric, x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the same as `layer_similarity` has it."""
    return metric.evaluate_permutations([metric.prepared(x)], metric.prepared(y), orders)[0]


def plain_tests(test: Callable, values: np.ndarray, in_first: np.ndarray) -> np.ndarray:
    """Return the p of each neuron, one call of SciPy a neuron."""
    return np.array([test(neuron[in_first], neuron[~in_first]).pvalue for neuron in values.T])


def tests(test: str, values: np.ndarray, in_first: np.ndarray) -> np.ndarray:
    """Return the same as the analyses of neurons have it."""
    pairs = np.tile(np.arange(PAIRS_OF_SENTENCES), 2)
    return compare_groups(test, values, in_first[None], pairs, np.zeros(values.shape[1])).p[0]


def seconds(action: Callable[[], np.ndarray]) -> float:
    """Return the seconds that an action takes, the mean of as many runs as fill a moment."""
    start, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - start < SHORTEST:
        action()
        runs += 1
    return (time.perf_counter() - start) / runs


def ways() -> dict[str, tuple[Callable[[], np.ndarray], Callable[[], np.ndarray], float]]:
    """Return the plain way and ours by name, and how often the plain one would be run for all."""
    rng = np.random.default_rng(0)
    pairs = LAYERS * (LAYERS - 1) // 2
    svcca = METRICS["svcca"](variance=VARIANCE, components=COMPONENTS)
    cka = METRICS["linear_cka"](debiased=True)
    found = {}
    few = layers(FEW, rng)
    for n, clouds, timed in ((FEW, few, pairs), (MANY, layers(MANY, rng), PAIRS_TIMED)):
        for name, plain, metric in (
            ("SVCCA", plain_svcca, svcca),
            ("linear CKA", plain_linear_cka, cka),
        ):
            found[f"{name}, all pairs of {LAYERS} layers, {n:,} points"] = (
                partial(pair_by_pair, plain, clouds, timed),
                partial(all_pairs, metric, clouds),
                pairs / timed,
            )
    orders = permutations.draw_pairings(FEW, FEW, PERMUTATIONS, rng)
    found[f"linear CKA, null of {PERMUTATIONS} permutations, {FEW} points"] = (
        partial(plain_null, few[0], few[1], orders),
        partial(null, cka, few[0], few[1], orders),
        1.0,
    )
    values = rng.normal(size=(2 * PAIRS_OF_SENTENCES, NEURONS))
    in_first = np.arange(len(values)) < PAIRS_OF_SENTENCES
    for name, theirs, ours in (
        ("paired t-tests", scipy.stats.ttest_rel, "paired"),
        ("Welch's t-tests", partial(scipy.stats.ttest_ind, equal_var=False), "welch"),
    ):
        found[f"{name} of {NEURONS:,} neurons"] = (
            partial(plain_tests, theirs, values, in_first),
            partial(tests, ours, values, in_first),
            1.0,
        )
    return found


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return how many times longer the plain way takes, by what is computed; a ratio a round."""
    found: dict[str, list[float]] = {}
    for name, (plain, ours, times) in ways().items():
        # Both once before they are timed: they must agree, and imports are no part of either.
        expected = plain()
        np.testing.assert_allclose(ours()[: len(expected)], expected, rtol=1e-6, atol=1e-9)
        found[name] = [times * seconds(plain) / seconds(ours) for _ in range(rounds)]
    return found


def main() -> None:
    """Print the ratios."""
    print("how many times longer the plain way takes: median (range)")
    for name, ratios in measure().items():
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name:52} {middle:7.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
