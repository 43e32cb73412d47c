"""Text for the console: tables and paragraphs as wide as the terminal, and readers that leave."""

import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# The last column is not made narrower: there would be one word per line.
_NARROWEST = 24


def width() -> int:
    """Return the terminal's width; what a file or another program reads is not wrapped."""
    return shutil.get_terminal_size(fallback=(100_000, 24)).columns


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of equally many cells as aligned columns, the last one wrapped."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in rows[0][1:]:
        grid.add_column(no_wrap=True)
    grid.add_column(min_width=_NARROWEST if width() < 100_000 else None)
    for row in rows:
        grid.add_row(*map(Text, row))
    return _rendered(grid)


def paragraph(text: str) -> str:
    """Return a paragraph, wrapped."""
    from rich.text import Text

    return _rendered(Text(text))


def _rendered(what: object) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=max(width(), _NARROWEST), color_system=None)
    with console.capture() as captured:
        console.print(what)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


@contextmanager
def to_a_reader() -> Iterator[None]:
    """Print to a reader who, as `head` does, may have read enough before the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try again as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
