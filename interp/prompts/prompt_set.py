"""Prompt sets: texts in groups, with the word of interest marked in the text itself."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from interp.registry import ConfigError

if TYPE_CHECKING:
    import pandas as pd

Span = tuple[int, int]

# A doubled brace stands for itself, as in Python's own format strings.
_MARKS = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@dataclass(frozen=True)
class PromptSet:
    """Texts with their groups and marked targets.

    Attributes:
        texts: the prompts as the model reads them, without marks.
        groups: the group of each prompt.
        targets: for each prompt, the [start, end) characters of the marked target, or the empty
            span (0, 0) where none is marked.
        columns: what else is known of each prompt, a name and one number or text a prompt: the
            number that it counts to, its template, its word.
    """

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    targets: tuple[Span, ...]
    columns: Mapping[str, tuple[float | str, ...]] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """The groups, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.groups))

    def members(self, group: str) -> list[int]:
        """Indices of a group's prompts, in their order: the i-th of two groups form pair i."""
        return [i for i, name in enumerate(self.groups) if name == group]

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """The columns that hold numbers alone."""
        return tuple(
            name
            for name, values in self.columns.items()
            if all(isinstance(value, (int, float)) for value in values)
        )

    def table(self) -> "pd.DataFrame":
        """Return one row a prompt: group, text, the marked target, and the columns."""
        import pandas as pd

        marked = [text[slice(*span)] for text, span in zip(self.texts, self.targets, strict=True)]
        known = {"group": self.groups, "text": self.texts, "target": marked}
        return pd.DataFrame({**known, **self.columns})

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of texts, groups, targets and columns: equal exactly where the sets are."""
        content = json.dumps(
            [self.texts, self.groups, self.targets, dict(self.columns)], ensure_ascii=False
        )
        return hashlib.sha256(content.encode()).hexdigest()


def parse_marked(text: str) -> tuple[str, Span]:
    """Split a marked text into the plain text and the span of its target.

    >>> parse_marked("I saw {him} at the market.")
    ('I saw him at the market.', (6, 9))
    >>> parse_marked("a set {{1, 2}} without a target")
    ('a set {1, 2} without a target', (0, 0))

    Raises:
        ConfigError: unbalanced, nested, empty or several marks.
    """
    plain, at, targets = "", 0, []
    between = []
    for mark in _MARKS.finditer(text):
        between.append(text[at : mark.start()])
        plain += between[-1]
        if mark[1]:
            targets.append((len(plain), len(plain) + len(mark[1])))
        plain += mark[1] or mark[0][0]
        at = mark.end()
    between.append(text[at:])
    if len(targets) > 1 or any("{" in part or "}" in part for part in between):
        raise ConfigError(
            f"prompts: {text!r}: mark one target as {{word}}, and write a literal brace twice"
        )
    return plain + between[-1], targets[0] if targets else (0, 0)


def from_marked(
    groups: Mapping[str, list[str]], columns: Mapping[str, Sequence[float | str]] | None = None
) -> PromptSet:
    """Build a prompt set from each group's marked texts, one group after the other.

    Args:
        groups: the texts of each group.
        columns: what else is known, one value a prompt in that order.

    Raises:
        ConfigError: no prompt at all, an empty group, an empty text, or a faulty mark.
    """
    if not groups:
        raise ConfigError("prompts: the set is empty: give at least one group of texts")
    names, texts, targets = [], [], []
    for group, marked_texts in groups.items():
        if not marked_texts:
            raise ConfigError(f"prompts: group {group!r} has no prompt")
        for marked in marked_texts:
            text, target = parse_marked(marked)
            if not text.strip():
                raise ConfigError(f"prompts: group {group!r} has an empty prompt")
            names.append(group)
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ConfigError(f"prompts: {text!r} is no valid Unicode text") from None
            texts.append(text)
            targets.append(target)
    known = {name: tuple(values) for name, values in (columns or {}).items()}
    if any(len(values) != len(texts) for values in known.values()):
        raise ValueError(f"each column needs {len(texts)} values, one a prompt")
    return PromptSet(tuple(texts), tuple(names), tuple(targets), known)


def escaped(text: str) -> str:
    """Write braces twice, so that none is taken for a mark."""
    return text.replace("{", "{{").replace("}", "}}")
