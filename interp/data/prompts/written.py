"""Prompts written in the configuration or in a file."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from interp.core.errors import ConfigError, check_choice
from interp.data.prompts.prompt_set import PromptSet, from_marked
from interp.data.prompts.rows import ROWS_AT_ONCE, Row, prompts_of, rows_of
from interp.data.prompts.source import PROMPTS


@PROMPTS.register("inline")
@dataclass(frozen=True)
class Inline:
    """Prompts written in the configuration itself, in groups, with targets marked by braces.

    Attributes:
        groups: texts by group.
    """

    groups: dict[str, list[str]]

    def load(self) -> PromptSet:
        """Return the prompts as written."""
        return from_marked(self.groups)


@PROMPTS.register("file")
@dataclass(frozen=True)
class PromptFile:
    """Prompts from a file: txt (one per line), csv, jsonl or parquet; targets marked by braces.

    A txt file, and any file with `group_column` empty, is one group called "all". Further columns
    are kept where every row has a number, or every row a text. Rows are read one after the other,
    so that memory holds the prompts and not the file.

    Attributes:
        path: the file.
        text_column: the column of the texts.
        group_column: the column of the groups' names; empty for one group.
    """

    path: str
    text_column: str = "text"
    group_column: str = "group"

    def load(self) -> PromptSet:
        """Read the file.

        Raises:
            ConfigError: no such file, an unknown file type, or a missing column.
        """
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise ConfigError(f"prompts.path: no file at {str(path)!r}")
        check_choice(f"prompts.path: the ending of {path.name}", path.suffix, (".txt", *_READERS))
        if path.suffix == ".txt":
            return prompts_of(_rows(path, self._txt_rows), self.text_column, "", path.name)
        rows = _rows(path, _READERS[path.suffix])
        return prompts_of(rows, self.text_column, self.group_column, path.name)

    def _txt_rows(self, path: Path) -> Iterator[Row]:
        for line in _lines(path):
            yield {self.text_column: line}


def _rows(path: Path, reader: Callable[[Path], Iterator[Row]]) -> Iterator[Row]:
    """Yield the rows of a file; turn an error of its reader into one that names the file."""
    try:
        yield from reader(path)
    except (ValueError, csv.Error, OSError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"prompts.path: {path.name} cannot be read: {reason}") from None


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines that are not blank."""
    # The lines of the file, not str.splitlines, which also splits at rarer separators.
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if line.strip():
                yield line.removesuffix("\n")


def _check_names(columns: list[str]) -> None:
    if len(set(columns)) < len(columns):
        raise ValueError("two columns have the same name")


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = next(lines, [])
        _check_names(header)
        for number, cells in enumerate(filter(None, lines), start=1):
            if len(cells) != len(header):
                raise ValueError(
                    f"row {number} has more or fewer cells than the header; quote texts"
                )
            yield dict(zip(header, cells, strict=True))


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for line in _lines(path):
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("each line must be an object")
        yield row


def _parquet_rows(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        # A table written by pandas may have an index, which is not a column of prompts.
        of_pandas = file.schema_arrow.pandas_metadata or {}
        index = [name for name in of_pandas.get("index_columns", []) if isinstance(name, str)]
        _check_names(file.schema_arrow.names)
        names = [name for name in file.schema_arrow.names if name not in index]
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=names):
            yield from rows_of(batch)


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
    ".parquet": _parquet_rows,
}
