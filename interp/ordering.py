"""The order that a question looks for in the points: what it is called, and what it is shuffled by.

Points that have their place in the order for one and the same reason are one unit, and are shuffled
together: all tokens at one position, all tokens of one prompt, both prompts of a pair.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.plan import Plan
from interp.prompts import PromptSet
from interp.registry import ConfigError, nearest

_FEWEST_UNITS = 3


@dataclass(frozen=True, eq=False)
class Ordering:
    """A number for each point.

    Attributes:
        name: what the numbers are: "position", "length", or a column of the prompts.
        units_are: what is shuffled: "positions", "prompts", "pairs of prompts".
        values: one number a point, equal within a unit, [n].
        unit_of_row: the unit of each point, [n].
    """

    name: str
    units_are: str
    values: NDArray[np.float64]
    unit_of_row: NDArray[np.intp]


def ordering(choice: str, prompts: PromptSet, plan: Plan) -> Ordering | None:
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
        lengths = [len(tokens.of_text) for tokens in plan.tokens]
        found = _by_prompt("length", lengths, prompts, samples)
    elif choice in columns:
        found = _by_prompt(choice, prompts.columns[choice], prompts, samples)
    else:
        known = ("auto", "none", "position", "length", *columns)
        raise ConfigError(f"analysis.order cannot be {choice!r}{nearest(choice, known)}")
    if not _is_enough(found):
        values = len(np.unique(found.values))
        raise ConfigError(
            f"analysis.order: {choice} has {values} different values; an order needs at least "
            f"{_FEWEST_UNITS}"
        )
    return found


def _by_position(samples: pd.DataFrame) -> Ordering:
    place = samples.groupby("prompt").cumcount().to_numpy().astype(np.intp)
    return Ordering("position", "positions", place.astype(np.float64) + 1, place)


def _by_prompt(
    name: str,
    numbers: "list[int] | tuple[float | str, ...]",
    prompts: PromptSet,
    samples: pd.DataFrame,
) -> Ordering:
    of_prompt = np.array(numbers, dtype=np.float64)
    members = [prompts.members(group) for group in prompts.group_names]
    unit_of_prompt = np.arange(len(prompts))
    units_are = "prompts"
    sizes = {len(rows) for rows in members}
    pairs_up = len(members) > 1 and len(sizes) == 1
    if pairs_up and all((of_prompt[rows] == of_prompt[members[0]]).all() for rows in members):
        # The i-th prompts of all groups say the same, each in its own way.
        for rows in members:
            unit_of_prompt[rows] = np.arange(len(rows))
        units_are = "pairs of prompts" if len(members) == 2 else "sets of prompts"
    prompt_of_row = samples["prompt"].to_numpy()
    return Ordering(name, units_are, of_prompt[prompt_of_row], unit_of_prompt[prompt_of_row])


def _is_enough(found: Ordering) -> bool:
    return len(np.unique(found.values)) >= _FEWEST_UNITS
