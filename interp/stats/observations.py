"""Which prompts form one observation, so that a test counts none of them twice.

Prompts that are not independent make a test find too much if each counts as an observation:

- The two members of a minimal pair share everything but a word.
- A causal model has the same activations at a token whatever follows it, so that pairs that differ
  only after the token are one pair.
- Sentences that share a word, such as a verb, are more alike than sentences with different verbs: a
  finding in many sentences of few verbs need not hold for other verbs (Clark, 1973).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_choice
from interp.data.activations import Activations
from interp.data.design import units_and_parts
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    from interp.forward.plan import Plan


def number_observations(
    prompts: PromptSet, plan: "Plan", activations: Activations, groups: Sequence[str] = ()
) -> NDArray[np.intp]:
    """Return the number of the observation that each prompt belongs to, [prompt].

    The i-th prompts of groups of equal size form one observation, other prompts one each. Two
    observations count as one if they have the same tokens up to the last one read, are read at the
    same positions, and have the same activations up to rounding at every layer. Numbers are 0, 1, …
    in the order of the prompts.

    Args:
        prompts: the prompts.
        plan: the tokens that were read.
        activations: their activations.
        groups: the groups whose i-th prompts belong together; all, where none are given.
    """
    unit, part = units_and_parts(prompts, groups)
    rows: list[list[int]] = [[] for _ in range(len(prompts))]
    for row, prompt in enumerate(activations.samples["prompt"]):
        rows[prompt].append(row)
    known: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    first_alike = np.arange(len(prompts))
    for number in np.unique(unit):
        members = sorted(np.flatnonzero(unit == number), key=lambda prompt: part[prompt])
        seen = tuple(int(plan.duplicate_of[prompt]) for prompt in members)
        own = [row for prompt in members for row in rows[prompt]]
        for other, theirs in known.setdefault(seen, []):
            if _is_degenerate(activations, own, theirs):
                first_alike[number] = other
                break
        else:
            known[seen].append((int(number), own))
    return np.asarray(np.unique(first_alike[unit], return_inverse=True)[1], dtype=np.intp)


def _is_degenerate(activations: Activations, one: list[int], other: list[int]) -> bool:
    """Whether samples differ by rounding alone, at every layer."""
    for i in range(len(activations.layers)):
        first, second = (activations.values[i, of].astype(np.float64) for of in (one, other))
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            return False
        if np.square(first - second).sum() > activations.resolution**2 * np.square(first).sum():
            return False
    return True


@dataclass(frozen=True, eq=False)
class ObservationGroups:
    """Groups of observations that share a word.

    Attributes:
        name: the column of the words, such as "verb"; "" where each observation is a group.
        number: the number of each prompt's group, 0, 1, …, [prompt].
    """

    name: str
    number: NDArray[np.intp]

    def describe(self, n: int) -> str:
        """Return the number of groups in words: "18 observations, one per verb"."""
        return f"{n} observation{'s' * (n != 1)}{f', one per {self.label}' * bool(self.name)}"

    @property
    def label(self) -> str:
        """What a group has in common: "verb", or "target word" for the column `slot`."""
        return "target word" if self.name == "slot" else self.name


def group_observations(
    prompts: PromptSet, observation: NDArray[np.intp], choice: str
) -> ObservationGroups:
    """Group observations that share a word.

    Args:
        prompts: the prompts, whose columns hold the words.
        observation: the observation of each prompt, [prompt].
        choice: a column; or "auto" for the targets' own column, `slot`, where pairs differ in
            several words, else for the column with most words among those that observations share;
            or "none" for the observations themselves.

    Raises:
        ConfigError: no such column, or one that differs within an observation.
    """
    check_words(prompts, choice)
    if choice == "none":
        return ObservationGroups("", observation)
    found = {}
    for name in prompts.columns if choice == "auto" else (choice,):
        number = np.unique([str(word) for word in prompts.columns[name]], return_inverse=True)[1]
        pairs = len(np.unique(np.stack([observation, number]), axis=1).T)
        count, n = number.max() + 1, observation.max() + 1
        if choice == "auto" and not (pairs == n and 1 < count < n):
            continue
        if pairs > n:
            raise ConfigError(
                f"analysis.words: {name} differs within observations, such as the two prompts of a "
                "pair, or prompts that are equal to a causal model"
            )
        found[name] = number.astype(np.intp)
    if not found:
        return ObservationGroups("", observation)
    # The question is about the words in which pairs differ, however few these are.
    name = "slot" if "slot" in found else max(found, key=lambda name: found[name].max())
    return ObservationGroups(name, found[name])


def check_words(prompts: PromptSet, choice: str) -> None:
    """Refuse a column that the prompts do not have.

    Raises:
        ConfigError: no such column.
    """
    check_choice("analysis.words", choice, ("auto", "none", *prompts.columns))
