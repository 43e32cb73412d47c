"""Figures laid out in inches: a sheet with titles, panels placed on it, a legend at its foot."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from interp.plotting.style import cut, put_titles, title_height


def sheet(wide: float, tall: float, title: str, subtitle: str) -> Figure:
    """Return a figure with titles, to `place` panels on; `wide` and `tall` are in inches.

    Its first axes are empty and hold the titles, which add to the height.
    """
    figure = Figure(figsize=(wide, tall + title_height(title, subtitle, 0.92 * wide)))
    FigureCanvasAgg(figure)
    around = place(figure, 0.15, 0, wide - 0.3, tall)
    around.set_axis_off()
    put_titles(around, title, subtitle, 0.92 * wide)
    return figure


def place(figure: Figure, x: float, y: float, wide: float, tall: float) -> Axes:
    """Return new axes, all in inches from the figure's lower left corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes((x / width, y / height, wide / width, tall / height))


def name_panel(axes: Axes, name: str, wide: float) -> None:
    """Write a panel's name above it, cut to its width in inches."""
    axes.set_title(cut(name, int(15 * wide)), fontsize=8, pad=4, fontweight="normal")


def legend_columns(labels: Sequence[str], wide: float) -> tuple[int, float]:
    """Return how many columns of a legend fit into a width, and its height, both in inches."""
    for columns in range(len(labels), 1, -1):
        # Entries go down one column after another.
        parts = np.array_split(np.array([0.5 + 0.06 * len(label) for label in labels]), columns)
        if sum(part.max() for part in parts) <= wide:
            break
    else:
        columns = 1
    return columns, 0.1 + 0.18 * -(-len(labels) // columns)


def put_legend(figure: Figure, handles: Sequence[Artist], columns: int, left: float) -> None:
    """Put a legend at the figure's foot, `left` inches from its left side."""
    wide, tall = figure.get_size_inches()
    figure.legend(
        handles=list(handles),
        loc="lower left",
        ncols=columns,
        bbox_to_anchor=(left / wide, 0.04 / tall),
        borderaxespad=0,
    )
