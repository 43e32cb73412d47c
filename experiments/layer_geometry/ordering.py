"""The order that the points are tested for: a number for each point, and what is permuted.

Points that have their number for one and the same reason are one unit, and are permuted together:
all tokens at one position, all tokens of one prompt, both prompts of a pair.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, nearest
from interp.data.design import units_and_parts
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    import pandas as pd

    from interp.forward.plan import Plan

_FEWEST_UNITS = 3


@dataclass(frozen=True, eq=False)
class Ordering:
    """A number for each point.

    Attributes:
        name: of the numbers: "position", "length", or a column of the prompts.
        units_are: what is permuted: "positions", "prompts", "pairs of prompts".
        values: one number per point, equal within a part of a unit, [n].
        unit_of_row: the unit of each point, [n].
        part_of_row: which part of its unit a point belongs to, [n]: the group of a pair's prompt.
        counted: the points that are tested, [n]. Positions that some prompts do not reach are left
            out: the last ones would be similar only because they are of the same long prompts.
    """

    name: str
    units_are: str
    values: NDArray[np.float64]
    unit_of_row: NDArray[np.intp]
    part_of_row: NDArray[np.intp]
    counted: NDArray[np.bool_]


def ordering(choice: str, prompts: PromptSet, plan: "Plan") -> Ordering | None:
    """Return the chosen order; None where there is none.

    Args:
        choice: "position" (of a token among those that are read), "length" (of a prompt in tokens),
            a numeric column of the prompts, "none", or "auto": the position where prompts give
            several points, else the first numeric column, else none.
        prompts: the prompts.
        plan: the samples, and the lengths of the prompts.

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
            f"analysis.order cannot be {choice!r}{nearest(choice, known)}; a column can be chosen "
            "where every prompt has a number in it"
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
    unit_of_prompt, part_of_prompt = units_and_parts(prompts)
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


def _is_enough(found: Ordering) -> bool:
    return all(
        len(np.unique(numbers[found.counted])) >= _FEWEST_UNITS
        for numbers in (found.values, found.unit_of_row)
    )
