"""The design of a prompt set: which of its prompts belong together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interp.data.prompts import PromptSet


def units_and_parts(
    prompts: PromptSet, groups: Sequence[str] = ()
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the unit of each prompt, and which part of its unit it is, [prompt] each.

    Where all groups are of one size, their i-th prompts form a unit: a pair, or a set of several,
    that may express the same thing in different ways. Its parts are numbered as the groups are.
    Otherwise each prompt is a unit of its own.

    Args:
        prompts: the prompts.
        groups: the groups whose prompts form units; all where none are given.
    """
    members = [prompts.members(group) for group in groups or prompts.group_names]
    unit, part = np.arange(len(prompts)), np.zeros(len(prompts), np.intp)
    if len(members) > 1 and {len(rows) for rows in members} == {len(members[0])} != {1}:
        for number, rows in enumerate(members):
            # A unit has the number of its first prompt, which is in no other unit.
            unit[rows], part[rows] = members[0], number
    return unit, part
