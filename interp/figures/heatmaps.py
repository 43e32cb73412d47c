"""Tables of values as colours: pairs of layers, jobs over layers, pairs of points."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from interp.figures.style import GREY, ORANGE, Array, put_titles, styled


@styled
def layer_matrix(
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    values: Array,
    significant: NDArray[np.bool_],
    best: NDArray[np.intp],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    label: str,
    faint_label: str,
    larger_is_closer: bool,
) -> Figure:
    """Draw a value for every pair of layers [row, column], and frame the best match of each row.

    Pairs that are not `significant` are hatched; values are written where there is room.
    """
    cell = 0.42 if max(values.shape) <= 16 else 0.16
    figure = Figure(
        figsize=(max(cell * len(columns), 3.6) + 2.0, max(cell * len(rows), 2.6) + 1.9),
        layout="constrained",
    )
    axes = figure.add_subplot()
    axes.grid(visible=False)
    colours = "cividis" if larger_is_closer else "cividis_r"
    image = axes.imshow(values, cmap=colours, aspect="auto")
    bar = figure.colorbar(image, ax=axes, label=label)
    bar.outline.set_visible(False)
    for i, j in np.argwhere(~significant):
        corner = (j - 0.5, i - 0.5)
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="white", linewidth=0)
        )
    if max(values.shape) <= 16:
        _write_values(axes, values, image, 3)
    for i, j in enumerate(best):
        axes.add_patch(
            Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=ORANGE, linewidth=2)
        )
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        step = -(-len(names) // 25)
        axis.set_ticks(range(0, len(names), step), [str(name) for name in names[::step]])
    axes.invert_yaxis()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, 0.9 * figure.get_figwidth())
    keys = [Patch(facecolor="white", edgecolor=ORANGE, linewidth=2, label="highest score of a row")]
    if not significant.all():
        keys.append(
            Patch(facecolor=GREY, edgecolor="white", hatch="////", linewidth=0, label=faint_label)
        )
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


@styled
def calibrated_scores(panels: dict[str, dict[str, dict[int, float]]], *, title: str) -> Figure:
    """Draw calibrated scores, a row a job and a column a layer, one panel for each kind of null.

    Args:
        panels: for each null, in a few words, the jobs by name, and their score by layer.
        title: what is shown.
    """
    layers = sorted({x for jobs in panels.values() for job in jobs.values() for x in job})
    heights = [len(jobs) for jobs in panels.values()]
    longest = max(len(name) for jobs in panels.values() for name in jobs)
    figure = Figure(
        figsize=(
            0.075 * min(longest, 60) + max(0.46 * len(layers), 4.2) + 1.4,
            0.24 * sum(heights) + 0.62 * len(heights) + 1.4,
        ),
        layout="constrained",
    )
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (null, jobs) in zip(grid, panels.items(), strict=True):
        axes.grid(visible=False)
        scores = np.array([[job.get(x, np.nan) for x in layers] for job in jobs.values()])
        image = axes.imshow(scores, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
        if len(layers) <= 30:
            _write_values(axes, scores, image, 2)
        axes.set_yticks(range(len(jobs)), [textwrap.shorten(n, 60, placeholder="…") for n in jobs])
        axes.set_xticks(range(len(layers)), [str(x) for x in layers])
        axes.tick_params(length=0)
        axes.set_title(f"null: {null}", fontweight="normal", fontsize=8, color="#4D4D4D")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    bar = figure.colorbar(image, ax=list(grid), extend="both", aspect=40, pad=0.02)
    bar.set_label("calibrated score")
    bar.outline.set_visible(False)
    wide = int(11 * figure.get_figwidth())
    figure.suptitle(textwrap.fill(title, wide), x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.supxlabel(
        "layer\nscore: 0 at the null's 95th percentile, 1 at identity", fontsize=9, color="#4D4D4D"
    )
    return figure


def _write_values(axes: Axes, values: Array, image: Any, digits: int) -> None:
    """Write each value into its cell, dark on light and light on dark."""
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
        text = f"{value:.{digits}f}" if abs(value) < 9.995 else f"{value:.0f}"
        text = text if value > -99.5 else "< -99"
        # What rounds to zero has no sign.
        text = (text.lstrip("-") if not text.strip("-0.") else text).replace("-", "−")
        axes.text(
            j, i, text, ha="center", va="center", fontsize=7, color="black" if bright else "white"
        )


def pair_tables(
    layers: tuple[int, ...],
    tables: list[Array],
    *,
    titles: list[str],
    subtitle: str,
    xlabel: str,
    ylabel: str,
    label: str,
) -> dict[int, Figure]:
    """Draw each layer's table of every pair of points [n, n]; the given pairs are its diagonal.

    All images have one size, the same axes and the same colours.
    """
    lowest, highest = min(table.min() for table in tables), max(table.max() for table in tables)
    words = {"subtitle": subtitle, "xlabel": xlabel, "ylabel": ylabel, "label": label}
    return {
        layer: _pair_table(table, lowest, highest, title=title, **words)
        for layer, table, title in zip(layers, tables, titles, strict=True)
    }


@styled
def _pair_table(
    table: Array,
    lowest: float,
    highest: float,
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    label: str,
) -> Figure:
    figure = Figure(figsize=(6.0, 5.2), dpi=100)
    # A fixed place for the axes: they would move with their labels otherwise.
    axes = figure.add_axes((0.11, 0.1, 0.72, 0.72))
    axes.grid(visible=False)
    image = axes.imshow(table, cmap="cividis", vmin=lowest, vmax=highest, aspect="auto")
    bar = figure.colorbar(image, cax=figure.add_axes((0.85, 0.1, 0.03, 0.72)), label=label)
    bar.outline.set_visible(False)
    axes.set_xlabel(f"{xlabel}, in order")
    axes.set_ylabel(f"{ylabel}, in order")
    put_titles(axes, title, subtitle, 5.6)
    return figure
