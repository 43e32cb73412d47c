"""Every matplotlib line: one palette, one style, figures that one would print."""

import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from interp.statistics import PermutationTest

# Okabe and Ito (2008): told apart under every common form of colour blindness.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4D4D4D",
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "interp",
    # Names are shown as they are written, dollar signs and all.
    "text.parse_math": False,
}

Array = NDArray[np.float64]
P = ParamSpec("P")


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


@_styled
def similarity_over_layers(
    layers: tuple[int, ...],
    similarity: Array,
    null: PermutationTest,
    significant: NDArray[np.bool_],
    score: Array,
    reference: Array,
    *,
    title: str,
    subtitle: str,
    ylabel: str,
    xlabel: str,
    null_label: str,
    significant_label: str,
    other_label: str,
    label: str,
    reference_label: str,
) -> Figure:
    """Draw one similarity a layer over the band of its null; significant layers are filled.

    `similarity`, `significant` and `score` are [layer]. `reference` holds the scores of other
    models, [model, layer]: where there are any, a second panel puts the scores beside each other,
    since a similarity's height alone would mislead. Titles and labels are the caller's words.
    """
    figure = Figure(figsize=(6.4, 4.0 + 2.0 * bool(len(reference))), layout="constrained")
    if len(reference):
        axes, beside = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _scores_beside(beside, layers, score, reference, label, reference_label)
        beside.set_xlabel(xlabel)
    else:
        axes = figure.add_subplot()
        axes.set_xlabel(xlabel)
    band: dict[str, Any] = {"color": GREY, "alpha": 0.28, "linewidth": 0}
    if len(layers) > 1:
        axes.fill_between(layers, null.null_low, null.null_high, **band, label=null_label)
        axes.plot(layers, null.null_mean, "--", color=GREY, linewidth=1, label="mean of the null")
        axes.plot(layers, similarity, color=BLUE, linewidth=1.6, zorder=3)
    else:
        # A single layer has no width: its null is a bar.
        heights = null.null_high - null.null_low
        axes.bar(layers, heights, 0.3, null.null_low, **band, label=null_label)
        axes.hlines(
            null.null_mean, layers[0] - 0.15, layers[0] + 0.15, GREY, "--", label="mean of the null"
        )
        axes.set_xlim(layers[0] - 1, layers[0] + 1)
        # A bar's foot would otherwise be the end of the axis.
        axes.use_sticky_edges = False
    size = 6 if len(layers) <= 16 else 4
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": size, "color": BLUE}
    at = np.array(layers)
    if significant.any():
        chosen = similarity[significant]
        axes.plot(at[significant], chosen, **style, zorder=4, label=significant_label)
    if not significant.all():
        others = similarity[~significant]
        axes.plot(at[~significant], others, **style, mfc="white", zorder=4, label=other_label)
    axes.set_ylabel(textwrap.fill(ylabel, 40))
    step = -(-len(layers) // 13)
    axes.set_xticks(layers[::step])
    axes.margins(y=0.12)
    _titles(axes, title, subtitle)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _scores_beside(
    axes: Axes, layers: tuple[int, ...], score: Array, reference: Array, label: str, other: str
) -> None:
    axes.axhline(0, color=GREY, linewidth=1, linestyle=":")
    axes.plot(layers, score, "-o", color=BLUE, markersize=4, label=label)
    middle = np.median(reference, axis=0)
    axes.plot(layers, middle, "-s", color=ORANGE, markersize=4, label=other)
    if len(reference) > 1:
        low, high = reference.min(0), reference.max(0)
        axes.fill_between(
            layers, low, high, color=ORANGE, alpha=0.25, linewidth=0, label="range of the draws"
        )
    axes.set_ylabel("calibrated score")


@_styled
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
    _titles(axes, title, subtitle, 0.9 * figure.get_figwidth())
    keys = [Patch(facecolor="white", edgecolor=ORANGE, linewidth=2, label="highest score of a row")]
    if not significant.all():
        keys.append(
            Patch(facecolor=GREY, edgecolor="white", hatch="////", linewidth=0, label=faint_label)
        )
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


@_styled
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


@_styled
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
    _titles(axes, title, subtitle, 5.6)
    return figure


def null_distributions(
    layers: tuple[int, ...],
    observed: Array,
    null: Array,
    *,
    titles: list[str],
    subtitle: str,
    xlabel: str,
) -> dict[int, Figure]:
    """Draw each layer's null [layer, draw] as a histogram, and where the observed value falls.

    All images have one size and the same axes, so that one can flick through them.
    """
    lowest, highest = min(observed.min(), null.min()), max(observed.max(), null.max())
    margin = 0.04 * (highest - lowest) or 0.01
    bins = np.linspace(lowest - margin, highest + margin, 61)
    tallest = max(int(np.histogram(row, bins)[0].max()) for row in null)
    return {
        layer: _null_distribution(
            row, float(value), bins, tallest, title=title, subtitle=subtitle, xlabel=xlabel
        )
        for layer, row, value, title in zip(layers, null, observed, titles, strict=True)
    }


@_styled
def _null_distribution(
    null: Array,
    observed: float,
    bins: Array,
    tallest: int,
    *,
    title: str,
    subtitle: str,
    xlabel: str,
) -> Figure:
    figure = Figure(figsize=(6.0, 3.6), dpi=100)
    # A fixed place for the axes: they would move with their labels otherwise.
    axes = figure.add_axes((0.11, 0.14, 0.86, 0.62))
    counts = np.histogram(null, bins)[0]
    axes.stairs(counts, bins, fill=True, color=GREY, alpha=0.6, label="null")
    axes.vlines(observed, 0, tallest * 1.04, color=ORANGE, linewidth=2, label="observed")
    axes.set_xlim(bins[0], bins[-1])
    axes.set_ylim(0, tallest * 1.22)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("draws of the null")
    axes.legend(loc="upper left", ncols=2)
    _titles(axes, title, subtitle)
    return figure


def _titles(axes: Axes, title: str, subtitle: str, wide: float = 6.4) -> None:
    """Put a title over a subtitle; long ones are wrapped and never squeeze the axes.

    `wide` is the figure's width in inches.
    """
    fine = textwrap.fill(subtitle, int(15 * wide))
    lines = fine.count("\n") + 1
    axes.set_title(textwrap.fill(title, int(10.6 * wide)), pad=8 + 12 * lines)
    note = axes.annotate(
        fine,
        xy=(0, 1),
        xytext=(0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color="#4D4D4D",
    )
    note.set_in_layout(False)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as `path`.png (200 dpi) and `path`.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(path.with_suffix(".png"), dpi=200)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return the figure as an RGB image [height, width, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
