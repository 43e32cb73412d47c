"""Tables of values as colours: pairs of layers, runs over layers."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from interp.plotting.style import GREY, ORANGE, Array, cut, name_places, put_titles, styled


@styled
def layer_matrix(
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    values: Array,
    significant: NDArray[np.bool_],
    framed: NDArray[np.intp],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    label: str,
    framed_label: str,
    faint_label: str,
    larger_is_closer: bool,
    lowest: float | None = None,
) -> Figure:
    """Draw a value for every pair of layers [row, column], and frame some pairs [k, 2].

    Colours begin at `lowest`, or at the smallest value.

    Pairs that are not `significant` are hatched; values are written where there is room.
    """
    colours = {"cmap": "cividis" if larger_is_closer else "cividis_r", "vmin": lowest}
    figure, axes = _table(
        [str(row) for row in rows],
        [str(column) for column in columns],
        values,
        significant,
        label,
        colours,
        "white",
        lambda value: _score(value, 3),
    )
    for i, j in framed:
        axes.add_patch(
            Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=ORANGE, linewidth=2)
        )
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, 0.9 * figure.get_figwidth())
    keys = [Patch(facecolor="white", edgecolor=ORANGE, linewidth=2, label=framed_label)]
    if not significant.all():
        keys.append(_hatched(faint_label, "white"))
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


@styled
def component_heatmap(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Array,
    significant: NDArray[np.bool_],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    label: str,
    faint_label: str,
    signed: bool,
) -> Figure:
    """Draw a value for every layer and part of it [row, column], the first row at the bottom.

    Values that are not `significant` are hatched, and all are written where there is room; where a
    value is not a number the cell stays grey.

    Args:
        rows: names of the layers.
        columns: names of the parts, or doses.
        values: [row, column].
        significant: [row, column].
        title: what is shown.
        subtitle: of what.
        xlabel: what the columns are.
        ylabel: what the rows are.
        label: what the values are.
        faint_label: what hatching means.
        signed: whether values lie around 0, which is then the middle of the colours.
    """
    # Where all is 0, or nothing is a number, any width will do.
    furthest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    colours: dict[str, Any] = {"cmap": "cividis"}
    if signed:
        colours = {"cmap": "PuOr", "vmin": -furthest, "vmax": furthest}
    hatch = "#A6A6A6" if signed else "white"
    write = _written(furthest)
    figure, axes = _table(rows, columns, values, significant, label, colours, hatch, write)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, 0.9 * figure.get_figwidth())
    if not significant[np.isfinite(values)].all():
        key = _hatched(faint_label, hatch)
        figure.legend(handles=[key], loc="outside lower center")
    return figure


def head_heatmap(
    values: Array,
    significant: NDArray[np.bool_] | None = None,
    *,
    title: str,
    subtitle: str,
    label: str,
    faint_label: str = "",
    signed: bool = False,
) -> Figure:
    """Draw a value for every head [layer, head], the first layer at the bottom.

    Args:
        values: nan where a head has none.
        significant: heads that are not are hatched; all are where it is left out.
        title: what is shown.
        subtitle: of what.
        label: what the values are.
        faint_label: what hatching means.
        signed: whether values lie around 0.
    """
    layers, heads = values.shape
    return component_heatmap(
        [f"layer {layer}" for layer in range(layers)],
        [str(head) for head in range(heads)],
        values,
        np.ones(values.shape, bool) if significant is None else significant,
        title=title,
        subtitle=subtitle,
        xlabel="head",
        ylabel="",
        label=label,
        faint_label=faint_label,
        signed=signed,
    )


def _table(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Array,
    significant: NDArray[np.bool_],
    label: str,
    colours: dict[str, Any],
    hatch: str,
    write: Callable[[float], str],
) -> tuple[Figure, Axes]:
    """Draw values [row, column] as cells, the first row at the bottom, with their colour bar.

    Cells that are not `significant` are hatched, those that are not a number grey.
    """
    wide, tall = (0.42 if n <= 16 else min(0.16, 8 / n) for n in (len(columns), len(rows)))
    width, height = max(wide * len(columns), 3.6), max(tall * len(rows), 2.6)
    figure = Figure(figsize=(width + 2.0, height + 1.9), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=False)
    # What has no value is not taken for what is 0.
    axes.set_facecolor("#D9D9D9")
    image = axes.imshow(values, aspect="auto", **colours)
    bar = figure.colorbar(image, ax=axes, label=label, aspect=max(20.0, 4 * height))
    bar.outline.set_visible(False)
    faint = ~significant & np.isfinite(values)
    if faint.any():
        axes.add_patch(_hatching(faint, hatch))
    if len(columns) <= 16 and height >= 0.14 * len(rows):
        _write_values(axes, values, image, write, hatched=faint)
    name_places(axes, range(len(columns)), columns, width / len(columns))
    step = -(-len(rows) // 25)
    axes.set_yticks(range(0, len(rows), step), [cut(name, 24) for name in rows[::step]])
    axes.invert_yaxis()
    return figure, axes


def _hatching(cells: NDArray[np.bool_], colour: str) -> PathPatch:
    """Return the hatching of cells [row, column], in one piece, which is drawn at once."""
    cell = Path.unit_rectangle()
    corners = np.argwhere(cells)[:, ::-1] - 0.5
    outlines = (Path(cell.vertices + corner, cell.codes) for corner in corners)
    # Half transparent: it marks the cell and leaves its colour and its value to be read.
    edge = to_rgba(colour, 0.5)
    patch = PathPatch(
        Path.make_compound_path(*outlines), fill=False, hatch="////", edgecolor=edge, linewidth=0
    )
    # It lies within the axes, and need not be measured to place them.
    patch.set_in_layout(False)
    return patch


def _hatched(label: str, colour: str) -> Patch:
    behind = GREY if colour == "white" else "white"
    return Patch(facecolor=behind, edgecolor=colour, hatch="////", linewidth=0, label=label)


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
            plain = np.zeros(scores.shape, bool)
            _write_values(axes, scores, image, lambda score: _score(score, 2), hatched=plain)
        axes.set_yticks(range(len(jobs)), [textwrap.shorten(n, 60, placeholder="…") for n in jobs])
        axes.set_xticks(range(len(layers)), [str(x) for x in layers])
        axes.tick_params(length=0)
        axes.set_title(f"null: {null}", fontweight="normal", fontsize=8, color="#4D4D4D")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    bar = figure.colorbar(
        image, ax=list(grid), extend="both", aspect=max(40, 3 * sum(heights)), pad=0.02
    )
    bar.set_label("calibrated score")
    bar.outline.set_visible(False)
    wide = int(11 * figure.get_figwidth())
    figure.suptitle(textwrap.fill(title, wide), x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.supxlabel(
        "layer\nscore: 0 at the null's 95th percentile, 1 at identity", fontsize=9, color="#4D4D4D"
    )
    return figure


@styled
def values_of_runs(tables: dict[str, dict[str, dict[int, float]]], *, title: str) -> Figure:
    """Draw values, a row a run and a column a layer, one panel and one scale for each unit.

    Args:
        tables: for each quantity, with its unit, the runs by name, and their value by layer.
        title: what is shown.
    """
    layers = sorted({x for runs in tables.values() for run in runs.values() for x in run})
    heights = [max(len(runs), 2) for runs in tables.values()]
    longest = max(len(name) for runs in tables.values() for name in runs)
    figure = Figure(
        figsize=(
            0.075 * min(longest, 60) + max(0.46 * len(layers), 4.2) + 1.6,
            0.24 * sum(heights) + 0.75 * len(heights) + 1.0,
        ),
        layout="constrained",
    )
    grid = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for axes, (label, runs) in zip(grid, tables.items(), strict=True):
        axes.grid(visible=False)
        axes.set_facecolor("#D9D9D9")
        values = np.array([[run.get(x, np.nan) for x in layers] for run in runs.values()])
        signed = bool(np.nanmin(values) < 0 < np.nanmax(values))
        furthest = float(np.nanmax(np.abs(values)))
        colours: dict[str, Any] = {"cmap": "cividis"}
        if signed:
            colours = {"cmap": "PuOr", "vmin": -furthest, "vmax": furthest}
        image = axes.imshow(values, aspect="auto", **colours)
        bar = figure.colorbar(image, ax=axes, aspect=4 * len(runs) + 4, pad=0.02)
        bar.outline.set_visible(False)
        if len(layers) <= 30:
            plain = np.zeros(values.shape, bool)
            _write_values(axes, values, image, _written(furthest), hatched=plain)
        axes.set_yticks(range(len(runs)), [cut(name, 60) for name in runs])
        step = -(-len(layers) // 30)
        axes.set_xticks(range(0, len(layers), step), [str(x) for x in layers[::step]])
        axes.tick_params(length=0)
        axes.set_title(label, fontweight="normal", fontsize=8, color="#4D4D4D")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    wide = int(11 * figure.get_figwidth())
    figure.suptitle(textwrap.fill(title, wide), x=0.01, ha="left", fontsize=10, fontweight="bold")
    grid[-1].set_xlabel("layer")
    return figure


def _write_values(
    axes: Axes,
    values: Array,
    image: Any,
    write: Callable[[float], str],
    *,
    hatched: NDArray[np.bool_],
) -> None:
    """Write each value into its cell, dark on light and light on dark."""
    colours = image.cmap(image.norm(values))[..., :3]
    bright = colours @ (0.299, 0.587, 0.114) > 0.55
    for i, j in np.argwhere(~np.isnan(values)):
        written = axes.text(
            j,
            i,
            write(float(values[i, j])),
            ha="center",
            va="center",
            fontsize=7,
            color="black" if bright[i, j] else "white",
        )
        # It lies in its cell, and need not be measured to place the axes.
        written.set_in_layout(False)
        if hatched[i, j]:
            # Hatching goes round the value, not through it.
            around = withStroke(linewidth=2.5, foreground=tuple(colours[i, j]))
            written.set_path_effects([around])


def _written(furthest: float) -> Callable[[float], str]:
    """Return what writes values: with three digits of the largest."""
    digits = min(max(2 - math.floor(math.log10(furthest or 1.0)), 0), 3)
    return lambda value: _number(value, digits)


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    # What rounds to zero has no sign.
    return (text.lstrip("-") if not text.strip("-0.") else text).replace("-", "−")


def _score(value: float, digits: int) -> str:
    """Write a score: briefly where it is far from 0, as it is where a null leaves little room."""
    if value <= -99.5:
        return "< −99"
    return _number(value, digits if abs(value) < 9.995 else 0)
