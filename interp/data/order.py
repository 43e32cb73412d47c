"""The order that a question looks for in the points: what it is called, and what it is shuffled by.

Points that have their place in the order for one and the same reason are one unit, and are shuffled
together: all tokens at one position, all tokens of one prompt, both prompts of a pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, nearest
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan

_FEWEST_UNITS = 3


@dataclass(frozen=True, eq=False)
class Ordering:
    """A number for each point.

    Attributes:
        name: what the numbers are: "position", "length", or a column of the prompts.
        units_are: what is shuffled: "positions", "prompts", "pairs of prompts".
        values: one number a point, equal within a part of a unit, [n].
        unit_of_row: the unit of each point, [n].
        part_of_row: which part of its unit a point is of, [n]: the group of a pair's prompt.
        counted: the points that the order is looked for in, [n]. A position that some prompts do
            not reach is left out: the late ones would be alike for being of the same prompts.
    """

    name: str
    units_are: str
    values: NDArray[np.float64]
    unit_of_row: NDArray[np.intp]
    part_of_row: NDArray[np.intp]
    counted: NDArray[np.bool_]


def ordering(choice: str, prompts: PromptSet, plan: "Plan") -> Ordering | None:
    """Return the order that was chosen; None where there is none.

    Args:
        choice: "position" (of a token among those that are read), "length" (of a prompt in tokens),
            a numeric column of the prompts, "none", or "auto": the position where prompts give
            several points, else the first numeric column, else none.
        prompts: the prompts.
        plan: what is read of them.

    Raises:
        ConfigError: an unknown order, or one with fewer than three units or values.
    """
    samples = plan.samples
    columns = prompts.numeric_columns
    if choice == "none":
        return None
    if choice == "auto":
        if len(samples) > len(prompts):
            found = _by_position(samples)
        elif columns:
            found = _by_prompt(columns[0], prompts.columns[columns[0]], prompts, samples)
        else:
            return None
        return found if _is_enough(found) else None
    if choice == "position":
        found = _by_position(samples)
    elif choice == "length":
        found = _by_prompt("length", plan.lengths.tolist(), prompts, samples)
    elif choice in columns:
        found = _by_prompt(choice, prompts.columns[choice], prompts, samples)
    else:
        known = ("auto", "none", "position", "length", *columns)
        raise ConfigError(
            f"analysis.order cannot be {choice!r}{nearest(choice, known)}; a column is known where "
            "every prompt has a number in it"
        )
    if not _is_enough(found):
        values, count = (
            len(np.unique(numbers[found.counted])) for numbers in (found.values, found.unit_of_row)
        )
        raise ConfigError(
            f"analysis.order: {choice} has {values} different values of {count} "
            f"{found.units_are}; an order needs at least {_FEWEST_UNITS}"
        )
    return found


def _by_position(samples: "pd.DataFrame") -> Ordering:
    of_prompt = samples.groupby("prompt")
    place = of_prompt.cumcount().to_numpy().astype(np.intp)
    reached_by_all = place < of_prompt.size().min()
    units_are = "positions" if reached_by_all.all() else "positions that all prompts have"
    values = place.astype(np.float64) + 1
    return Ordering("position", units_are, values, place, np.zeros_like(place), reached_by_all)


def _by_prompt(
    name: str,
    numbers: "list[int] | tuple[float | str, ...]",
    prompts: PromptSet,
    samples: "pd.DataFrame",
) -> Ordering:
    of_prompt = np.array(numbers, dtype=np.float64)
    unit_of_prompt, part_of_prompt = units(prompts)
    prompt_of_row = samples["prompt"].to_numpy()
    sets = len(np.unique(part_of_prompt))
    return Ordering(
        name,
        {1: "prompts", 2: "pairs of prompts"}.get(sets, "sets of prompts"),
        of_prompt[prompt_of_row],
        unit_of_prompt[prompt_of_row],
        part_of_prompt[prompt_of_row],
        np.ones(len(samples), bool),
    )


def units(
    prompts: PromptSet, groups: Sequence[str] = ()
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return what of the prompts belongs together, and as which part of it; [prompt] each.

    Where all groups, or those that are given, are of one size, their i-th prompts are a pair, or a
    set of several, and may say the same in different ways. Otherwise each prompt stands by itself.
    """
    members = [prompts.members(group) for group in groups or prompts.group_names]
    unit, part = np.arange(len(prompts)), np.zeros(len(prompts), np.intp)
    if len(members) > 1 and {len(rows) for rows in members} == {len(members[0])} != {1}:
        for number, rows in enumerate(members):
            # By its first prompt, which no other unit has.
            unit[rows], part[rows] = members[0], number
    return unit, part


def _is_enough(found: Ordering) -> bool:
    return all(
        len(np.unique(numbers[found.counted])) >= _FEWEST_UNITS
        for numbers in (found.values, found.unit_of_row)
    )
