"""Attention patterns of the heads: the mean over all pairs, and the pattern of one prompt."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from interp.plotting.sheets import name_panel, place, put_legend, sheet
from interp.plotting.style import Array, cut, styled

from .number_map_figures import UNDEFINED, colour_bar

# Inches to the left of all panels, below them, the side of a cell, and between and above panels.
_LEFT, _BELOW, _CELL, _GAP, _ABOVE = 0.85, 0.82, 0.42, 0.16, 0.28
_ACROSS = 4


@dataclass(frozen=True, eq=False)
class AttentionPatterns:
    """Attention of each head on average and in one prompt.

    Attributes:
        mean: the mean attention from the last position, [head, key].
        example: attention in one prompt, [head, query, key].
        positions: the names of the positions, [key].
        tokens: the tokens of the prompt, [key].
        mean_name: what the means are taken over.
        example_name: the name of the prompt.
    """

    mean: Array
    example: Array
    positions: Sequence[str]
    tokens: Sequence[str]
    mean_name: str
    example_name: str


@styled
def attention_patterns(patterns: AttentionPatterns, *, title: str, subtitle: str) -> Figure:
    """Draw the mean attention as a table, and right of it each head's pattern of one prompt.

    Keys that a causal head cannot attend to are grey.
    """
    heads, length = patterns.mean.shape
    across = min(heads, _ACROSS)
    rows = -(-heads // across)
    side = _CELL * length
    height = max(rows * (side + _ABOVE), 0.32 * heads + _ABOVE)
    right = _LEFT + side + 0.95
    wide = right + across * (side + _GAP) + 0.75
    headings = [
        (_LEFT, textwrap.fill(patterns.mean_name, int(14 * (side + 0.8)))),
        (right, textwrap.fill(patterns.example_name, int(14 * (across * (side + _GAP) + 0.6)))),
    ]
    above = 0.13 + 0.13 * max(heading.count("\n") + 1 for _, heading in headings)
    figure = sheet(wide, _BELOW + height + above, title, subtitle)
    top = _BELOW + height

    axes = place(figure, _LEFT, _BELOW, side, height - _ABOVE)
    image = _mean_table(axes, patterns)
    for head in range(heads):
        row, column = divmod(head, across)
        x, y = right + column * (side + _GAP), top - (row + 1) * (side + _ABOVE)
        axes = place(figure, x, y, side, side)
        _pattern(axes, patterns, head, is_left=column == 0, is_lowest=head + across >= heads)
        name_panel(axes, f"head {head}", side)
    for x, heading in headings:
        y = (top + 0.1) / figure.get_figheight()
        figure.text(x / wide, y, heading, fontsize=8, color="#4D4D4D")
    bar = colour_bar(figure, image, wide - 0.68, _BELOW, min(height - _ABOVE, 4.0))
    bar.set_label("attention")
    if length > 1:
        handle = Patch(facecolor=UNDEFINED, label="comes later: cannot be attended to")
        put_legend(figure, [handle], 1, _LEFT)
    return figure


def _mean_table(axes: Axes, patterns: AttentionPatterns) -> AxesImage:
    image = _shares(axes, patterns.mean)
    positions = [cut(name, 6) for name in patterns.positions]
    axes.set_xticks(range(len(positions)), positions)
    heads = range(len(patterns.mean))
    axes.set_yticks(heads, [f"head {head}" for head in heads])
    axes.set_xlabel(f"attended to, from {positions[-1]}")
    return image


def _pattern(
    axes: Axes, patterns: AttentionPatterns, head: int, *, is_left: bool, is_lowest: bool
) -> None:
    """Draw one head's pattern, with the names of its axes at the edge of the grid alone."""
    length = len(patterns.tokens)
    later = np.triu(np.ones((length, length), bool), 1)
    axes.set_facecolor(UNDEFINED)
    _shares(axes, np.where(later, np.nan, patterns.example[head]))
    tokens, none = [cut(token, 6) for token in patterns.tokens], [""] * length
    axes.set_xticks(range(length), tokens if is_lowest else none)
    axes.set_yticks(range(length), tokens if is_left else none)
    axes.set_xlabel("attended to" if is_lowest else "")
    axes.set_ylabel("from" if is_left else "")


def _shares(axes: Axes, values: Array) -> AxesImage:
    """Draw shares as an image, each written into its cell."""
    image = axes.imshow(values, cmap="cividis", norm=Normalize(0, 1), aspect="auto")
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=8)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < 0.5 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    return image
