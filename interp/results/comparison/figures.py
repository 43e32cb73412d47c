"""Figures of several runs: curves over layers with their nulls, and tables of values."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from interp.plotting.heatmaps import format_score, number_format, write_values
from interp.plotting.labels import Labels
from interp.plotting.sheets import legend_columns, place, put_legend, sheet
from interp.plotting.style import ABSENT, GREY, Array, cut, mark, styled
from interp.stats.tested_series import Scale, TestedSeries

# Smaller values are rounding errors, and would flatten a logarithmic axis.
_LEAST = 1e-10
# The colour of the other runs' curves.
_BEHIND = "#C4C4C4"
_NONE: Array = np.empty(0)


@dataclass(frozen=True, eq=False)
class RunCurve:
    """One run's curve.

    Attributes:
        name: its name in the legend; "" for a curve that is alone in its panel.
        series: its numbers.
    """

    name: str
    series: TestedSeries


@dataclass(frozen=True, eq=False)
class RunPanel:
    """The curves on one pair of axes, all of the same quantity.

    Attributes:
        title: what distinguishes its curves from those of other panels.
        curves: at least one.
        behind: other runs' curves, drawn in grey.
    """

    title: str
    curves: Sequence[RunCurve]
    behind: Sequence[TestedSeries] = ()

    @property
    def ylabel(self) -> str:
        """The quantity; panels with the same label share their scale."""
        return self.curves[0].series.label

    @property
    def scale(self) -> Scale:
        """The scale of the y axis."""
        return self.curves[0].series.scale


@dataclass(frozen=True)
class _Grid:
    """The sizes of the panels, in inches.

    Attributes:
        columns: panels side by side.
        wide: width of a panel's axes.
        tall: height of a panel's axes.
        size: of the font, in points.
    """

    columns: int
    wide: float
    tall: float
    size: float

    left = 0.72
    between = 0.78
    above = 0.24

    @classmethod
    def of(cls, count: int) -> "_Grid":
        if count == 1:
            return cls(1, 5.9, 3.3, 9)
        if count <= 4:
            return cls(2, 3.2, 2.2, 8)
        if count <= 9:
            return cls(3, 2.5, 1.7, 8)
        if count <= 16:
            return cls(4, 1.9, 1.3, 7)
        return cls(5 if count <= 30 else 6, 1.55, 1.05, 7)

    @property
    def width(self) -> float:
        return self.left + self.columns * self.wide + (self.columns - 1) * self.between + 0.2


@styled
def draw_runs(
    panels: Sequence[RunPanel], labels: Labels, *, significant_label: str, other_label: str
) -> Figure:
    """Draw runs over layers, components or epochs: one panel per quantity, one curve per run.

    Curves have the band of their null, and filled marks where they are significant. A name has the
    same colour and mark in all panels. A logarithmic axis shows values below 1e-10 at 1e-10.

    Args:
        panels: row by row.
        labels: the words of the figure; the x label names the steps.
        significant_label: what a filled mark means.
        other_label: what an open mark means.
    """
    grid = _Grid.of(len(panels))
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    handles = _legend(panels, names, significant_label, other_label)
    room = 0.85 * (grid.width - grid.left)
    columns, foot = legend_columns([str(h.get_label()) for h in handles], room)
    step = grid.tall + (0.26 if any(panel.title for panel in panels) else 0.1) + grid.above
    tall = foot + 0.3 + -(-len(panels) // grid.columns) * step
    figure = sheet(grid.width, tall, labels.title, labels.subtitle)
    limits, steps = _limits(panels), _steps(panels)
    for number, panel in enumerate(panels):
        row, column = divmod(number, grid.columns)
        x, y = grid.left + column * (grid.wide + grid.between), tall - (row + 1) * step + grid.above
        axes = place(figure, x, y, grid.wide, grid.tall)
        if panel.behind:
            _draw_behind(axes, panel)
        for curve in panel.curves:
            _draw(axes, curve, names.index(curve.name), grid, crowd=len(panel.curves))
        _scale_steps(axes, steps, grid)
        _scale_values(axes, panel, limits[panel.ylabel, panel.scale], grid)
        repeats_label = column > 0 and panels[number - 1].ylabel == panel.ylabel
        is_lowest = number + grid.columns >= len(panels)
        _name_axes(
            axes,
            panel.title,
            "" if repeats_label else panel.ylabel,
            labels.xlabel if is_lowest else "",
            grid,
        )
    put_legend(figure, handles, columns, grid.left)
    return figure


def _name_axes(axes: Axes, title: str, ylabel: str, xlabel: str, grid: _Grid) -> None:
    """Label a panel; an axis without a label has no numbers either, as a neighbour shows them."""
    axes.tick_params(labelsize=grid.size, labelleft=bool(ylabel), labelbottom=bool(xlabel))
    axes.set_ylabel(textwrap.fill(ylabel, int(16 * grid.tall)), fontsize=grid.size)
    axes.set_xlabel(xlabel, fontsize=grid.size)
    if title:
        longest = int((grid.wide + 0.5) / (0.0085 * grid.size))
        # With y left out, matplotlib measures what lies above the axes at every drawing.
        axes.set_title(cut(title, longest), fontsize=grid.size, fontweight="normal", pad=4, y=1)


def _legend(
    panels: Sequence[RunPanel], names: Sequence[str], significant_label: str, other_label: str
) -> list[Line2D | Patch]:
    shown = [curve.series for panel in panels for curve in panel.curves]
    handles: list[Line2D | Patch] = []
    for number, name in enumerate(names):
        if name:
            look = mark(number)
            tested = any(series.p_corrected is not None for series in shown)
            handles.append(
                Line2D(
                    [],
                    [],
                    label=cut(name, 60),
                    color=look.colour,
                    marker=look.marker,
                    markersize=5 * math.sqrt(look.area),
                    mfc="white" if tested else look.colour,
                    linewidth=1.5,
                )
            )
    colour = "#4D4D4D" if any(names) else mark(0).colour
    if any(_has_band(series) for series in shown):
        shade = GREY if any(names) else colour
        handles.append(Patch(color=shade, alpha=0.25, linewidth=0, label="95% of the null"))
    if any(series.null_mean is not None for series in shown):
        handles.append(
            Line2D([], [], color=colour, linestyle="--", linewidth=0.9, label="mean of the null")
        )
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5, "color": colour}
    if any(series.significant.any() for series in shown):
        handles.append(Line2D([], [], **dots, label=significant_label))
    if any(s.p_corrected is not None and not s.significant.all() for s in shown):
        handles.append(Line2D([], [], **dots, mfc="white", label=other_label))
    if any(panel.behind for panel in panels):
        handles.append(Line2D([], [], color=_BEHIND, linewidth=1, label="the other runs"))
    return handles


def _has_band(series: TestedSeries) -> bool:
    return series.null_low is not None and series.null_high is not None


def _draw(axes: Axes, curve: RunCurve, number: int, grid: _Grid, *, crowd: int) -> None:
    """Draw a curve with its null, in the colour and with the mark of its name."""
    series = curve.series
    look, at, values = mark(number), np.array(series.steps), _floored(series)
    band: dict[str, Any] = {"color": look.colour, "alpha": 0.18 if crowd < 3 else 0.12}
    if len(at) > 1:
        if series.null_low is not None and series.null_high is not None:
            axes.fill_between(at, series.null_low, series.null_high, **band, linewidth=0)
        if series.null_mean is not None:
            axes.plot(at, series.null_mean, "--", color=look.colour, linewidth=0.9)
        axes.plot(at, values, color=look.colour, linewidth=1.5, zorder=3)
    elif series.null_low is not None and series.null_high is not None:
        # A single step has no width: its null is a bar.
        width = 0.3
        height = series.null_high - series.null_low
        axes.bar(at, height, width, series.null_low, **band, linewidth=0)
        if series.null_mean is not None:
            ends = (at - width / 2, at + width / 2)
            axes.hlines(series.null_mean, *ends, look.colour, "--", linewidth=0.9)
    small = grid.wide < 3 or len(at) > 30
    marks: dict[str, Any] = {
        "linestyle": "none",
        "marker": look.marker,
        "markersize": (3.2 if small else 5.0) * math.sqrt(look.area),
        "color": look.colour,
        "zorder": 4,
        "markeredgewidth": 0.8,
    }
    if series.p_corrected is None:
        # A few marks distinguish the runs without colour.
        every = slice(None, None, max(1, len(at) // 8))
        axes.plot(at[every], values[every], **marks)
        return
    passes = series.significant
    axes.plot(at[passes], values[passes], **marks)
    axes.plot(at[~passes], values[~passes], **marks, mfc="white")


def _draw_behind(axes: Axes, panel: RunPanel) -> None:
    """Draw the other runs' curves as one line, which is faster."""
    gap = np.array([np.nan])
    at = [part for series in panel.behind for part in (np.array(series.steps, float), gap)]
    values = [part for series in panel.behind for part in (_floored(series), gap)]
    style: dict[str, Any] = {"color": _BEHIND, "linewidth": 0.7, "markersize": 3}
    if all(len(series.steps) == 1 for series in panel.behind):
        style["marker"] = "."
    together = (np.concatenate(at), np.concatenate(values))
    axes.plot(*together, **style)


def _floored(series: TestedSeries) -> Array:
    return np.maximum(series.values, _LEAST) if series.scale == "log" else series.values


def _all_series(panel: RunPanel) -> list[TestedSeries]:
    return [*(curve.series for curve in panel.curves), *panel.behind]


def _limits(panels: Sequence[RunPanel]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the smallest and the largest value of each quantity, including the nulls."""
    found: dict[tuple[str, str], list[Array]] = {}
    for panel in panels:
        kept = found.setdefault((panel.ylabel, panel.scale), [])
        kept += map(_floored, _all_series(panel))
        for curve in panel.curves:
            kept += [curve.series.statistics.get(f"null_{e}", _NONE) for e in ("low", "high")]
    together = {key: np.concatenate(values) for key, values in found.items()}
    return {key: (float(np.nanmin(v)), float(np.nanmax(v))) for key, v in together.items()}


def _steps(panels: Sequence[RunPanel]) -> list[int]:
    return sorted({s for panel in panels for series in _all_series(panel) for s in series.steps})


def _scale_values(axes: Axes, panel: RunPanel, limits: tuple[float, float], grid: _Grid) -> None:
    low, high = limits
    if panel.scale == "log":
        axes.set_yscale("log")
        margin = max((high / low) ** 0.06, 1.15)
        axes.set_ylim(low / margin, high * margin)
    else:
        margin = 0.07 * (high - low) or 0.5 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)
        axes.yaxis.set_major_locator(MaxNLocator(6 if grid.columns == 1 else 4))


def _scale_steps(axes: Axes, steps: Sequence[int], grid: _Grid) -> None:
    if len(steps) == 1:
        axes.set_xlim(steps[0] - 1, steps[0] + 1)
        axes.set_xticks(steps)
        return
    margin = max(0.04 * (steps[-1] - steps[0]), 0.25)
    axes.set_xlim(steps[0] - margin, steps[-1] + margin)
    ticks = max(3, int(grid.wide / 0.45))
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, steps=[1, 2, 5, 10]))
    if steps[-1] >= 1000:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


@styled
def draw_calibrated_scores(panels: dict[str, dict[str, dict[int, float]]], title: str) -> Figure:
    """Draw scores with one row per run and one column per layer, one panel for each kind of null.

    Args:
        panels: for each null, in a few words, the runs by name, and their score by layer.
        title: of the figure.
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
            write_values(axes, image, lambda score: format_score(score, 2))
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
def draw_values(tables: dict[str, dict[str, dict[int, float]]], title: str) -> Figure:
    """Draw values with one row per run and one column per layer, one panel per quantity.

    Args:
        tables: for each quantity, with its unit, the runs by name, and their value by layer.
        title: of the figure.
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
        axes.set_facecolor(ABSENT)
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
            write_values(axes, image, number_format(furthest))
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
