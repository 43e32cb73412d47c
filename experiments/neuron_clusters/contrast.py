"""Two groups of sentences whose activations are compared, one row per observation or sentence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.stats.two_sample import TwoSampleTests, compare_groups


@dataclass(frozen=True, eq=False)
class Contrast:
    """Sentences of two groups, the first group's before the second's, with their observations.

    Attributes:
        activations: the activations of all prompts.
        prompts_of_row: the prompts that each sentence is the average of, [sentence].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the independent observation that it belongs to, [sentence].
        texts: the sentences with a blank for the target, equal for the two of a pair, [sentence].
        groups: the names of both groups.
        n_prompts: how many prompts each group has, before prompts of one observation are averaged.
        numbers: those of the heads or neurons along the units' first axis; empty for 0, 1, …
    """

    activations: Activations
    prompts_of_row: tuple[NDArray[np.intp], ...]
    in_first: NDArray[np.bool_]
    observation: NDArray[np.intp]
    texts: tuple[str, ...]
    groups: tuple[str, str]
    n_prompts: tuple[int, int]
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        activations: Activations,
        prompts: PromptSet,
        observation: NDArray[np.intp],
        groups: tuple[str, str],
        numbers: tuple[int, ...] = (),
    ) -> "Contrast":
        """Collect the sentences of both groups; a group's prompts of one observation become one.

        Args:
            activations: of all prompts.
            prompts: the prompts.
            observation: the number of each prompt's observation, [prompt].
            groups: the names of both groups.
            numbers: those of the heads or neurons that were read, where these are not all.
        """
        of_group = [np.array(prompts.members(group)) for group in groups]
        rows = [
            (group == 0, number, members[observation[members] == number])
            for group, members in enumerate(of_group)
            for number in np.unique(observation[members])
        ]
        return cls(
            activations=activations,
            prompts_of_row=tuple(averaged for _, _, averaged in rows),
            in_first=np.array([is_first for is_first, _, _ in rows]),
            observation=np.unique([number for _, number, _ in rows], return_inverse=True)[1],
            texts=tuple(_blanked(prompts, averaged[0]) for _, _, averaged in rows),
            groups=groups,
            n_prompts=(len(of_group[0]), len(of_group[1])),
            numbers=numbers,
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """How many sentences each group has."""
        return int(self.in_first.sum()), int((~self.in_first).sum())

    @property
    def n_observations(self) -> int:
        """How many independent observations there are."""
        return len(np.unique(self.observation))

    @property
    def are_pairs(self) -> bool:
        """Whether every observation has a sentence of each group."""
        return 2 * self.n_observations == len(self.observation)

    @property
    def can_be_tested(self) -> bool:
        """Whether both groups have the two sentences that a variance needs."""
        return min(self.sizes) > 1

    @property
    def description(self) -> str:
        """Its size in words: "54 pairs of sentences", "8 sentences of him, 9 of her"."""
        one, other = self.sizes
        if self.are_pairs and one > 1:
            return f"{one} pairs of sentences"
        first, second = self.groups
        return f"{one} sentence{'s' * (one != 1)} of {first}, {other} of {second}"

    @property
    def averaging(self) -> str:
        """A sentence on how many prompts were averaged; "" where none were."""
        if sum(self.sizes) == sum(self.n_prompts):
            return ""
        one, other = self.n_prompts
        given = f"{one} pairs of prompts are" if self.are_pairs else f"{one + other} prompts are"
        left = self.sizes[0] if self.are_pairs else sum(self.sizes)
        return (
            f"{given} {left} observation{'s' * (left != 1)}: prompts that are the same to the "
            "model count once."
        )

    def rows_in(self, other: "Contrast") -> NDArray[np.intp]:
        """Return the row of another contrast that each of these sentences was averaged into."""
        row_of_prompt = {
            prompt: row for row, averaged in enumerate(other.prompts_of_row) for prompt in averaged
        }
        return np.array([row_of_prompt[averaged[0]] for averaged in self.prompts_of_row], np.intp)

    @property
    def places(self) -> tuple[NDArray[np.intp], tuple[str, ...]]:
        """The place of each sentence on an axis, one per pair, and the names of places."""
        if not self.are_pairs:
            return np.arange(len(self.in_first)), self.texts
        by_place = np.argsort(self.observation[self.in_first])
        first = np.flatnonzero(self.in_first)[by_place]
        return self.observation, tuple(self.texts[row] for row in first)

    @property
    def place_label(self) -> str:
        """What a place is, as the title of an axis."""
        return "pair of sentences" if self.are_pairs else "sentence"

    @property
    def neurons(self) -> tuple[str, ...]:
        """The names of the neurons: their number, or "3:17" where they have two axes."""
        if self.activations.unembedding is not None:
            return tuple(map(str, range(self.points(0).shape[1])))
        shape = self.activations.values.shape[2:]
        first = self.numbers or range(shape[0])
        return tuple(":".join(map(str, (first[at[0]], *at[1:]))) for at in np.ndindex(shape))

    def points(self, i: int) -> Array:
        """Return the activations at the layer of index i, [sentence, neuron]."""
        order = np.argsort(self.activations.samples["prompt"].to_numpy())
        prompts = np.concatenate(self.prompts_of_row)
        starts = np.cumsum([0, *map(len, self.prompts_of_row[:-1])])
        sums = np.add.reduceat(self.activations.points(i, order[prompts]), starts, axis=0)
        return np.asarray(sums / np.array([[len(averaged)] for averaged in self.prompts_of_row]))

    def rounding(self, points: Array) -> Array:
        """Return the standard deviation that rounding alone may cause, [neuron].

        It is proportional to the neuron's own activations or, where these are larger, to those of
        the median neuron of the layer, because sums that a neuron is computed from hold both.
        """
        size = np.sqrt((points**2).mean(0))
        return np.asarray(self.activations.resolution * np.maximum(size, np.median(size)))

    def compare(self, points: Array, test: str, in_first: NDArray[np.bool_]) -> TwoSampleTests:
        """Test every neuron under labellings [b, sentence], the given labels first."""
        return compare_groups(test, points, in_first, self.observation, self.rounding(points))


def _blanked(prompts: PromptSet, prompt: int) -> str:
    """Return a prompt's text, with a blank for its target where it has one."""
    text, (start, end) = prompts.texts[prompt], prompts.targets[prompt]
    return f"{text[:start]}__{text[end:]}" if end else text
