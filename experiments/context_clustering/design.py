"""Which prompt holds which word, in which condition and template: what the analysis compares."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    import pandas as pd

# The column of the prompts that counts the context sentences before the word's own sentence.
_COUNT_COLUMN = "dose"
_COLUMNS = ("word", "condition", _COUNT_COLUMN, "template")
_REMEDY = "; prompts=names_and_objects has them"

# The conditions with a meaning: words in no sentence, on which the direction is fitted; the
# sentence alone; and the same sentence after the two kinds of context that are compared.
BARE, PROBE, SUBJECT, OTHER = "bare", "probe", "subject", "other"

# With only two words every other resample would hold one of them twice.
_MIN_WORDS = 3


@dataclass(frozen=True, eq=False)
class Condition:
    """All words in the same frames.

    Attributes:
        name: the kind of context.
        n_context_sentences: how many sentences stand before the word's own.
        rows: the index of the prompt, [template, word].
    """

    name: str
    n_context_sentences: int
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Design:
    """The words, their classes, and the conditions that each of them is in.

    Attributes:
        subjects: the name of the first class.
        objects: the name of the second class.
        words: all words, those of the first class first.
        is_subject: whether a word is of the first class, [word].
        bare: the words in no sentence; its rows are [1, word].
        conditions: all others, by their number of context sentences, and within one number in the
            order of the prompts.
        sentence_counts: the numbers of context sentences at which both kinds of context are given.
        n_templates: how many templates there are.
    """

    subjects: str
    objects: str
    words: tuple[str, ...]
    is_subject: NDArray[np.bool_]
    bare: Condition
    conditions: tuple[Condition, ...]
    sentence_counts: tuple[int, ...]
    n_templates: int

    @property
    def smaller_class_size(self) -> int:
        """How many words the smaller class has."""
        n_subjects = int(self.is_subject.sum())
        return min(n_subjects, len(self.words) - n_subjects)

    @property
    def most_sentences(self) -> int:
        """The largest number of context sentences."""
        return self.sentence_counts[-1]

    @property
    def has_probe(self) -> bool:
        """Whether the word's own sentence is also given without any context."""
        return any(
            (found.name, found.n_context_sentences) == (PROBE, 0) for found in self.conditions
        )

    def index_of(self, name: str, n_context_sentences: int) -> int:
        """Return the index of a condition; that of the bare words is 0."""
        return next(
            i
            for i, found in enumerate((self.bare, *self.conditions))
            if (found.name, found.n_context_sentences) == (name, n_context_sentences)
        )

    def rows(self, name: str, n_context_sentences: int) -> NDArray[np.intp]:
        """Return the rows of a condition, [template, word]."""
        return (self.bare, *self.conditions)[self.index_of(name, n_context_sentences)].rows


def read_design(prompts: PromptSet) -> Design:
    """Return the design that the columns of the prompts describe.

    Raises:
        ConfigError: columns or conditions that are missing, a frame without one of the words, too
            few words or templates.
    """
    _check_columns(prompts)
    subjects, objects = prompts.group_names
    table = prompts.table().assign(row=np.arange(len(prompts)))
    table = table.astype({_COUNT_COLUMN: int, "condition": str, "word": str})
    words = _words(table, prompts.group_names)
    names, counts = table["condition"], table[_COUNT_COLUMN]
    rows = {
        (name, count): _rows(name, count, table[(names == name) & (counts == count)], words)
        for name, count in dict.fromkeys(zip(names.tolist(), counts.tolist(), strict=True))
    }
    bare = [of_bare for (name, _), of_bare in rows.items() if name == BARE]
    if len(bare) != 1 or len(bare[0]) != 1:
        raise ConfigError(
            f"prompts: each word must stand once in the condition {BARE!r}, which the direction "
            f"is fitted on{_REMEDY}"
        )
    conditions = tuple(
        Condition(name, count, of_condition)
        for (name, count), of_condition in sorted(rows.items(), key=lambda item: item[0][1])
        if name != BARE
    )
    return Design(
        subjects=subjects,
        objects=objects,
        words=tuple(words),
        is_subject=np.isin(words, table["word"][table["group"] == subjects]),
        bare=Condition(BARE, 0, bare[0]),
        conditions=conditions,
        sentence_counts=_sentence_counts(rows),
        n_templates=_n_templates(conditions),
    )


def _check_columns(prompts: PromptSet) -> None:
    """Refuse prompts without the columns, and other than two groups."""
    for name in _COLUMNS:
        if name not in prompts.columns:
            raise ConfigError(
                f"prompts: context_clustering needs the columns {', '.join(_COLUMNS)}, and there "
                f"is no {name!r}{_REMEDY}"
            )
    for name in (_COUNT_COLUMN, "template"):
        if name not in prompts.numeric_columns:
            raise ConfigError(f"prompts: the column {name!r} must hold numbers only{_REMEDY}")
    groups = prompts.group_names
    if len(groups) != 2:
        raise ConfigError(
            f"prompts: context_clustering compares two groups of words, not {len(groups)}: "
            f"{', '.join(groups)}"
        )


def _words(table: "pd.DataFrame", groups: tuple[str, ...]) -> list[str]:
    """Return all words, those of the first group first."""
    words: list[str] = []
    for group in groups:
        of_group = list(dict.fromkeys(table["word"][table["group"] == group].tolist()))
        if len(of_group) < _MIN_WORDS:
            raise ConfigError(
                f"prompts: group {group!r} has {len(of_group)} words; at least {_MIN_WORDS} "
                "are needed to resample them"
            )
        words += of_group
    if len(set(words)) < len(words):
        raise ConfigError("prompts: a word is in both groups")
    return words


def _rows(name: str, count: int, frames: "pd.DataFrame", words: list[str]) -> NDArray[np.intp]:
    """Return the row of each word in each template, [template, word]."""
    sizes = frames.groupby(["template", "word"]).size()
    if (sizes > 1).any() or len(sizes) != frames["template"].nunique() * len(words):
        raise ConfigError(
            f"prompts: in condition {name!r} with {_COUNT_COLUMN} {count}, each template must have "
            f"each of the {len(words)} words once"
        )
    pivoted = frames.pivot(index="template", columns="word", values="row")
    return pivoted[words].to_numpy(dtype=np.intp)


def _sentence_counts(rows: dict[tuple[str, int], NDArray[np.intp]]) -> tuple[int, ...]:
    """Return the numbers of context sentences, the same for both kinds of context."""
    counts = sorted(count for name, count in rows if name == SUBJECT)
    if not counts or counts != sorted(count for name, count in rows if name == OTHER):
        raise ConfigError(
            f"prompts: the conditions {SUBJECT!r} and {OTHER!r} must have the same values of "
            f"{_COUNT_COLUMN!r}, at least one{_REMEDY}"
        )
    return tuple(counts)


def _n_templates(conditions: tuple[Condition, ...]) -> int:
    """Return how many templates every condition has."""
    counts = {len(condition.rows) for condition in conditions}
    if len(counts) > 1 or counts == {1}:
        raise ConfigError(
            "prompts: every condition must have the same templates, at least two, not "
            f"{' or '.join(map(str, sorted(counts)))}"
        )
    return counts.pop()
