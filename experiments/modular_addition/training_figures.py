"""Losses, accuracies and progress measures over the epochs of a training run."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from interp.plotting.sheets import legend_columns, place, put_legend, sheet
from interp.plotting.style import BLUE, GREY, ORANGE, Array, mark, styled

from . import training_report
from .training_history import LEARNED, TrainingHistory

Scale = Literal["logarithmic", "fraction"]
Role = Literal["train", "test", "restricted", "excluded", "weights", "logits", "all", "new"]

# A role looks the same in every panel, and is distinct without its colour too.
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
# Smaller values are rounding error, and would flatten all others.
_LEAST = 1e-10
# Inches.
_WIDE, _LEFT, _RIGHT, _HEIGHT, _GAP, _BELOW = 7.6, 1.0, 0.2, 1.55, 0.16, 0.55
_DARK = "#4D4D4D"


@dataclass(frozen=True, eq=False)
class TrainingCurve:
    """One curve over the epochs.

    Attributes:
        label: its name in the legend, which curves of one role share.
        role: what it is, which decides how it is drawn.
        values: [epoch]; nan where there is none.
    """

    label: str
    role: Role
    values: Array


@dataclass(frozen=True, eq=False)
class TrainingPanel:
    """The curves of one axis.

    Attributes:
        ylabel: the quantity.
        curves: what is drawn.
        scale: a logarithmic axis, or one from 0 to 1.
        guess: the value of a guess; nan where that is not known.
    """

    ylabel: str
    curves: Sequence[TrainingCurve]
    scale: Scale
    guess: float = math.nan


@dataclass(frozen=True, eq=False)
class TrainingCurves:
    """Panels over the same epochs.

    Attributes:
        epochs: when values were taken, ascending.
        panels: from the top down.
        marked: the name of a marked epoch, and the epoch.
    """

    epochs: Sequence[int]
    panels: Sequence[TrainingPanel]
    marked: tuple[str, float] | None = None


def training_figure(history: TrainingHistory) -> Figure:
    """Draw losses, accuracies and progress measures (Nanda et al., 2023) of a training run."""
    grokked = history.epoch_grokked
    return training_curves(
        TrainingCurves(
            history.epochs,
            [_losses(history), _accuracies(history), _sparsity(history), _weights(history)],
            (f"{LEARNED:.1%} of test pairs correct", grokked) if math.isfinite(grokked) else None,
        ),
        title=training_report.title(history),
        subtitle=training_report.subtitle(history),
    )


def _losses(history: TrainingHistory) -> TrainingPanel:
    by_keys = [
        TrainingCurve(
            "restricted to the key frequencies, all pairs",
            "restricted",
            history.curve("restricted_loss"),
        ),
        TrainingCurve(
            "key frequencies excluded, train", "excluded", history.curve("excluded_loss")
        ),
    ]
    curves = [
        TrainingCurve("train", "train", history.curve("train_loss")),
        TrainingCurve("test", "test", history.curve("test_loss")),
        *(by_keys if history.keys else []),
    ]
    return TrainingPanel("cross-entropy (nats)", curves, "logarithmic", history.guess_loss)


def _accuracies(history: TrainingHistory) -> TrainingPanel:
    curves = [
        TrainingCurve("train", "train", history.curve("train_accuracy")),
        TrainingCurve("test", "test", history.curve("test_accuracy")),
        TrainingCurve("new test pairs", "new", history.curve("new_accuracy")),
    ]
    return TrainingPanel("accuracy", curves, "fraction", 1 / history.modulus)


def _sparsity(history: TrainingHistory) -> TrainingPanel:
    curves = [
        TrainingCurve("W_E", "weights", history.curve("gini_embedding")),
        TrainingCurve("W_logit", "logits", history.curve("gini_logits")),
    ]
    return TrainingPanel("Gini coefficient of norms by frequency", curves, "fraction")


def _weights(history: TrainingHistory) -> TrainingPanel:
    curves = [TrainingCurve("all weights", "all", history.curve("squared_weights"))]
    return TrainingPanel("sum of squared weights", curves, "logarithmic")


@styled
def training_curves(shown: TrainingCurves, *, title: str, subtitle: str) -> Figure:
    """Draw panels of curves over the epochs, below one another.

    On logarithmic axes values below 1e-10 are drawn at 1e-10, and the tick says so.
    """
    handles = _handles(shown)
    figure, stack = _stack(handles, len(shown.panels), title, subtitle)
    epochs = np.asarray(shown.epochs, dtype=np.float64)
    ends = [*epochs[[0, -1]], *([shown.marked[1]] if shown.marked else [])]
    margin = 0.02 * (max(ends) - min(ends)) or 1.0
    for axes, panel in zip(stack, shown.panels, strict=True):
        if shown.marked:
            axes.axvline(shown.marked[1], color=GREY, linewidth=1.4)
        if math.isfinite(panel.guess):
            axes.axhline(panel.guess, color=_DARK, linewidth=1, linestyle=":")
        lowest = _LEAST if panel.scale == "logarithmic" else -math.inf
        for curve in panel.curves:
            axes.plot(epochs, np.maximum(curve.values, lowest), **_look(curve, len(epochs)))
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        if min(ends) < max(ends):
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        else:
            axes.set_xticks(ends[:1])
        axes.xaxis.set_major_formatter(_with_thousands)
        axes.set_ylabel(textwrap.fill(panel.ylabel, 22))
        if panel.scale == "fraction":
            axes.set_ylim(-0.04, 1.04)
        else:
            _scale_logarithmically(axes, (curve.values for curve in panel.curves))
    return figure


def _handles(shown: TrainingCurves) -> list[Line2D]:
    handles: dict[str, Line2D] = {}
    for curve in (curve for panel in shown.panels for curve in panel.curves):
        look = _look(curve, len(shown.epochs))
        handles[curve.label] = Line2D([], [], label=curve.label, **look)
    guess = "a guess"
    if any(math.isfinite(panel.guess) for panel in shown.panels):
        handles[guess] = Line2D([], [], color=_DARK, linewidth=1, linestyle=":", label=guess)
    if shown.marked:
        name = shown.marked[0]
        handles[name] = Line2D([], [], color=GREY, linewidth=1.4, label=name)
    return list(handles.values())


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


def _with_thousands(epoch: float, _: float) -> str:
    return f"{epoch:,.0f}"


def _look(curve: TrainingCurve, count: int) -> dict[str, Any]:
    colour, line = _LOOKS[curve.role]
    # A line through few points does not show where they are, and one point has no line.
    marker = mark(list(_LOOKS).index(curve.role)).marker if count <= 30 else ""
    look = {"color": colour, "linestyle": line, "linewidth": 1.5, "marker": marker, "ms": 4}
    # Where points lie on one another, open markers show each.
    return look | {"ms": 7, "mfc": "none"} if count == 1 else look


def _scale_logarithmically(axes: Axes, curves: Iterable[ArrayLike]) -> None:
    """Set the limits and the ticks of a logarithmic axis."""
    values = np.concatenate([np.asarray(curve, dtype=np.float64).ravel() for curve in curves])
    values = values[np.isfinite(values)]
    is_cut = bool((values < _LEAST).any())
    values = np.maximum(values, _LEAST) if len(values) else np.ones(1)
    low, high = float(values.min()), float(values.max())
    if is_cut:
        high = max(high, 1e3 * _LEAST)
    # A curve that stays constant must not look like one that changes.
    margin = max((high / low) ** 0.06, 1.15)
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    ticks = _ticks(low / margin, high * margin)
    names = [f"{value:g}".replace("e-0", "e-") for value in ticks]
    if is_cut:
        names[0] = f"≤ {names[0]}"
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FixedFormatter(names))


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
