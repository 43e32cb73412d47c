"""Rows of texts, groups and further columns, read one by one into a prompt set."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from interp.core.errors import ConfigError, nearest
from interp.data.prompts.prompt_set import PromptSet, from_marked

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Table

Row = Mapping[str, object]

# Rows of a binary file that are in memory at once.
ROWS_AT_ONCE = 4096

# The columns that the table of every prompt set has.
_TAKEN = ("text", "group", "target")

# Above this number of different texts few are repeated, and looking for repeats costs memory.
_SHARED = 1 << 16


def prompts_of(rows: Iterable[Row], text_column: str, group_column: str, source: str) -> PromptSet:
    """Read rows of marked texts once, and keep in memory only what the prompt set holds.

    Args:
        rows: for each row a mapping from column to cell.
        text_column: the column of the marked texts.
        group_column: the column of their groups; "" puts all in one group called "all".
        source: the origin of the rows, as messages name it: "prompts.csv".

    Raises:
        ConfigError: a row without a text or a group, or as `from_marked`.
    """
    groups: dict[str, list[str]] = {}
    further: _Further | None = None
    for number, row in enumerate(rows, start=1):
        text = _text_cell(row, text_column, source, number)
        group = _text_cell(row, group_column, source, number) if group_column else "all"
        groups.setdefault(group, []).append(text)
        if further is None:
            names = [name for name in row if name not in (text_column, group_column, *_TAKEN)]
            further = _Further({name: {} for name in names})
        further.add(group, row)
    if further is None:
        return from_marked({"all": []})
    columns = further.columns()
    return from_marked({group: _released(texts) for group, texts in groups.items()}, columns)


def _released(texts: list[str]) -> Iterator[str]:
    """Yield the texts and release each, so that memory never holds all of them twice."""
    texts.reverse()
    while texts:
        yield texts.pop()


def rows_of(batch: "RecordBatch | Table") -> Iterator[dict[str, object]]:
    """Yield the rows of an Arrow batch, each a mapping from column to cell."""
    cells = (column.to_pylist() for column in batch.columns)
    for row in zip(*cells, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def _text_cell(row: Row, column: str, source: str, number: int) -> str:
    cell = row.get(column)
    if isinstance(cell, str) and cell:
        return cell
    where = f"prompts.path: row {number} of {source}"
    if column not in row:
        raise ConfigError(f"{where} has no column {column!r}{nearest(column, row)}")
    raise ConfigError(f"{where} has {cell!r}, which is not a text, as its {column}")


@dataclass(frozen=True)
class _Further:
    """The columns other than text and group in which every row has a number or a text.

    Attributes:
        cells: the cells of each column, by group.
        texts: texts that were read before, so that equal cells are one object.
    """

    cells: dict[str, dict[str, list[float | str]]]
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, group: str, row: Row) -> None:
        """Add a row's cells; a column without a number or text in this row is dropped."""
        faulty = []
        for name, by_group in self.cells.items():
            cell = row.get(name)
            if isinstance(cell, str) and cell:
                if len(self.texts) < _SHARED:
                    cell = self.texts.setdefault(cell, cell)
                else:
                    cell = self.texts.get(cell, cell)
            elif not isinstance(cell, (int, float)):
                faulty.append(name)
                continue
            by_group.setdefault(group, []).append(cell)
        for name in faulty:
            del self.cells[name]

    def columns(self) -> dict[str, tuple[float, ...] | tuple[str, ...]]:
        """Return the columns, one group after the other, as numbers where every cell is one.

        Each column's cells are released once it is built, so that memory never holds all twice.
        """
        found: dict[str, tuple[float, ...] | tuple[str, ...]] = {}
        for name in list(self.cells):
            cells = list(chain.from_iterable(self.cells.pop(name).values()))
            try:
                numbers = tuple(float(str(cell)) for cell in cells)
            except ValueError:
                found[name] = tuple(str(cell) for cell in cells)
            else:
                if all(map(math.isfinite, numbers)):
                    found[name] = numbers
        return found
