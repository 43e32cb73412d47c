"""Prompts made by rule: counting sequences, and sentences that differ in one word."""

import itertools
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from interp.core.errors import ConfigError, nearest
from interp.data.prompts.number_words import LARGEST, number_words
from interp.data.prompts.prompt_set import PromptSet, escaped, from_marked
from interp.data.prompts.source import PROMPTS


@PROMPTS.register("number_sequences")
@dataclass(frozen=True)
class NumberSequences:
    """The same counting sequences in digits and in words: "1 2 3 4" against "one two three four".

    Pair i starts at `start + i` and goes on for `length` numbers in steps of `step`; the column
    `number` holds where it starts.
    """

    start: int = 1
    count: int = 48
    length: int = 4
    step: int = 1

    def __post_init__(self) -> None:
        for name in ("count", "length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        numbers = self._sequence(0) + self._sequence(self.count - 1)
        if min(numbers) < 0 or max(numbers) >= LARGEST:
            raise ConfigError(
                f"start and step lead to {min(numbers)} … {max(numbers)}; words reach from 0 to "
                f"{LARGEST - 1}"
            )

    def _sequence(self, i: int) -> list[int]:
        return [self.start + i + k * self.step for k in range(self.length)]

    def load(self) -> PromptSet:
        """Return the groups `digits` and `words`, `count` prompts each."""
        sequences = [self._sequence(i) for i in range(self.count)]
        return _spelled(sequences, [numbers[0] for numbers in sequences])


@PROMPTS.register("counting")
@dataclass(frozen=True)
class Counting:
    """Counting further and further, in digits and in words: "1 2 3", "1 2 3 4", … "1 2 … 10".

    Pair i counts from `start` to `first_end + i`, the last one to `last_end`; the column `number`
    holds what it counts to.
    """

    start: int = 1
    first_end: int = 3
    last_end: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.first_end <= self.last_end < LARGEST:
            raise ConfigError(
                f"start, first_end and last_end must rise from 0 to {LARGEST - 1}, not "
                f"{self.start}, {self.first_end}, {self.last_end}"
            )

    def load(self) -> PromptSet:
        """Return the groups `digits` and `words`, a prompt for each end."""
        ends = range(self.first_end, self.last_end + 1)
        return _spelled([list(range(self.start, end + 1)) for end in ends], list(ends))


def _spelled(sequences: list[list[int]], number: list[int]) -> PromptSet:
    return from_marked(
        {
            "digits": [" ".join(map(str, numbers)) for numbers in sequences],
            "words": [" ".join(map(number_words, numbers)) for numbers in sequences],
        },
        {"number": [float(n) for n in number + number]},
    )


# What the table of a prompt set has by itself, and the slot's own column.
_TAKEN = ("slot", "group", "text", "target")


@PROMPTS.register("minimal_pairs")
@dataclass(frozen=True)
class MinimalPairs:
    """Sentences that differ in one word alone: templates × slot words × fillers, in each group.

    A template names `{slot}` once, and any of the fillers; the slot becomes the marked target, and
    a literal brace is written twice. The i-th slot words of all groups belong together: dog and
    dogs, walk and walked.

    Each filler is a column of the prompts, "" where the template does not name it. Where the slot
    has several words a group, the column `slot` holds the first group's word of each pair.
    """

    templates: list[str]
    slot: dict[str, list[str]]
    fillers: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = ["slot", *self.fillers]
        for name in _TAKEN:
            if name in self.fillers:
                raise ConfigError(f"fillers.{name} is taken: call the filler by another name")
        for name, words in self.fillers.items():
            if not words:
                raise ConfigError(f"fillers.{name} has no word")
        self._check_slot()
        for template in self.templates:
            names = [name for _, name in _parts(template) if name]
            for name in names:
                if name not in known:
                    raise ConfigError(
                        f"templates: {template!r} names {name!r}{nearest(name, known)}"
                    )
            if names.count("slot") != 1:
                raise ConfigError(f"templates: {template!r} must name {{slot}} exactly once")

    def _check_slot(self) -> None:
        counts = {group: len(words) for group, words in self.slot.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{count} ({group})" for group, count in counts.items())
            raise ConfigError(
                f"slot: the i-th words of all groups belong together, so that there must be "
                f"equally many, not {said}"
            )
        for group, words in self.slot.items():
            if not words:
                raise ConfigError(f"slot.{group} has no word")
        for together in zip(*self.slot.values(), strict=True):
            for word in together:
                if together.count(word) > 1:
                    raise ConfigError(f"slot: {word!r} is the word of two groups in one pair")

    def load(self) -> PromptSet:
        """Return the groups; their i-th prompts form a pair, or a set of more than two."""
        groups: dict[str, list[str]] = {}
        columns: dict[str, list[float | str]] = {name: [] for name in self.fillers}
        first = next(iter(self.slot.values()), [])
        if len(first) > 1:
            columns["slot"] = []
        for group, words in self.slot.items():
            groups[group] = []
            for template, i, chosen in self._frames():
                groups[group].append(_filled(template, words[i], chosen))
                known = {**chosen, "slot": first[i]}
                for name, column in columns.items():
                    column.append(known.get(name, ""))
        return from_marked(groups, columns)

    def _frames(self) -> Iterator[tuple[str, int, dict[str, str]]]:
        """Yield the template of each pair, the number of its slot words, and its fillers."""
        pairs = len(next(iter(self.slot.values()), []))
        for template, i in itertools.product(self.templates, range(pairs)):
            names = sorted({name for _, name in _parts(template)} - {"slot", ""})
            for words in itertools.product(*(self.fillers[name] for name in names)):
                yield template, i, dict(zip(names, words, strict=True))


def _filled(template: str, slot_word: str, fillers: dict[str, str]) -> str:
    """Return the template with its words, the slot's marked as the target."""
    written = {name: escaped(word) for name, word in fillers.items()}
    written |= {"slot": f"{{{slot_word}}}", "": ""}
    return "".join(escaped(text) + written[name] for text, name in _parts(template))


def _parts(template: str) -> list[tuple[str, str]]:
    """Split a template into pairs of a literal text and the name that follows it, "" at the end."""
    parts = []
    try:
        for text, name, spec, conversion in string.Formatter().parse(template):
            if spec or conversion or name == "":
                raise ConfigError(f"templates: {template!r}: braces hold a plain name")
            parts.append((text, name or ""))
    except ValueError as error:
        raise ConfigError(f"templates: {template!r}: {error}") from None
    return parts
