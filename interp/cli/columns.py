"""Rows of text in aligned columns, the last of them wrapped to the terminal's width."""

import shutil
import textwrap
from collections.abc import Sequence

# Narrower the last column is not made: it would be a word a line.
_NARROWEST = 24


def width() -> int:
    """Return the terminal's width; what a file or another program reads is not wrapped."""
    return shutil.get_terminal_size(fallback=(100_000, 24)).columns


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Return rows of equally many cells, one below the other."""
    before = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    lines = []
    for row in rows:
        cells = (cell.ljust(size) for cell, size in zip(row, before, strict=False))
        head = indent + "".join(f"{cell}  " for cell in cells)
        room = max(width() - len(head), _NARROWEST)
        first, *more = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        lines += [f"{head}{first}".rstrip(), *(" " * len(head) + line for line in more)]
    return "\n".join(lines)


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph, its further lines indented."""
    return textwrap.fill(
        text, max(width(), _NARROWEST), subsequent_indent=indent, break_on_hyphens=False
    )
