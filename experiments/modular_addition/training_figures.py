"""Losses, accuracies and progress measures over the epochs of a training run."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from interp.plotting.grids import legend_columns, place, put_legend, sheet
from interp.plotting.style import BLUE, GREY, ORANGE, Array, mark, styled

Scale = Literal["logarithmic", "fraction"]
Role = Literal["train", "test", "restricted", "excluded", "weights", "logits", "all", "new"]

# A role looks the same in every panel, and is told apart without its colour too.
_LOOKS: dict[Role, tuple[str, Any]] = {
    "train": (BLUE, "-"),
    "test": (ORANGE, (0, (5, 1.5))),
    "restricted": (mark(2).colour, (0, (5, 1.2, 1.2, 1.2))),
    "excluded": (mark(3).colour, (0, (1.2, 1.2))),
    "weights": (mark(6).colour, "-"),
    "all": (mark(4).colour, "-"),
    "new": (mark(6).colour, (0, (1.2, 1.2))),
    "logits": (mark(5).colour, (0, (7, 1.5, 1.2, 1.5, 1.2, 1.5))),
}
# What is less is rounding, and would flatten all the rest.
_LEAST = 1e-10
# Inches.
_WIDE, _LEFT, _RIGHT, _HEIGHT, _GAP, _BELOW = 7.6, 1.0, 0.2, 1.55, 0.16, 0.55


@dataclass(frozen=True, eq=False)
class TrainingCurve:
    """One curve over the epochs.

    Attributes:
        label: what it is called in the legend; curves of one role share it.
        role: what it is, which says how it is drawn.
        values: [epoch]; nan where there is none.
    """

    label: str
    role: Role
    values: Array


@dataclass(frozen=True, eq=False)
class TrainingPanel:
    """What is drawn on one axis.

    Attributes:
        ylabel: what its curves measure.
        curves: what is drawn.
        scale: a logarithmic axis, or one from 0 to 1.
        guess: what guessing would give; nan where that is not known.
    """

    ylabel: str
    curves: Sequence[TrainingCurve]
    scale: Scale
    guess: float = math.nan


@styled
def training_curves(
    epochs: Sequence[int],
    panels: Sequence[TrainingPanel],
    *,
    title: str,
    subtitle: str,
    marked: tuple[str, float] | None = None,
) -> Figure:
    """Draw losses, accuracies and progress measures (Nanda et al., 2023) over the epochs.

    On logarithmic axes what is less than 1e-10 is drawn there, and the tick says so.

    Args:
        epochs: when values were taken, increasing.
        panels: what is drawn, from the top down.
        title: what is shown.
        subtitle: of what.
        marked: the name of an epoch to be marked, and which one.
    """
    handles: dict[str, Line2D] = {}
    for curve in (curve for panel in panels for curve in panel.curves):
        handles[curve.label] = Line2D([], [], label=curve.label, **_look(curve, len(epochs)))
    if any(math.isfinite(panel.guess) for panel in panels):
        handles["a guess"] = Line2D(
            [], [], color="#4D4D4D", linewidth=1, linestyle=":", label="a guess"
        )
    if marked:
        handles[marked[0]] = Line2D([], [], color=GREY, linewidth=1.4, label=marked[0])
    figure, stack = _stack(list(handles.values()), len(panels), title, subtitle)
    at = np.asarray(epochs, dtype=np.float64)
    ends = [at.min(), at.max()] if marked is None else [at.min(), at.max(), marked[1]]
    margin = 0.02 * (max(ends) - min(ends)) or 1.0
    for axes, panel in zip(stack, panels, strict=True):
        if marked:
            axes.axvline(marked[1], color=GREY, linewidth=1.4)
        if math.isfinite(panel.guess):
            axes.axhline(panel.guess, color="#4D4D4D", linewidth=1, linestyle=":")
        lowest = _LEAST if panel.scale == "logarithmic" else -math.inf
        for curve in panel.curves:
            drawn = np.maximum(curve.values, lowest)
            axes.plot(at, drawn, **_look(curve, len(at)))
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        if min(ends) < max(ends):
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        else:
            axes.set_xticks(ends[:1])
        axes.xaxis.set_major_formatter(_grouped)
        _limit(axes, panel.ylabel, panel.scale, [curve.values for curve in panel.curves])
    return figure


def _stack(
    handles: Sequence[Line2D], count: int, title: str, subtitle: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a legend at its foot, and so many panels below one another."""
    columns, foot = legend_columns([str(h.get_label()) for h in handles], _WIDE - _LEFT)
    step = _HEIGHT + _GAP
    tall = foot + _BELOW + count * step
    figure = sheet(_WIDE, tall, title, subtitle)
    inner = _WIDE - _LEFT - _RIGHT
    heights = [tall - number * step - _HEIGHT - 0.06 for number in range(count)]
    stack = [place(figure, _LEFT, y, inner, _HEIGHT) for y in heights]
    for axes in stack[:-1]:
        axes.tick_params(labelbottom=False)
    stack[-1].set_xlabel("epoch")
    put_legend(figure, handles, columns, _LEFT)
    return figure, stack


def _grouped(epoch: float, _: float) -> str:
    return f"{epoch:,.0f}"


def _look(curve: TrainingCurve, count: int) -> dict[str, Any]:
    colour, line = _LOOKS[curve.role]
    # A line through few points does not say where they are, and one point has no line.
    marker = mark(list(_LOOKS).index(curve.role)).marker if count <= 30 else ""
    look = {"color": colour, "linestyle": line, "linewidth": 1.5, "marker": marker, "ms": 4}
    # Where all lie on one another, each can be seen.
    return look | {"ms": 7, "mfc": "none"} if count == 1 else look


def _limit(axes: Axes, ylabel: str, scale: Scale, curves: Sequence[ArrayLike]) -> None:
    """Set the limits, the ticks and the name of a panel's axis."""
    ylabel = textwrap.fill(ylabel, 22)
    if scale == "fraction":
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel(ylabel)
        return
    values = np.concatenate([np.asarray(curve, dtype=np.float64).ravel() for curve in curves])
    values = values[np.isfinite(values)]
    cut_off = bool((values < _LEAST).any())
    values = np.maximum(values, _LEAST) if len(values) else np.ones(1)
    low, high = float(values.min()), float(values.max())
    if cut_off:
        high = max(high, 1e3 * _LEAST)
    # A curve that stays where it is does not look like one that moves.
    margin = max((high / low) ** 0.06, 1.15)
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    ticks = _ticks(low / margin, high * margin)
    names = [f"{value:g}".replace("e-0", "e-") for value in ticks]
    if cut_off:
        names[0] = f"≤ {names[0]}"
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FixedFormatter(names))
    axes.set_ylabel(ylabel)


def _ticks(low: float, high: float) -> list[float]:
    """Return at most seven round numbers of a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    whole = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    if len(whole) >= 3:
        return whole[:: -(-len(whole) // 6)]
    ticks = [d * 10.0**decade for decade in decades for d in (1, 2, 5)]
    ticks = [value for value in ticks if low <= value <= high]
    if len(ticks) < 3:
        near = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = [float(value) for value in near if low <= value <= high]
    return ticks
