"""What a null costs: permutations of a metric against the forward pass that they belong to.

    python benchmarks/permutations.py

prints, for GPT-2 small with random weights over 200 prompts, the time of 999 permutations at 13
layers as a share of the time of the bare forward pass. Both are the fastest of three in one
process, so that the ratio means something on a noisy machine.
"""

import time
from functools import partial

import numpy as np
import torch

from interp.metrics import METRICS, Metric
from interp.models import Random
from interp.stats import permutations

PROMPTS, LAYERS, PERMUTATIONS = 200, 13, 999
TOKENS = 16


def fastest(action, times: int = 3) -> float:
    """Return the seconds of the fastest of several runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return min(taken)


def null_of(metric: Metric, layers: np.ndarray, orders: np.ndarray) -> None:
    """Compute the null of every layer, [layer, draw]."""
    for x, y in layers:
        metric.evaluate_permutations([metric.prepared(x)], metric.prepared(y), orders)


def main() -> None:
    """Print the ratios."""
    model = Random(architecture="gpt2", device="cpu").load()
    ids = torch.randint(0, 256, (PROMPTS, TOKENS))
    with torch.inference_mode():
        forward = fastest(lambda: [model.module(ids[i : i + 32]) for i in range(0, PROMPTS, 32)])
    rng = np.random.default_rng(0)
    layers = rng.normal(size=(LAYERS, 2, PROMPTS, model.module.config.n_embd))
    orders = permutations.draw_pairings(PROMPTS, PROMPTS, PERMUTATIONS, rng)
    print(f"{PERMUTATIONS} permutations, {LAYERS} layers, {PROMPTS} pairs of prompts")
    print(f"forward pass of GPT-2 small, {PROMPTS} prompts of {TOKENS} tokens = 1.00")
    for name in ("linear_cka", "cosine", "rsa", "mutual_knn", "cca"):
        taken = fastest(partial(null_of, METRICS[name](), layers, orders))
        print(f"{name:12} {taken / forward:6.2f}")


if __name__ == "__main__":
    main()
