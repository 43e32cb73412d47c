"""Prompts that somebody wrote down: in the configuration, or in a file."""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from interp.prompts.prompt_set import PromptSet, from_marked
from interp.prompts.source import PROMPTS
from interp.registry import ConfigError, check_choice, nearest


@PROMPTS.register("inline")
@dataclass(frozen=True)
class Inline:
    """Prompts written in the configuration itself, in groups, targets marked with braces."""

    groups: dict[str, list[str]]

    def load(self) -> PromptSet:
        """Return the prompts as written."""
        return from_marked(self.groups)


@PROMPTS.register("file")
@dataclass(frozen=True)
class PromptFile:
    """Prompts from a file: txt (one a line), csv, jsonl or parquet, targets marked with braces.

    A txt file, and any file with `group_column` empty, is one group called "all". Further columns
    are kept where every row has a number, or every row a text, in them.
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
        members: dict[str, list[int]] = {}
        for number, row in enumerate(rows, start=1):
            text = self._cell(row, self.text_column, path.name, number)
            group = "all"
            if self.group_column and path.suffix != ".txt":
                group = self._cell(row, self.group_column, path.name, number)
            groups.setdefault(group, []).append(text)
            members.setdefault(group, []).append(number - 1)
        order = [i for rows_of_group in members.values() for i in rows_of_group]
        return from_marked(groups, self._further([rows[i] for i in order]))

    def _further(self, rows: list[Mapping[str, object]]) -> dict[str, Sequence[float | str]]:
        """Return the columns beside text and group; numbers where every cell reads as one."""
        columns: dict[str, Sequence[float | str]] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            cells = [row.get(name) for row in rows]
            if name in (self.text_column, self.group_column, "text", "group", "target"):
                continue
            texts = [
                str(cell) for cell in cells if isinstance(cell, (int, float, str)) and cell != ""
            ]
            if len(texts) < len(rows):
                continue
            try:
                numbers = [float(text) for text in texts]
            except ValueError:
                columns[name] = texts
            else:
                if all(math.isfinite(number) for number in numbers):
                    columns[name] = numbers
        return columns

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
