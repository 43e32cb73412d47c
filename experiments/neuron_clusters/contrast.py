"""Two groups of sentences, those of one observation averaged: what is compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.stats.two_sample import Tests, compared


@dataclass(frozen=True, eq=False)
class Contrast:
    """Sentences of two groups, the first group's before the second's, each by observation.

    Attributes:
        activations: what was read.
        prompts_of_row: the prompts that each sentence stands for: several where they are averaged,
            [sentence].
        in_first: whether a sentence is of the first group, [sentence].
        observation: the independent observation that it belongs to, [sentence].
        texts: the sentences, the target left blank: a pair's two read alike, [sentence].
        groups: the names of both groups.
        n_prompts: how many prompts there were of each group before any were merged.
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
        number: NDArray[np.intp],
        groups: tuple[str, str],
        numbers: tuple[int, ...] = (),
    ) -> "Contrast":
        """Gather the sentences of both groups, those of one observation merged.

        Args:
            activations: what was read.
            prompts: the prompts.
            number: the observation of each, [prompt].
            groups: the names of both.
            numbers: of the heads or neurons that were read, where these are not all.
        """
        of_group = [np.array(prompts.members(group)) for group in groups]
        rows = [
            (group == 0, found, members[number[members] == found])
            for group, members in enumerate(of_group)
            for found in np.unique(number[members])
        ]
        return cls(
            activations=activations,
            prompts_of_row=tuple(merged for _, _, merged in rows),
            in_first=np.array([first for first, _, _ in rows]),
            observation=np.unique([found for _, found, _ in rows], return_inverse=True)[1],
            texts=tuple(_blanked(prompts, merged[0]) for _, _, merged in rows),
            groups=groups,
            n_prompts=(len(of_group[0]), len(of_group[1])),
            numbers=numbers,
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """How many sentences there are of each group."""
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
        """Whether both groups have the two sentences that a variance takes."""
        return min(self.sizes) > 1

    @property
    def counted(self) -> str:
        """How many sentences there are: "54 pairs of sentences", "8 sentences of him, 9 of her"."""
        one, other = self.sizes
        if self.are_pairs and one > 1:
            return f"{one} pairs of sentences"
        first, second = self.groups
        return f"{one} sentence{'s' * (one != 1)} of {first}, {other} of {second}"

    @property
    def merged(self) -> str:
        """Say that prompts were merged, where some were."""
        if sum(self.sizes) == sum(self.n_prompts):
            return ""
        one, other = self.n_prompts
        given = f"{one} pairs of prompts are" if self.are_pairs else f"{one + other} prompts are"
        left = self.sizes[0] if self.are_pairs else sum(self.sizes)
        return (
            f"{given} {left} observation{'s' * (left != 1)}: the model reads the others the same, "
            "and none is counted twice."
        )

    def rows_in(self, other: "Contrast") -> NDArray[np.intp]:
        """Return the sentence of another contrast that each of these was averaged into."""
        row_of_prompt = {
            prompt: row for row, merged in enumerate(other.prompts_of_row) for prompt in merged
        }
        return np.array([row_of_prompt[merged[0]] for merged in self.prompts_of_row], np.intp)

    @property
    def places(self) -> tuple[NDArray[np.intp], tuple[str, ...]]:
        """Where each sentence stands among all, a pair's two at one place, and places' names."""
        if not self.are_pairs:
            return np.arange(len(self.in_first)), self.texts
        by_place = np.argsort(self.observation[self.in_first])
        first = np.flatnonzero(self.in_first)[by_place]
        return self.observation, tuple(self.texts[row] for row in first)

    @property
    def places_are(self) -> str:
        """What a place is."""
        return "pair of sentences" if self.are_pairs else "sentence"

    @property
    def neurons(self) -> tuple[str, ...]:
        """What the neurons are called: their number, or "3:17" where they have two axes."""
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
        return np.asarray(sums / np.array([[len(merged)] for merged in self.prompts_of_row]))

    def rounding(self, points: Array) -> Array:
        """Return the standard deviation up to which a neuron varies by rounding alone, [neuron].

        In proportion to its own activations, or to those of a middling neuron of the layer, which
        have gone into its sums, where these are larger.
        """
        size = np.sqrt((points**2).mean(0))
        return np.asarray(self.activations.resolution * np.maximum(size, np.median(size)))

    def compared(self, points: Array, test: str, in_first: NDArray[np.bool_]) -> Tests:
        """Test every neuron under labellings [b, sentence], the given one first."""
        return compared(test, points, in_first, self.observation, self.rounding(points))


def _blanked(prompts: PromptSet, prompt: int) -> str:
    """Return a prompt's text, its target left blank where it has one."""
    text, (start, end) = prompts.texts[prompt], prompts.targets[prompt]
    return f"{text[:start]}__{text[end:]}" if end else text
