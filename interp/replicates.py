"""Which prompts are one observation, so that none is counted twice.

Two members of a minimal pair share everything but a word. And a causal model reads the same text
before a token the same, whatever follows: pairs that differ after it alone are one pair to it, and
a test that counts each of them finds too much.
"""

import numpy as np
from numpy.typing import NDArray

from interp.activations import Activations
from interp.ordering import units
from interp.plan import Plan
from interp.prompts import PromptSet


def observations(prompts: PromptSet, plan: Plan, activations: Activations) -> NDArray[np.intp]:
    """Return the number of the observation that each prompt belongs to, [prompt].

    The i-th prompts of equal groups are one observation, or else each prompt by itself. Of these,
    such are one as have the same tokens up to the last that is read, are read at the same places,
    and have the same activations up to rounding at every layer. Numbers are 0, 1, … in the order of
    the prompts.

    Args:
        prompts: the prompts.
        plan: which tokens were read of them.
        activations: what was read there.
    """
    unit, part = units(prompts)
    rows: list[list[int]] = [[] for _ in range(len(prompts))]
    for row, prompt in enumerate(activations.samples["prompt"]):
        rows[prompt].append(row)
    known: dict[tuple[object, ...], list[tuple[int, list[int]]]] = {}
    first_alike = np.arange(len(prompts))
    for number in np.unique(unit):
        members = sorted(np.flatnonzero(unit == number), key=lambda prompt: part[prompt])
        seen = tuple(_seen(plan, rows[prompt], int(prompt)) for prompt in members)
        own = [row for prompt in members for row in rows[prompt]]
        for other, theirs in known.setdefault(seen, []):
            if _coincide(activations, own, theirs):
                first_alike[number] = other
                break
        else:
            known[seen].append((int(number), own))
    return np.asarray(np.unique(first_alike[unit], return_inverse=True)[1], dtype=np.intp)


def _seen(plan: Plan, rows: list[int], prompt: int) -> tuple[object, ...]:
    """Return what a causal model has seen of a prompt when the last of its samples is read."""
    places = tuple(plan.indices[row] for row in rows)
    end = 1 + max(max(sample) for sample in places)
    return places, tuple(plan.tokens[prompt].ids[:end].tolist())


def _coincide(activations: Activations, one: list[int], other: list[int]) -> bool:
    """Tell whether samples differ by rounding alone, at every layer."""
    for of_layer in activations.values:
        apart = of_layer[one].astype(np.float64) - of_layer[other]
        size = np.square(of_layer[one], dtype=np.float64).sum()
        if not np.square(apart).sum() <= activations.resolution**2 * size:
            return False
    return True
