"""How far steps between layers turn and stretch vectors: a thin line a sentence, means bold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from interp.plotting.style import BLUE, GREY, ORANGE, Array, name_places, put_titles, styled

# Colours and signs of up to three bundles: told apart without the colours too.
_LOOKS: tuple[tuple[str, str, Literal["-", "--"]], ...] = (
    (BLUE, "o", "-"),
    (ORANGE, "^", "-"),
    (GREY, "", "--"),
)


# Sets a mean off from the lines that it is the mean of.
_EDGE = [withStroke(linewidth=3.4, foreground="white", alpha=0.8)]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A value a step in every sentence, and its mean.

    Attributes:
        label: what it is.
        lines: [sentence, step].
        mean: [step].
    """

    label: str
    lines: Array
    mean: Array


@styled
def rotations(
    steps: Sequence[str],
    angles: Sequence[Bundle],
    growths: Sequence[Bundle],
    significant: NDArray[np.bool_] | None,
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    significant_label: str,
    other_label: str,
) -> Figure:
    """Draw the angles of each step, and below them the growth of norms on a logarithmic axis.

    Args:
        steps: what the steps are called.
        angles: up to three bundles, in degrees; the first is the one that is tested.
        growths: up to three bundles, norm after a step over norm before it.
        significant: at which steps its mean is filled; None where nothing was tested, [step].
        title: what is shown.
        subtitle: of what.
        xlabel: what the steps are.
        significant_label: what filled means.
        other_label: what hollow means.
    """
    wide = 6.4 if len(steps) <= 30 else 9.0
    figure = Figure(figsize=(wide, 5.9), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, bundles in ((above, angles), (below, growths)):
        axes.grid(visible=False, axis="x")
        for number in reversed(range(len(bundles))):
            tested = significant if axes is above and number == 0 else None
            _draw(axes, bundles[number], number, tested)
        axes.margins(y=0.06)
    lowest, *_, highest = np.sort(np.concatenate([bundle.mean for bundle in angles]))
    if lowest > 0 and highest > 8 * lowest:
        # Small angles would be one flat line below the large ones.
        _logarithmic(above)
    else:
        above.set_ylim(bottom=0)
    above.set_ylabel("angle (degrees)")
    below.axhline(1, color=GREY, linewidth=1, linestyle=":")
    below.set_ylabel("norm growth (×)")
    # What differs by rounding alone is not to look like a change.
    below.set_ylim(min(below.get_ylim()[0], 0.97), max(below.get_ylim()[1], 1.03))
    _logarithmic(below)
    below.set_xlabel(xlabel)
    _name_steps(below, steps, wide)
    figure.align_ylabels([above, below])
    put_titles(above, title, subtitle, wide)
    handles = [_handle(bundle.label, number) for number, bundle in enumerate(angles)]
    thin = Line2D([], [], color=GREY, linewidth=0.6, label="each sentence, thin; means bold")
    handles.append(thin)
    if significant is not None:
        handles += _signs(significant, significant_label, other_label)
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate a step with its interval; nan where there is none.

    Attributes:
        ylabel: what it is.
        values: [step].
        low: lower limits, [step].
        high: upper limits, [step].
    """

    ylabel: str
    values: Array
    low: Array
    high: Array


@styled
def estimates_over_steps(
    steps: Sequence[str],
    panels: Sequence[Estimate],
    significant: NDArray[np.bool_],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    significant_label: str,
    other_label: str,
) -> Figure:
    """Draw estimates with their 95% intervals below one another; significant steps are filled."""
    wide = 6.4 if len(steps) <= 30 else 9.0
    figure = Figure(figsize=(wide, 1.9 + 1.75 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    at = np.arange(len(steps), dtype=np.float64)
    for axes, panel in zip(grid, panels, strict=True):
        axes.grid(visible=False, axis="x")
        axes.axhline(0, color=GREY, linewidth=1, linestyle=":")
        axes.vlines(at, panel.low, panel.high, color=BLUE, linewidth=1.2)
        _mark(axes, at, panel.values, significant, BLUE, "o")
        axes.set_ylabel(panel.ylabel)
        axes.margins(y=0.12)
    grid[-1].set_xlabel(xlabel)
    _name_steps(grid[-1], steps, wide)
    figure.align_ylabels(list(grid))
    put_titles(grid[0], title, subtitle, wide)
    interval = Line2D([], [], color=BLUE, linewidth=1.2, label="95% interval")
    handles = [interval, *_signs(significant, significant_label, other_label)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw(axes: Axes, bundle: Bundle, number: int, significant: NDArray[np.bool_] | None) -> None:
    """Draw a thin line a sentence and the mean in bold."""
    colour, marker, line = _LOOKS[number]
    lines, mean = bundle.lines, bundle.mean
    at = places = np.arange(len(mean), dtype=np.float64)
    if len(mean) == 1:
        # A single step leads to no other: each sentence is a dash, the bundles side by side.
        places = np.array([(number - 1) * 0.3])
        at = np.array([places[0] - 0.1, places[0] + 0.1])
        lines, mean = np.repeat(lines, 2, axis=1), np.repeat(mean, 2)
        axes.set_xlim(-0.7, 0.7)
    faint = float(np.clip(20 / len(lines), 0.08, 0.4))
    thin = [np.column_stack([at, values]) for values in lines]
    axes.add_collection(LineCollection(thin, colors=colour, linewidths=0.5, alpha=faint))
    axes.plot(at, mean, line, color=colour, linewidth=2, zorder=3, path_effects=_EDGE)
    axes.autoscale_view()
    # A disc says that something was tested, a triangle nothing but whose line it is.
    if significant is not None:
        _mark(axes, places, bundle.mean, significant, colour, marker)
    elif marker == "^":
        _mark(axes, places, bundle.mean, np.ones(len(places), bool), colour, marker)


def _mark(
    axes: Axes, at: Array, values: Array, filled: NDArray[np.bool_], colour: str, marker: str
) -> None:
    style: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": colour, "zorder": 4}
    size = 6 if len(at) <= 16 else 4
    for chosen, inside in ((filled, colour), (~filled, "white")):
        axes.plot(at[chosen], values[chosen], markersize=size, mfc=inside, **style)


def _logarithmic(axes: Axes) -> None:
    """Make the axis logarithmic, with a few round numbers as they are written."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    round_numbers = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    ticks = [value for value in round_numbers if low <= value <= high]
    if len(ticks) < 3:
        linear = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = [value for value in linear if low <= value <= high]
    if len(ticks) > 6:
        ticks = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _name_steps(axes: Axes, steps: Sequence[str], wide: float) -> None:
    name_places(axes, range(len(steps)), steps, (wide - 1.1) / len(steps))


def _handle(label: str, number: int) -> Line2D:
    colour, marker, line = _LOOKS[number]
    marker = marker if marker == "^" else ""
    return Line2D([], [], color=colour, marker=marker, linestyle=line, linewidth=2, label=label)


def _signs(
    significant: NDArray[np.bool_], significant_label: str, other_label: str
) -> list[Line2D]:
    """Return what filled and hollow points mean, those of them that there are."""
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE}
    signs = []
    if significant.any():
        signs.append(Line2D([], [], **style, label=significant_label))
    if not significant.all():
        signs.append(Line2D([], [], **style, mfc="white", label=other_label))
    return signs
