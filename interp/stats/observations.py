"""Which prompts are one observation, so that none is counted twice.

Two members of a minimal pair share everything but a word. A causal model reads the same text before
a token the same, whatever follows: pairs that differ after it alone are one pair to it. And
sentences that share a word, a verb say, are more alike than sentences of different verbs: what is
found in many sentences of few verbs need not hold for others (Clark, 1973). A test that counts each
of them finds too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_choice
from interp.data.activations import Activations
from interp.data.order import units
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    from interp.forward.plan import Plan


def observations(
    prompts: PromptSet, plan: "Plan", activations: Activations, groups: Sequence[str] = ()
) -> NDArray[np.intp]:
    """Return the number of the observation that each prompt belongs to, [prompt].

    The i-th prompts of equal groups are one observation, or else each prompt by itself. Of these,
    such are one as have the same tokens up to the last that is read, are read at the same places,
    and have the same activations up to rounding at every layer. Numbers are 0, 1, … in the order of
    the prompts.

    Args:
        prompts: the prompts.
        plan: which tokens were read of them.
        activations: what was read there.
        groups: which groups' i-th prompts belong together; all, where none are given.
    """
    unit, part = units(prompts, groups)
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
    """Tell whether samples differ by rounding alone, at every layer."""
    for i in range(len(activations.layers)):
        first, second = (activations.values[i, of].astype(np.float64) for of in (one, other))
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            return False
        if np.square(first - second).sum() > activations.resolution**2 * np.square(first).sum():
            return False
    return True


@dataclass(frozen=True, eq=False)
class Words:
    """Observations put together that share a word.

    Attributes:
        name: the column that the words are of, "verb"; "" where none are put together.
        number: the number of each prompt's word, 0, 1, …; else of its observation, [prompt].
    """

    name: str
    number: NDArray[np.intp]

    def counted(self, n: int) -> str:
        """Say how many there are: "18 observations, one per verb"."""
        return f"{n} observation{'s' * (n != 1)}{f', one per {self.called}' * bool(self.name)}"

    @property
    def called(self) -> str:
        """What is in common: "verb", or "target word" where that is of the slot."""
        return "target word" if self.name == "slot" else self.name


def words(prompts: PromptSet, observation: NDArray[np.intp], choice: str) -> Words:
    """Put observations together that share a word.

    Args:
        prompts: the prompts, whose columns hold the words.
        observation: of each prompt, [prompt].
        choice: a column; "auto" for the targets' own, `slot`, where pairs differ in several words,
            else for the one with most different words, of those that observations share; "none" for
            the observations themselves.

    Raises:
        ConfigError: no such column, or one that differs within an observation.
    """
    check_words(prompts, choice)
    if choice == "none":
        return Words("", observation)
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
                "pair, or what a causal model reads alike"
            )
        found[name] = number.astype(np.intp)
    if not found:
        return Words("", observation)
    # What pairs differ in is what is asked about, however few words stand for it.
    name = "slot" if "slot" in found else max(found, key=lambda name: found[name].max())
    return Words(name, found[name])


def check_words(prompts: PromptSet, choice: str) -> None:
    """Refuse words that the prompts do not have.

    Raises:
        ConfigError: no such column.
    """
    check_choice("analysis.words", choice, ("auto", "none", *prompts.columns))
