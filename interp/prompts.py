"""Prompt sets: texts in groups, with the word of interest marked in the text itself."""

import csv
import hashlib
import itertools
import json
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from interp.number_words import LARGEST, number_words
from interp.registry import ConfigError, Registry, check_choice, nearest

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
    """

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    targets: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """The groups, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.groups))

    def members(self, group: str) -> list[int]:
        """Indices of a group's prompts, in their order: the i-th of two groups form pair i."""
        return [i for i, name in enumerate(self.groups) if name == group]

    def table(self) -> "pd.DataFrame":
        """Return one row a prompt: group, text and the marked target."""
        import pandas as pd

        marked = [text[slice(*span)] for text, span in zip(self.texts, self.targets, strict=True)]
        return pd.DataFrame({"group": self.groups, "text": self.texts, "target": marked})

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of texts, groups and targets: equal exactly where the sets are."""
        content = json.dumps([self.texts, self.groups, self.targets], ensure_ascii=False)
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


def from_marked(groups: dict[str, list[str]]) -> PromptSet:
    """Build a prompt set from each group's marked texts.

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
    return PromptSet(tuple(texts), tuple(names), tuple(targets))


class PromptSource(Protocol):
    """Where prompts come from."""

    def load(self) -> PromptSet:
        """Return the prompts; a ConfigError says what is wrong with them."""
        ...


PROMPTS: Registry[PromptSource] = Registry("prompts")


@PROMPTS.register("inline")
@dataclass(frozen=True)
class Inline:
    """Prompts written in the configuration itself, in groups, targets marked with braces."""

    groups: dict[str, list[str]]

    def load(self) -> PromptSet:
        """Return the prompts as written."""
        return from_marked(self.groups)


@PROMPTS.register("number_sequences")
@dataclass(frozen=True)
class NumberSequences:
    """The same counting sequences in digits and in words: "1 2 3 4" against "one two three four".

    Pair i starts at `start + i` and goes on for `length` numbers in steps of `step`.
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
        return from_marked(
            {
                "digits": [" ".join(map(str, numbers)) for numbers in sequences],
                "words": [" ".join(map(number_words, numbers)) for numbers in sequences],
            }
        )


@PROMPTS.register("minimal_pairs")
@dataclass(frozen=True)
class MinimalPairs:
    """Sentences that differ in one word alone: templates × fillers, a group for each slot word.

    A template names `{slot}` once, and any of the fillers; the slot becomes the marked target, and
    a literal brace is written twice.
    """

    templates: list[str]
    slot: dict[str, str]
    fillers: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = ["slot", *self.fillers]
        if "slot" in self.fillers:
            raise ConfigError("fillers.slot is taken: the slot's words stand in `slot`")
        for name, words in self.fillers.items():
            if not words:
                raise ConfigError(f"fillers.{name} has no word")
        for template in self.templates:
            names = [name for _, name in _parts(template) if name]
            for name in names:
                if name not in known:
                    raise ConfigError(
                        f"templates: {template!r} names {name!r}{nearest(name, known)}"
                    )
            if names.count("slot") != 1:
                raise ConfigError(f"templates: {template!r} must name {{slot}} exactly once")

    def load(self) -> PromptSet:
        """Return a group for each slot word; the i-th prompts of all groups form a pair."""
        return from_marked({group: list(self._marked(word)) for group, word in self.slot.items()})

    def _marked(self, slot_word: str) -> Iterator[str]:
        for template in self.templates:
            parts = _parts(template)
            names = sorted({name for _, name in parts} - {"slot", ""})
            for words in itertools.product(*(self.fillers[name] for name in names)):
                chosen = {name: _escaped(w) for name, w in zip(names, words, strict=True)}
                chosen |= {"slot": f"{{{slot_word}}}", "": ""}
                yield "".join(_escaped(text) + chosen[name] for text, name in parts)


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


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


@PROMPTS.register("file")
@dataclass(frozen=True)
class PromptFile:
    """Prompts from a file: txt (one a line), csv, jsonl or parquet, targets marked with braces.

    A txt file, and any file with `group_column` empty, is one group called "all".
    """

    path: str
    text_column: str = "text"
    group_column: str = "group"

    def load(self) -> PromptSet:
        """Read the file.

        Raises:
            ConfigError: no such file, an unknown ending, or a missing column.
        """
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise ConfigError(f"prompts.path: no file at {str(path)!r}")
        check_choice(f"prompts.path: the ending of {path.name}", path.suffix, (".txt", *_READERS))
        rows: Sequence[Mapping[str, object]]
        try:
            if path.suffix == ".txt":
                # Not splitlines, which would also part a prompt at rarer separators.
                lines = path.read_text(encoding="utf-8-sig").split("\n")
                rows = [{self.text_column: line} for line in lines if line.strip()]
            else:
                rows = _READERS[path.suffix](path)
        except (ValueError, csv.Error, OSError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"prompts.path: {path.name} cannot be read: {reason}") from None
        groups: dict[str, list[str]] = {} if rows else {"all": []}
        for number, row in enumerate(rows, start=1):
            text = self._cell(row, self.text_column, path.name, number)
            group = "all"
            if self.group_column and path.suffix != ".txt":
                group = self._cell(row, self.group_column, path.name, number)
            groups.setdefault(group, []).append(text)
        return from_marked(groups)

    @staticmethod
    def _cell(row: Mapping[str, object], column: str, file: str, number: int) -> str:
        where = f"prompts.path: row {number} of {file}"
        if column not in row:
            raise ConfigError(f"{where} has no column {column!r}{nearest(column, row)}")
        cell = row[column]
        if not isinstance(cell, str) or not cell:
            raise ConfigError(f"{where} has {cell!r}, which is no text, as its {column}")
        return cell


def _csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    if len(set(reader.fieldnames or ())) < len(reader.fieldnames or ()):
        raise ValueError("two columns have the same name")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has more or fewer cells than the header; quote texts")
    return rows


def _jsonl_rows(path: Path) -> list[dict[str, object]]:
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("each line must be an object")
    return rows


def _parquet_rows(path: Path) -> list[dict[str, object]]:
    import pandas as pd

    return cast("list[dict[str, object]]", pd.read_parquet(path).to_dict("records"))


_READERS: dict[str, Callable[[Path], Sequence[Mapping[str, object]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
    ".parquet": _parquet_rows,
}
