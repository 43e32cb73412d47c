"""How prompts are rearranged to make a null; the tokens of one prompt always stay together.

Each function returns arrangements as metrics take them, the first of which is the given one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from interp import statistics
from interp.similarity.points import Masks, Orders


def pairings(rows: int, prompts: int, draws: int, rng: np.random.Generator) -> Orders:
    """Draw which prompt of the second cloud goes with which of the first; [1 + draws, rows].

    Args:
        rows: points of a cloud, of the first prompt, then of the next, equally many of each.
        prompts: how many prompts they are of.
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    tokens = rows // prompts
    orders = statistics.permutations(prompts, draws, rng)
    orders = np.concatenate([np.arange(prompts)[None], orders])
    return (orders[:, :, None] * tokens + np.arange(tokens)).reshape(len(orders), rows)


def relabellings(
    prompt_of_row: NDArray[np.intp], split: int, draws: int, rng: np.random.Generator
) -> Masks:
    """Draw which prompts form the first group; [1 + draws, rows].

    Args:
        prompt_of_row: the prompt of each point of both clouds.
        split: how many points the first cloud has.
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    in_first = np.isin(np.arange(len(prompts)), prompt_of_row[:split])
    labels = statistics.permutations(len(prompts), draws, rng)
    labels = np.concatenate([np.arange(len(prompts))[None], labels])
    return np.asarray(in_first[labels][:, prompt_of_row])


def swaps(prompt_of_row: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Masks:
    """Draw which prompts swap their points between two clouds of the same prompts.

    Returns [1 + draws, 2 rows].

    Args:
        prompt_of_row: the prompt of each point of one cloud, [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    stays = rng.random((draws, len(prompts))) < 0.5
    stays = np.concatenate([np.ones((1, len(prompts)), bool), stays])[:, prompt_of_row]
    return np.concatenate([stays, ~stays], axis=1)


def smallest_p(draws: int, arrangements: float) -> float:
    """Return the smallest p that so many draws, of so many possible arrangements, allow."""
    return max(1 / (draws + 1), 1 / arrangements)


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
