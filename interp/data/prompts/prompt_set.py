"""Prompt sets: texts in groups, with the word of interest marked in the text itself."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from interp.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

Span = tuple[int, int]

# A doubled brace is a literal one, as in Python's format strings.
_MARKS = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
_ONE_MARK = re.compile(r"([^{}]*)\{([^{}]+)\}([^{}]*)")

# Prompts that are serialised at once for the hash of a set.
_HASHED_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class PromptSet:
    """Texts with their groups and marked targets; sets of the same content are equal.

    Attributes:
        texts: the prompts as the model reads them, without marks.
        groups: the group of each prompt.
        targets: for each prompt, the [start, end) characters of the marked target, or the empty
            span (0, 0) where none is marked.
        columns: further properties by name, one number or text per prompt: the number that it
            counts to, its template, its word.
    """

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    targets: tuple[Span, ...]
    columns: Mapping[str, tuple[float | str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    # A set is a key of caches: it is compared often, and may hold a million texts.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptSet):
            return NotImplemented
        return self is other or self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """The groups, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.groups))

    def members(self, group: str) -> Sequence[int]:
        """Return the indices of a group's prompts, in order; the i-th of two groups are pair i."""
        return self._members.get(group, ())

    @cached_property
    def _members(self) -> dict[str, Sequence[int]]:
        found: dict[str, Sequence[int]] = {}
        start = 0
        for name, count in Counter(self.groups).items():
            # Consecutive prompts of a group, the usual case, need no list of indices.
            found[name] = range(start, start + count)
            if any(self.groups[i] != name for i in found[name]):
                found[name] = [i for i, group in enumerate(self.groups) if group == name]
            start += count
        return found

    @cached_property
    def numeric_columns(self) -> tuple[str, ...]:
        """The columns that hold only numbers."""
        return tuple(
            name
            for name, values in self.columns.items()
            if all(isinstance(value, (int, float)) for value in values)
        )

    def table(self) -> "pd.DataFrame":
        """Return one row per prompt: group, text, the marked target, and the columns."""
        import pandas as pd

        # Equal targets share one object: a million prompts have few different ones.
        words: dict[str, str] = {}
        marked = []
        for text, (start, end) in zip(self.texts, self.targets, strict=True):
            word = text[start:end]
            marked.append(words.setdefault(word, word))
        known = {"group": self.groups, "text": self.texts, "target": marked}
        return pd.DataFrame({**known, **self.columns})

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256 of texts, groups, targets and columns, equal exactly for equal sets."""
        content = hashlib.sha256()
        for part in self._serialised():
            content.update(part.encode())
        return content.hexdigest()

    def _serialised(self) -> Iterator[str]:
        """Yield the set as one JSON list: texts, groups, targets, columns."""
        for i, values in enumerate((self.texts, self.groups, self.targets)):
            yield ", " if i else "["
            yield from _listed(values)
        yield ", {"
        for i, (name, column) in enumerate(self.columns.items()):
            yield f"{', ' if i else ''}{json.dumps(name, ensure_ascii=False)}: "
            yield from _listed(column)
        yield "}]"


def _listed(values: Sequence[object]) -> Iterator[str]:
    """Yield a JSON list in parts, since the JSON of a million texts takes much memory."""
    yield "["
    for start in range(0, len(values), _HASHED_AT_ONCE):
        part = json.dumps(values[start : start + _HASHED_AT_ONCE], ensure_ascii=False)
        yield (", " if start else "") + part[1:-1]
    yield "]"


def parse_marked(text: str) -> tuple[str, Span]:
    """Split a marked text into the plain text and the span of its target.

    >>> parse_marked("I saw {him} at the market.")
    ('I saw him at the market.', (6, 9))
    >>> parse_marked("a set {{1, 2}} without a target")
    ('a set {1, 2} without a target', (0, 0))

    Raises:
        ConfigError: unbalanced, nested, empty or several marks.
    """
    # The two usual cases first: no brace at all, and one mark.
    if "{" not in text and "}" not in text:
        return text, (0, 0)
    if one := _ONE_MARK.fullmatch(text):
        before, word, after = one.groups()
        return before + word + after, (len(before), len(before) + len(word))
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
    groups: Mapping[str, Iterable[str]], columns: Mapping[str, Sequence[float | str]] | None = None
) -> PromptSet:
    """Build a prompt set from each group's marked texts, one group after the other.

    Args:
        groups: the texts of each group.
        columns: further properties by name, one value per prompt in that order.

    Raises:
        ConfigError: no prompt at all, an empty group, an empty text, or an invalid mark.
    """
    if not groups:
        raise ConfigError("prompts: the set is empty: give at least one group of texts")
    names: list[str] = []
    texts: list[str] = []
    targets: list[Span] = []
    # A million prompts have few different spans.
    spans: dict[Span, Span] = {}
    for group, marked_texts in groups.items():
        _check_unicode(group)
        before = len(texts)
        for marked in marked_texts:
            text, target = parse_marked(marked)
            if not text or text.isspace():
                raise ConfigError(f"prompts: group {group!r} has an empty prompt")
            _check_unicode(text)
            names.append(group)
            texts.append(text)
            targets.append(spans.setdefault(target, target))
        if len(texts) == before:
            raise ConfigError(f"prompts: group {group!r} has no prompt")
    known = {name: tuple(values) for name, values in (columns or {}).items()}
    if any(len(values) != len(texts) for values in known.values()):
        raise ValueError(f"each column needs {len(texts)} values, one per prompt")
    return PromptSet(tuple(texts), tuple(names), tuple(targets), known)


def _check_unicode(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"prompts: {text!r} is not valid Unicode text") from None


def escaped(text: str) -> str:
    """Return the text with every brace doubled, so that none is read as a mark."""
    return text.replace("{", "{{").replace("}", "}}")
