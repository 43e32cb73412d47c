"""Grids of small square tables: maps over two numbers, attention patterns, product spectra."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from interp.plotting.style import Array, cut, put_titles, styled, title_height

# What has no value is not taken for what is 0.
_ABSENT = "#D9D9D9"
# Inches: to the left of all panels, and below them.
_LEFT, _BELOW = 0.7, 0.62
_ACROSS = 4
_ORDER = "frequency; cosine, then sine"


def sheet(wide: float, tall: float, title: str, subtitle: str) -> Figure:
    """Return a figure of so many inches with its titles above them, to `place` panels on.

    Its first axes are empty: they carry the titles.
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
    """Write a panel's name above it, cut to so many inches."""
    axes.set_title(cut(name, int(15 * wide)), fontsize=8, pad=4, fontweight="normal")


def legend_columns(labels: Sequence[str], wide: float) -> tuple[int, float]:
    """Return how many entries of a legend stand in so many inches, and how tall it then is."""
    for columns in range(len(labels), 1, -1):
        # Entries go down one column after another.
        parts = np.array_split(np.array([0.5 + 0.06 * len(label) for label in labels]), columns)
        if sum(part.max() for part in parts) <= wide:
            break
    else:
        columns = 1
    return columns, 0.1 + 0.18 * -(-len(labels) // columns)


def put_legend(figure: Figure, handles: Sequence[Artist], columns: int, left: float) -> None:
    """Put a legend at the figure's foot, so many inches from its left side."""
    wide, tall = figure.get_size_inches()
    figure.legend(
        handles=list(handles),
        loc="lower left",
        ncols=columns,
        bbox_to_anchor=(left / wide, 0.04 / tall),
        borderaxespad=0,
    )


def frequency_ticks(highest: int, most: int) -> list[int]:
    """Return at most so many round frequencies from 1 to the highest."""
    ticks = MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]).tick_values(0, highest)
    return sorted({int(k) for k in ticks if 1 <= k <= highest} or {highest})


def component_ticks(n: int, most: int) -> tuple[list[int], list[str]]:
    """Return places and names of at most so many components of a Fourier basis of n numbers.

    Components are the constant, then the cosine and the sine of each frequency: names are those of
    round frequencies, at their cosines.
    """
    shown = frequency_ticks(n // 2, most - 1)
    return [0, *[2 * k - 1 for k in shown]], ["const", *map(str, shown)]


@styled
def number_maps(
    maps: Array,
    names: Sequence[str],
    *,
    title: str,
    subtitle: str,
    label: str,
    limits: tuple[float, float] | None = None,
    xlabel: str = "b",
    ylabel: str = "a",
) -> Figure:
    """Draw values over pairs of numbers as images, a panel a map, the first row at the bottom.

    Colours are centred on 0 where there are values below it, and begin at 0 where there are none.

    Args:
        maps: [map, a, b].
        names: of the maps.
        title: what is shown.
        subtitle: of what.
        label: what the values are.
        limits: where the colours of all maps end; each has its own where they are left out.
        xlabel: what the columns are.
        ylabel: what the rows are.
    """
    n = maps.shape[1]
    across = min(len(maps), _ACROSS)
    rows = -(-len(maps) // across)
    side = {1: 3.4, 2: 2.6, 3: 2.1, 4: 2.0}[across]
    gap, above = (0.16, 0.3) if limits else (0.82, 0.3)
    grid = across * (side + gap)
    wide = _LEFT + grid + (0.75 if limits else 0.1)
    tall = _BELOW + rows * (side + above)
    figure = sheet(wide, tall, title, subtitle)
    for number, (values, name) in enumerate(zip(maps, names, strict=True)):
        row, column = divmod(number, across)
        x, y = _LEFT + column * (side + gap), tall - (row + 1) * (side + above)
        axes = place(figure, x, y, side, side)
        image = _image(axes, values, _colours(*(limits or _range(values))))
        lowest = number + across >= len(maps)
        # The edges of the panels are the first number and the last.
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4 if side < 2.5 else 6, integer=True))
        axes.set(xlim=(-0.5, n - 0.5), ylim=(-0.5, n - 0.5))
        axes.tick_params(labelleft=column == 0, labelbottom=lowest, labelsize=8)
        axes.set_ylabel(ylabel if column == 0 else "")
        axes.set_xlabel(xlabel if lowest else "")
        name_panel(axes, name, side if limits else side + gap - 0.1)
        if not limits:
            bar = _bar(figure, image, x + side + 0.06, y, side)
            if column == across - 1 or number == len(maps) - 1:
                bar.set_label(cut(label, int(13 * side)), fontsize=8)
    if limits:
        height = min(rows * (side + above) - above, 4.0)
        bar = _bar(figure, image, _LEFT + grid, tall - above - height, height)
        bar.set_label(label)
    return figure


@styled
def product_spectrum(
    norms: Array, names: Sequence[str], *, title: str, subtitle: str, label: str
) -> Figure:
    """Draw the size of two-dimensional Fourier components, a panel a kind, each on its own scale.

    Colours are on a square-root scale, and end at the largest component beside the constant.

    Args:
        norms: [kind, component of a, component of b], none below 0.
        names: of the kinds.
        title: what is shown.
        subtitle: of what.
        label: what the sizes are.
    """
    n = norms.shape[1]
    across = min(len(norms), 2)
    rows = -(-len(norms) // across)
    # So many that a single component is not lost.
    side, gap, above = 3.9, 1.25, 0.3
    wide = _LEFT + across * (side + gap)
    tall = _BELOW + rows * side + (rows - 1) * 0.55 + rows * above
    figure = sheet(wide, tall, title, subtitle)
    places, frequencies = component_ticks(n, 9)
    varying = np.ones((n, n), bool)
    varying[0, 0] = False
    for number, (values, name) in enumerate(zip(norms, names, strict=True)):
        row, column = divmod(number, across)
        x, y = _LEFT + column * (side + gap), tall - row * 0.55 - (row + 1) * (side + above)
        axes = place(figure, x, y, side, side)
        highest = _range(values[varying])[1]
        image = _image(axes, values, ("cividis", PowerNorm(0.5, 0, highest)))
        axes.set_xticks(places, frequencies)
        axes.set_yticks(places, frequencies)
        axes.tick_params(labelsize=8)
        axes.set_xlabel(f"component of b ({_ORDER})")
        axes.set_ylabel(f"component of a ({_ORDER})" if column == 0 else "")
        name_panel(axes, name, side)
        bar = _bar(figure, image, x + side + 0.08, y, side, beyond=bool(values[0, 0] > highest))
        bar.set_label(f"{label}, square-root scale", fontsize=8)
    return figure


@styled
def attention_patterns(
    mean: Array,
    one: Array,
    tokens: Sequence[str],
    one_tokens: Sequence[str],
    *,
    title: str,
    subtitle: str,
    mean_name: str,
    one_name: str,
) -> Figure:
    """Draw where each head attends on average from the last place, and its pattern of one input.

    What a causal head cannot attend to is grey.

    Args:
        mean: attention from the last place, [head, key].
        one: attention in one input, [head, query, key].
        tokens: the names of the places, [key].
        one_tokens: the tokens of the one input, [key].
        title: what is shown.
        subtitle: of what.
        mean_name: what the means are of.
        one_name: what the one input is.
    """
    heads, length = mean.shape
    across = min(heads, _ACROSS)
    rows = -(-heads // across)
    cell = 0.42
    side, gap, above = cell * length, 0.16, 0.28
    height = max(rows * (side + above), 0.32 * heads + above)
    right = _LEFT + 0.15 + side + 0.95
    wide = right + across * (side + gap) + 0.75
    headings = [
        (_LEFT + 0.15, textwrap.fill(mean_name, int(14 * (side + 0.8)))),
        (right, textwrap.fill(one_name, int(14 * (across * (side + gap) + 0.6)))),
    ]
    over = 0.13 + 0.13 * max(heading.count("\n") + 1 for _, heading in headings)
    foot = 0.2
    tall = foot + _BELOW + height + over
    figure = sheet(wide, tall, title, subtitle)
    top = tall - over
    colours = ("cividis", Normalize(0, 1))

    axes = place(figure, _LEFT + 0.15, top - height, side, height - above)
    image = axes.imshow(mean, cmap=colours[0], norm=colours[1], aspect="auto")
    axes.grid(visible=False)
    _write(axes, mean)
    axes.set_xticks(range(length), [cut(token, 6) for token in tokens])
    axes.set_yticks(range(heads), [f"head {head}" for head in range(heads)])
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel(f"attended to, from {cut(tokens[-1], 6)}")

    forbidden = np.triu(np.ones((length, length), bool), 1)
    for head in range(heads):
        row, column = divmod(head, across)
        x, y = right + column * (side + gap), top - (row + 1) * (side + above)
        axes = place(figure, x, y, side, side)
        shown = np.where(forbidden, np.nan, one[head])
        axes.imshow(shown, cmap=colours[0], norm=colours[1], aspect="auto")
        axes.set_facecolor(_ABSENT)
        axes.grid(visible=False)
        _write(axes, shown)
        lowest = head + across >= heads
        shown_tokens = [cut(token, 6) for token in one_tokens]
        axes.set_xticks(range(length), shown_tokens if lowest else [""] * length)
        axes.set_yticks(range(length), shown_tokens if column == 0 else [""] * length)
        axes.tick_params(length=0, labelsize=8)
        axes.set_xlabel("attended to" if lowest else "")
        axes.set_ylabel("from" if column == 0 else "")
        name_panel(axes, f"head {head}", side)
    for x, heading in headings:
        y = (top + 0.1) / figure.get_figheight()
        figure.text(x / wide, y, heading, fontsize=8, color="#4D4D4D")
    bar = _bar(figure, image, wide - 0.68, top - height, min(height - above, 4.0))
    bar.set_label("attention")
    if length > 1:
        handle = Patch(facecolor=_ABSENT, label="comes later: cannot be attended to")
        put_legend(figure, [handle], 1, _LEFT + 0.15)
    return figure


def _range(values: Array) -> tuple[float, float]:
    """Return limits that hold a map: around 0 where it has two signs."""
    sizes = np.abs(values[np.isfinite(values)])
    # Where nothing varies, or nothing is a number, any limits will do.
    furthest = float(sizes.max(initial=0)) or 1.0
    return (-furthest if bool((values < 0).any()) else 0.0), furthest


def _colours(lowest: float, highest: float) -> tuple[str, Normalize]:
    if lowest < 0:
        furthest = max(-lowest, highest)
        return "PuOr", Normalize(-furthest, furthest)
    return "cividis", Normalize(lowest, highest)


def _image(axes: Axes, values: Array, colours: tuple[str, Normalize]) -> AxesImage:
    axes.grid(visible=False)
    axes.set_facecolor(_ABSENT)
    cmap, norm = colours
    return axes.imshow(
        values, cmap=cmap, norm=norm, origin="lower", aspect="auto", interpolation="nearest"
    )


def _bar(
    figure: Figure, image: AxesImage, x: float, y: float, tall: float, *, beyond: bool = False
) -> Colorbar:
    axes = place(figure, x, y, 0.1, tall)
    bar = figure.colorbar(image, cax=axes, extend="max" if beyond else "neither")
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(max(3, math.floor(1.6 * tall)), steps=[1, 2, 2.5, 5, 10])
    # A power of ten above the bar would cover a panel's name.
    bar.formatter = StrMethodFormatter("{x:g}")
    axes.tick_params(labelsize=7, length=2)
    return bar


def _write(axes: Axes, values: Array) -> None:
    """Write each share into its cell, light on what is dark."""
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < 0.5 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
