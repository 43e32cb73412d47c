"""Several runs beside each other: curves over layers, each above its null, and tables of values."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from interp.plotting.sheets import legend_columns, place, put_legend, sheet
from interp.plotting.style import GREY, Array, cut, mark, styled

# What is less is rounding, and would flatten all the rest.
_LEAST = 1e-10
_NONE: Array = np.empty(0)
# Of the runs behind the one that is shown.
_BEHIND = "#C4C4C4"


@dataclass(frozen=True, eq=False)
class RunCurve:
    """One run's curve; every array is [step], or empty where there is no such thing.

    Attributes:
        name: what the legend calls it; "" for a curve that is alone in its panel.
        steps: ascending.
        values: the curve.
        null_mean, null_low, null_high: its null.
        significant: where it differs from its null; empty where nothing was tested.
    """

    name: str
    steps: tuple[int, ...]
    values: Array
    null_mean: Array = field(default_factory=lambda: _NONE)
    null_low: Array = field(default_factory=lambda: _NONE)
    null_high: Array = field(default_factory=lambda: _NONE)
    significant: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))


@dataclass(frozen=True, eq=False)
class RunPanel:
    """What is drawn on one axis.

    Attributes:
        title: what tells its curves from those of other panels.
        ylabel: what they measure; panels of one label have one scale.
        curves: what is shown.
        behind: other runs' curves, to see the shown one among.
        scale: of the axis.
    """

    title: str
    ylabel: str
    curves: Sequence[RunCurve]
    behind: Sequence[RunCurve] = ()
    scale: Literal["linear", "logarithmic"] = "linear"


@dataclass(frozen=True)
class _Grid:
    """How panels stand on the sheet, in inches.

    Attributes:
        columns: side by side.
        wide, tall: of a panel's axes.
        size: of small print, in points.
    """

    columns: int
    wide: float
    tall: float
    size: float

    left = 0.72
    between = 0.78
    below = 0.5

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


@styled
def runs_over_steps(
    panels: Sequence[RunPanel],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    significant_label: str,
    other_label: str,
) -> Figure:
    """Draw runs over layers, components or epochs: a panel for what has one unit, a curve a run.

    Curves stand over the band of their null, with filled marks where they differ from it. A name
    has one colour and one mark in all panels. On a logarithmic axis what is less than 1e-10 is
    drawn there.

    Args:
        panels: what is drawn, row by row.
        title: what is shown.
        subtitle: of what.
        xlabel: what the steps are.
        significant_label: what a filled mark means.
        other_label: what an open one means.
    """
    grid = _Grid.of(len(panels))
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    handles = _legend(panels, names, significant_label, other_label)
    wide = grid.left + grid.columns * grid.wide + (grid.columns - 1) * grid.between + 0.2
    room = 0.85 * (wide - grid.left)
    columns, foot = legend_columns([str(h.get_label()) for h in handles], room)
    rows = -(-len(panels) // grid.columns)
    named = 0.26 if any(panel.title for panel in panels) else 0.1
    step = grid.tall + named + 0.24
    tall = foot + 0.3 + rows * step
    figure = sheet(wide, tall, title, subtitle)
    limits, steps = _limits(panels), _steps(panels)
    for number, panel in enumerate(panels):
        row, column = divmod(number, grid.columns)
        x = grid.left + column * (grid.wide + grid.between)
        axes = place(figure, x, tall - (row + 1) * step + 0.24, grid.wide, grid.tall)
        axes.tick_params(labelsize=grid.size)
        if panel.behind:
            _draw_behind(axes, panel)
        for curve in panel.curves:
            _draw(axes, curve, panel, names.index(curve.name), grid, crowd=len(panel.curves))
        _scale_steps(axes, steps, grid)
        _scale_values(axes, panel, limits[panel.ylabel, panel.scale], grid)
        # What a neighbour says already is not said again.
        if column and panels[number - 1].ylabel == panel.ylabel:
            axes.tick_params(labelleft=False)
        else:
            label = textwrap.fill(panel.ylabel, int(16 * grid.tall))
            axes.set_ylabel(label, fontsize=grid.size)
        if number + grid.columns >= len(panels):
            axes.set_xlabel(xlabel, fontsize=grid.size)
        else:
            axes.tick_params(labelbottom=False)
        if panel.title:
            # A place of its own: else what stands above is measured at every drawing.
            axes.set_title(
                cut(panel.title, int((grid.wide + 0.5) / (0.0085 * grid.size))),
                fontsize=grid.size,
                fontweight="normal",
                pad=4,
                y=1,
            )
    put_legend(figure, handles, columns, grid.left)
    return figure


def _legend(
    panels: Sequence[RunPanel], names: Sequence[str], significant_label: str, other_label: str
) -> list[Line2D | Patch]:
    curves = [curve for panel in panels for curve in panel.curves]
    handles: list[Line2D | Patch] = []
    for number, name in enumerate(names):
        if name:
            look = mark(number)
            tested = any(len(curve.significant) for curve in curves)
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
    if any(len(curve.null_low) for curve in curves):
        shade = GREY if any(names) else colour
        handles.append(Patch(color=shade, alpha=0.25, linewidth=0, label="95% of its null"))
    if any(len(curve.null_mean) for curve in curves):
        handles.append(
            Line2D([], [], color=colour, linestyle="--", linewidth=0.9, label="the null's mean")
        )
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5, "color": colour}
    if any(curve.significant.any() for curve in curves):
        handles.append(Line2D([], [], **dots, label=significant_label))
    if any((~curve.significant).any() for curve in curves):
        handles.append(Line2D([], [], **dots, mfc="white", label=other_label))
    if any(panel.behind for panel in panels):
        handles.append(Line2D([], [], color=_BEHIND, linewidth=1, label="the other runs"))
    return handles


def _draw(
    axes: Axes, curve: RunCurve, panel: RunPanel, number: int, grid: _Grid, *, crowd: int
) -> None:
    """Draw a curve over its null, in the colour and with the mark of its name."""
    look, at = mark(number), np.array(curve.steps)
    values = _floored(curve.values, panel)
    band: dict[str, Any] = {"color": look.colour, "alpha": 0.18 if crowd < 3 else 0.12}
    if len(at) > 1:
        if len(curve.null_low):
            axes.fill_between(at, curve.null_low, curve.null_high, **band, linewidth=0)
        if len(curve.null_mean):
            axes.plot(at, curve.null_mean, "--", color=look.colour, linewidth=0.9)
        axes.plot(at, values, color=look.colour, linewidth=1.5, zorder=3)
    elif len(curve.null_low):
        # A single step has no width: its null is a bar.
        width = 0.3
        axes.bar(at, curve.null_high - curve.null_low, width, curve.null_low, **band, linewidth=0)
        if len(curve.null_mean):
            ends = (at - width / 2, at + width / 2)
            axes.hlines(curve.null_mean, *ends, look.colour, "--", linewidth=0.9)
    small = grid.wide < 3 or len(at) > 30
    marks: dict[str, Any] = {
        "linestyle": "none",
        "marker": look.marker,
        "markersize": (3.2 if small else 5.0) * math.sqrt(look.area),
        "color": look.colour,
        "zorder": 4,
        "markeredgewidth": 0.8,
    }
    passes = curve.significant
    if not len(passes):
        # Marks here and there tell runs apart without their colours.
        every = slice(None, None, max(1, len(at) // 8))
        axes.plot(at[every], values[every], **marks)
        return
    axes.plot(at[passes], values[passes], **marks)
    axes.plot(at[~passes], values[~passes], **marks, mfc="white")


def _draw_behind(axes: Axes, panel: RunPanel) -> None:
    """Draw the other runs' curves, in one piece, which is drawn at once."""
    gap = np.array([np.nan])
    at = [part for curve in panel.behind for part in (np.array(curve.steps, float), gap)]
    values = [part for curve in panel.behind for part in (_floored(curve.values, panel), gap)]
    style: dict[str, Any] = {"color": _BEHIND, "linewidth": 0.7, "markersize": 3}
    if all(len(curve.steps) == 1 for curve in panel.behind):
        style["marker"] = "."
    together = (np.concatenate(at), np.concatenate(values))
    axes.plot(*together, **style)


def _floored(values: Array, panel: RunPanel) -> Array:
    return np.maximum(values, _LEAST) if panel.scale == "logarithmic" else values


def _limits(panels: Sequence[RunPanel]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the least and largest value of what is measured alike."""
    found: dict[tuple[str, str], list[Array]] = {}
    for panel in panels:
        kept = found.setdefault((panel.ylabel, panel.scale), [])
        for curve in (*panel.curves, *panel.behind):
            kept += [_floored(curve.values, panel)]
        for curve in panel.curves:
            kept += [curve.null_low, curve.null_high]
    together = {key: np.concatenate(values) for key, values in found.items()}
    return {key: (float(np.nanmin(v)), float(np.nanmax(v))) for key, v in together.items()}


def _steps(panels: Sequence[RunPanel]) -> list[int]:
    curves = [curve for panel in panels for curve in (*panel.curves, *panel.behind)]
    return sorted({step for curve in curves for step in curve.steps})


def _scale_values(axes: Axes, panel: RunPanel, limits: tuple[float, float], grid: _Grid) -> None:
    low, high = limits
    if panel.scale == "logarithmic":
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
