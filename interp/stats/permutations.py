"""How prompts are evaluate_permutations to make a null; the tokens of one prompt always stay together.

Each function returns arrangements as metrics take them, the first of which is the given one. Where
there are no more of them than are asked for, each is taken once, and p is exact.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Masks, Orders
from interp.stats import permutation_tests


def pairings(rows: int, prompts: int, draws: int, rng: np.random.Generator) -> Orders:
    """Draw which prompt of the second cloud goes with which of the first; [1 + b, rows].

    Args:
        rows: points of a cloud, of the first prompt, then of the next, equally many of each.
        prompts: how many prompts they are of.
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    tokens = rows // prompts
    if prompts < 20 and math.factorial(prompts) <= draws + 1:
        orders = np.array(list(itertools.permutations(range(prompts))))
    else:
        orders = permutation_tests.permutations(prompts, draws, rng)
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
    n = len(prompts)
    in_first = np.isin(np.arange(n), prompt_of_row[:split])
    size = int(in_first.sum())
    # Groups of one size may be exchanged, so that one prompt may stay where it is.
    fixed = 1 if 2 * size == n else 0
    if math.comb(n - fixed, size - fixed) <= draws + 1:
        order = np.argsort(~in_first, kind="stable")
        rest = itertools.combinations(range(fixed, n), size - fixed)
        # Combinations come in order, so that the given one is the first.
        chosen = np.array([np.isin(np.arange(n), (*range(fixed), *group)) for group in rest])
        labels = np.empty_like(chosen)
        labels[:, order] = chosen
    else:
        labels = in_first[permutation_tests.permutations(n, draws, rng)]
        labels = np.concatenate([in_first[None], labels])
    return np.asarray(labels[:, prompt_of_row])


def swaps(prompt_of_row: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Masks:
    """Draw which prompts swap their points between two clouds of the same prompts.

    Returns [1 + b, 2 rows].

    Args:
        prompt_of_row: the prompt of each point of one cloud, [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    prompts, prompt_of_row = np.unique(prompt_of_row, return_inverse=True)
    others = len(prompts) - 1
    if 2.0**others <= draws + 1:
        # The clouds may be exchanged, so that the first prompt stays where it is.
        rest = itertools.product([True, False], repeat=others)
        stays = np.array([(True, *choice) for choice in rest])
    else:
        stays = rng.random((draws, len(prompts))) < 0.5
        stays = np.concatenate([np.ones((1, len(prompts)), bool), stays])
    stays = stays[:, prompt_of_row]
    return np.concatenate([stays, ~stays], axis=1)


def reorderings(
    values: NDArray[np.float64],
    unit_of_row: NDArray[np.intp],
    part_of_row: NDArray[np.intp],
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw which unit has which values, those of all its parts together; [1 + b, rows].

    Args:
        values: a number a row, one for all rows of a part, [rows].
        unit_of_row: what the values belong to: a prompt, or a pair of prompts, [rows].
        part_of_row: which part of its unit a row is of; all units have the same parts, [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    units, unit_of_row = np.unique(unit_of_row, return_inverse=True)
    n = len(units)
    of_part = np.empty((n, part_of_row.max() + 1))
    of_part[unit_of_row, part_of_row] = values
    if n < 20 and math.factorial(n) <= draws + 1:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        orders = permutation_tests.permutations(n, draws, rng)
        orders = np.concatenate([np.arange(n)[None], orders])
    return np.asarray(of_part[orders[:, unit_of_row], part_of_row])


def labellings(
    labels: NDArray[np.intp],
    prompt_of_row: NDArray[np.intp],
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Draw which prompt has which of two or more labels; [1 + b, rows].

    Args:
        labels: the number of each row's group, one for all rows of a prompt, [rows].
        prompt_of_row: [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    if labels.max() > 1:
        whole = np.zeros_like(prompt_of_row)
        return reorderings(labels.astype(float), prompt_of_row, whole, draws, rng).astype(np.intp)
    # Relabellings take the rows of the first group first.
    order = np.argsort(labels, kind="stable")
    in_first = relabellings(prompt_of_row[order], int((labels == 0).sum()), draws, rng)
    found = np.empty((len(in_first), len(labels)), np.intp)
    found[:, order] = ~in_first
    return found


def labellings_within(
    labels: NDArray[np.intp],
    unit_of_row: NDArray[np.intp],
    draws: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Draw how the labels are dealt out anew within each unit; [1 + b, rows].

    What exchanges the labels everywhere divides the rows as before, so that the first unit may keep
    its own.

    Args:
        labels: the number of each row's group, [rows].
        unit_of_row: a pair of prompts, or a set of one prompt of each group, [rows].
        draws: how many arrangements to draw besides the given one.
        rng: where they are drawn from.
    """
    units, unit_of_row = np.unique(unit_of_row, return_inverse=True)
    groups, others = int(labels.max()) + 1, len(units) - 1
    own = np.arange(groups)
    if others * math.log(math.factorial(groups)) <= math.log(draws + 1):
        dealt = itertools.product(itertools.permutations(range(groups)), repeat=others)
        deals = np.array([(tuple(own), *rest) for rest in dealt])
    else:
        deals = rng.permuted(np.tile(own, (draws, others + 1, 1)), axis=2)
        deals = np.concatenate([np.tile(own, (1, others + 1, 1)), deals])
    return np.asarray(deals[:, unit_of_row, labels], dtype=np.intp)


def exchanges(units: int, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which units exchange their two values; the first arrangement exchanges none.

    Returns [1 + b, units]. Where there are no more than draws + 1 arrangements each is taken once,
    and p is exact.
    """
    if 2.0**units <= draws + 1:
        return np.array(list(itertools.product([False, True], repeat=units)))
    drawn = rng.random((draws, units)) < 0.5
    return np.concatenate([np.zeros((1, units), bool), drawn])
