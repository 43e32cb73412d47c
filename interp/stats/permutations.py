"""Permutation schemes: how prompts are permuted to make a null.

All tokens of a prompt stay together. Each function returns arrangements as metrics take them, the
given one first. Where no more arrangements exist than are asked for, each is taken once, and p is
exact.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Masks, Orders
from interp.stats.permutation_tests import draw_permutations


def draw_pairings(rows: int, prompts: int, n_permutations: int, rng: np.random.Generator) -> Orders:
    """Draw which prompt of the second cloud is paired with which of the first; [1 + b, rows].

    Args:
        rows: points of a cloud: those of the first prompt, then of the next, equally many of each.
        prompts: the number of prompts.
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.
    """
    tokens = rows // prompts
    orders = _orders(prompts, n_permutations, rng)
    return (orders[:, :, None] * tokens + np.arange(tokens)).reshape(len(orders), rows)


def _orders(n: int, n_permutations: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return orders of n things, all of them where they are few; [1 + b, n]."""
    if n < 20 and math.factorial(n) <= n_permutations + 1:
        return np.array(list(itertools.permutations(range(n))), dtype=np.intp)
    drawn = draw_permutations(n, n_permutations, rng)
    return np.concatenate([np.arange(n, dtype=np.intp)[None], drawn])


def draw_relabellings(
    prompt_of_row: NDArray[np.intp], split: int, n_permutations: int, rng: np.random.Generator
) -> Masks:
    """Draw which prompts form the first group; [1 + b, rows].

    Args:
        prompt_of_row: the prompt of each point of both clouds.
        split: the number of points of the first cloud.
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    n = len(prompts)
    in_first = np.isin(np.arange(n), prompt_of_row[:split])
    size = int(in_first.sum())
    # Groups of equal size may be exchanged as a whole, so that one prompt can stay in its group.
    fixed = 1 if 2 * size == n else 0
    if math.comb(n - fixed, size - fixed) <= n_permutations + 1:
        order = np.argsort(~in_first, kind="stable")
        rest = itertools.combinations(range(fixed, n), size - fixed)
        # Combinations come in order, so that the given one is the first.
        chosen = np.array([np.isin(np.arange(n), (*range(fixed), *group)) for group in rest])
        labels = np.empty_like(chosen)
        labels[:, order] = chosen
    else:
        labels = in_first[draw_permutations(n, n_permutations, rng)]
        labels = np.concatenate([in_first[None], labels])
    return np.asarray(labels[:, prompt_of_row])


def draw_swaps(
    prompt_of_row: NDArray[np.intp], n_permutations: int, rng: np.random.Generator
) -> Masks:
    """Draw which prompts swap their points between two clouds of the same prompts.

    Args:
        prompt_of_row: the prompt of each point of one cloud, [rows].
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.

    Returns:
        [1 + b, 2 rows].
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    others = len(prompts) - 1
    if 2.0**others <= n_permutations + 1:
        # The clouds may be exchanged as a whole, so that the first prompt can stay.
        rest = itertools.product([True, False], repeat=others)
        stays = np.array([(True, *choice) for choice in rest])
    else:
        stays = rng.random((n_permutations, len(prompts))) < 0.5
        stays = np.concatenate([np.ones((1, len(prompts)), bool), stays])
    stays = stays[:, prompt_of_row]
    return np.concatenate([stays, ~stays], axis=1)


def draw_reorderings(
    values: NDArray[np.float64],
    unit_of_row: NDArray[np.intp],
    part_of_row: NDArray[np.intp],
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw which unit has which values; the values of a unit's parts stay together; [1 + b, rows].

    Args:
        values: one number per row, the same for all rows of a part, [rows].
        unit_of_row: the unit of each row: a prompt, or a pair of prompts, [rows].
        part_of_row: the part of the unit; all units have the same parts, [rows].
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.
    """
    units, unit_of_row = np.unique(unit_of_row, return_inverse=True)
    of_part = np.empty((len(units), part_of_row.max() + 1))
    of_part[unit_of_row, part_of_row] = values
    orders = _orders(len(units), n_permutations, rng)
    return np.asarray(of_part[orders[:, unit_of_row], part_of_row])


def draw_labellings(
    labels: NDArray[np.intp],
    prompt_of_row: NDArray[np.intp],
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Draw which prompt has which of two or more labels; [1 + b, rows].

    Args:
        labels: the number of each row's group, the same for all rows of a prompt, [rows].
        prompt_of_row: [rows].
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.
    """
    if labels.max() > 1:
        part = np.zeros_like(prompt_of_row)
        drawn = draw_reorderings(labels.astype(float), prompt_of_row, part, n_permutations, rng)
        return drawn.astype(np.intp)
    # Relabellings expect the rows of the first group first.
    order = np.argsort(labels, kind="stable")
    split = int((labels == 0).sum())
    in_first = draw_relabellings(prompt_of_row[order], split, n_permutations, rng)
    found = np.empty((len(in_first), len(labels)), np.intp)
    found[:, order] = ~in_first
    return found


def draw_labellings_within_units(
    labels: NDArray[np.intp],
    unit_of_row: NDArray[np.intp],
    n_permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Permute the labels within each unit; [1 + b, rows].

    The same exchange of labels in all units divides the rows as before, so that the first unit can
    keep its labels.

    Args:
        labels: the number of each row's group, [rows].
        unit_of_row: a pair of prompts, or a set of one prompt of each group, [rows].
        n_permutations: how many arrangements to draw besides the given one.
        rng: the random generator.
    """
    units, unit_of_row = np.unique(unit_of_row, return_inverse=True)
    groups, others = int(labels.max()) + 1, len(units) - 1
    own = np.arange(groups)
    if others * math.log(math.factorial(groups)) <= math.log(n_permutations + 1):
        every = itertools.product(itertools.permutations(range(groups)), repeat=others)
        permuted = np.array([(tuple(own), *rest) for rest in every])
    else:
        permuted = rng.permuted(np.tile(own, (n_permutations, others + 1, 1)), axis=2)
        permuted = np.concatenate([np.tile(own, (1, others + 1, 1)), permuted])
    return np.asarray(permuted[:, unit_of_row, labels], dtype=np.intp)


def draw_exchanges(units: int, n_permutations: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which units exchange their two values; the first arrangement exchanges none.

    Returns:
        [1 + b, units].
    """
    if 2.0**units <= n_permutations + 1:
        return np.array(list(itertools.product([False, True], repeat=units)))
    drawn = rng.random((n_permutations, units)) < 0.5
    return np.concatenate([np.zeros((1, units), bool), drawn])
