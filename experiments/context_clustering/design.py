"""Which prompt holds which word, in which condition and template: what the analysis compares."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSet

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("word", "condition", "dose", "template")
_WAY_OUT = "; prompts=names_and_objects has them"

# The conditions that mean something: words in no sentence, which the direction is fitted on; the
# sentence alone; and the same after the two kinds of context that are held together.
BARE, PROBE, SUBJECT, OTHER = "bare", "probe", "subject", "other"

# Two words alone would be drawn twice in every other resample.
_FEWEST_WORDS = 3


@dataclass(frozen=True, eq=False)
class Condition:
    """All words in the same frames.

    Attributes:
        name: what is done with the words.
        dose: how many sentences stand before.
        rows: the index of the prompt, [template, word].
    """

    name: str
    dose: int
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Design:
    """The words, their classes, and the conditions that each of them is in.

    Attributes:
        subjects: the name of the first class.
        objects: the name of the second.
        words: all words, those of the first class first.
        is_subject: whether a word is of the first class, [word].
        bare: the words in no sentence, its rows [1, word].
        conditions: all others, in order of dose, and in the order of the prompts within a dose.
        doses: those at which both contexts are there.
        templates: how many there are.
    """

    subjects: str
    objects: str
    words: tuple[str, ...]
    is_subject: NDArray[np.bool_]
    bare: Condition
    conditions: tuple[Condition, ...]
    doses: tuple[int, ...]
    templates: int

    @property
    def words_in_a_class(self) -> int:
        """How many words there are in the smaller class."""
        n_subjects = int(self.is_subject.sum())
        return min(n_subjects, len(self.words) - n_subjects)

    def number(self, name: str, dose: int) -> int:
        """Return the number of a condition, counted from the bare words' 0."""
        return next(
            i
            for i, found in enumerate((self.bare, *self.conditions))
            if (found.name, found.dose) == (name, dose)
        )

    def rows(self, name: str, dose: int) -> NDArray[np.intp]:
        """Return the rows of a condition, [template, word]."""
        return (self.bare, *self.conditions)[self.number(name, dose)].rows

    @property
    def has_probe(self) -> bool:
        """Whether the sentence is there without any before it."""
        return any((found.name, found.dose) == (PROBE, 0) for found in self.conditions)


def design(prompts: PromptSet) -> Design:
    """Read the design off the prompts' columns.

    Raises:
        ConfigError: columns or conditions that are missing, a frame without one of the words, too
            few words or templates.
    """
    for name in _COLUMNS:
        if name not in prompts.columns:
            raise ConfigError(
                f"prompts: context_clustering needs the columns {', '.join(_COLUMNS)}, and there "
                f"is no {name!r}{_WAY_OUT}"
            )
    for name in ("dose", "template"):
        if name not in prompts.numeric_columns:
            raise ConfigError(f"prompts: the column {name!r} must hold numbers alone{_WAY_OUT}")
    groups = prompts.group_names
    if len(groups) != 2:
        raise ConfigError(
            f"prompts: context_clustering holds one group of words against another, not "
            f"{len(groups)}: {', '.join(groups)}"
        )
    table = prompts.table().assign(row=np.arange(len(prompts)))
    table = table.astype({"dose": int, "condition": str, "word": str})
    words: list[str] = []
    for group in groups:
        of_group = list(dict.fromkeys(table["word"][table["group"] == group].tolist()))
        if len(of_group) < _FEWEST_WORDS:
            raise ConfigError(
                f"prompts: group {group!r} has {len(of_group)} words; at least {_FEWEST_WORDS} "
                "are needed to resample them"
            )
        words += of_group
    is_subject = np.arange(len(words)) < len(set(table["word"][table["group"] == groups[0]]))
    if len(set(words)) < len(words):
        raise ConfigError("prompts: a word is in both groups")

    found = {
        at: _rows(*at, table[(table["condition"] == at[0]) & (table["dose"] == at[1])], words)
        for at in dict.fromkeys(zip(table["condition"].astype(str), table["dose"], strict=True))
    }
    bare = [rows for (name, _), rows in found.items() if name == BARE]
    if len(bare) != 1 or len(bare[0]) != 1:
        raise ConfigError(
            f"prompts: each word must stand once in the condition {BARE!r}, which the direction "
            f"is fitted on{_WAY_OUT}"
        )
    doses = sorted(dose for name, dose in found if name == SUBJECT)
    if not doses or doses != sorted(dose for name, dose in found if name == OTHER):
        raise ConfigError(
            f"prompts: the conditions {SUBJECT!r} and {OTHER!r} must be there at the same doses, "
            f"one at least{_WAY_OUT}"
        )
    conditions = [
        Condition(name, dose, rows)
        for (name, dose), rows in sorted(found.items(), key=lambda item: item[0][1])
        if name != BARE
    ]
    counts = {len(condition.rows) for condition in conditions}
    if len(counts) > 1 or counts == {1}:
        raise ConfigError(
            "prompts: every condition must have the same templates, two at least, not "
            f"{' or '.join(map(str, sorted(counts)))}"
        )
    return Design(
        subjects=groups[0],
        objects=groups[1],
        words=tuple(words),
        is_subject=is_subject,
        bare=Condition(BARE, 0, bare[0]),
        conditions=tuple(conditions),
        doses=tuple(doses),
        templates=counts.pop(),
    )


def _rows(name: str, dose: int, frames: "pd.DataFrame", words: list[str]) -> NDArray[np.intp]:
    """Return the row of each word in each template, [template, word]."""
    counts = frames.groupby(["template", "word"]).size()
    if (counts > 1).any() or len(counts) != frames["template"].nunique() * len(words):
        raise ConfigError(
            f"prompts: in condition {name!r}, dose {dose}, each template must have each of the "
            f"{len(words)} words once"
        )
    pivoted = frames.pivot(index="template", columns="word", values="row")
    return pivoted[words].to_numpy(dtype=np.intp)
