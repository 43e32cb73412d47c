"""How prompts are rearranged to make a null; the tokens of one prompt always stay together.

Each function returns arrangements as metrics take them, the first of which is the given one. Where
there are no more than are to be drawn, each is taken once, and p is exact.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from interp import statistics
from interp.similarity.points import Masks, Orders


def pairings(rows: int, prompts: int, draws: int, rng: np.random.Generator) -> Orders:
    """Draw which prompt of the second cloud goes with which of the first; [1 + b, rows].

    Args:
        rows: points of a cloud, of the first prompt, then of the next, equally many of each.
        prompts: how many prompts they are of.
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    tokens = rows // prompts
    if count_pairings(prompts) <= draws + 1:
        orders = np.array(list(itertools.permutations(range(prompts))))
    else:
        orders = statistics.permutations(prompts, draws, rng)
        orders = np.concatenate([np.arange(prompts)[None], orders])
    return (orders[:, :, None] * tokens + np.arange(tokens)).reshape(len(orders), rows)


def relabellings(
    prompt_of_row: NDArray[np.intp], split: int, draws: int, rng: np.random.Generator
) -> Masks:
    """Draw which prompts form the first group; [1 + b, rows].

    Args:
        prompt_of_row: the prompt of each point of both clouds.
        split: how many points the first cloud has.
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    in_first = np.isin(np.arange(len(prompts)), prompt_of_row[:split])
    if math.comb(len(prompts), int(in_first.sum())) <= draws + 1:
        groups = itertools.combinations(range(len(prompts)), int(in_first.sum()))
        chosen = np.array([np.isin(np.arange(len(prompts)), group) for group in groups])
        others = chosen[(chosen != in_first).any(1)]
    else:
        others = in_first[statistics.permutations(len(prompts), draws, rng)]
    return np.asarray(np.concatenate([in_first[None], others])[:, prompt_of_row])


def swaps(prompt_of_row: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Masks:
    """Draw which prompts swap their points between two clouds of the same prompts.

    Returns [1 + b, 2 rows].

    Args:
        prompt_of_row: the prompt of each point of one cloud, [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    if 2.0 ** len(prompts) <= draws + 1:
        stays = np.array(list(itertools.product([True, False], repeat=len(prompts))))
    else:
        stays = rng.random((draws, len(prompts))) < 0.5
        stays = np.concatenate([np.ones((1, len(prompts)), bool), stays])
    stays = stays[:, prompt_of_row]
    return np.concatenate([stays, ~stays], axis=1)


def count_pairings(prompts: int) -> float:
    """Return how many pairings of so many prompts there are."""
    return float(math.factorial(prompts)) if prompts < 100 else math.inf


def count_relabellings(first: int, second: int) -> float:
    """Return how many ways to divide prompts into groups of these sizes a metric tells apart.

    Groups of one size may be exchanged.
    """
    if first + second >= 500:
        return math.inf
    return math.comb(first + second, first) / (2 if first == second else 1)


def count_swaps(prompts: int) -> float:
    """Return how many ways to swap prompts between two clouds a metric tells apart."""
    return 2.0 ** (prompts - 1) if prompts < 500 else math.inf
