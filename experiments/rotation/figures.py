"""Figures of `rotation`: angles and norm growth over steps, and differences with intervals."""

import dataclasses
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

from .paired_tests import PairedTests
from .report import Rotations, describe_peak_difference, describe_significance

# Colour, marker and line of up to three bundles, which can be distinguished without colours too.
_LOOKS: tuple[tuple[str, str, Literal["-", "--"]], ...] = (
    (BLUE, "o", "-"),
    (ORANGE, "^", "-"),
    (GREY, "", "--"),
)

# Separates a mean from the lines that it is the mean of.
_EDGE = [withStroke(linewidth=3.4, foreground="white", alpha=0.8)]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A value per step in every sentence, and its mean.

    Attributes:
        label: the name of the quantity.
        lines: [sentence, step].
        mean: [step].
    """

    label: str
    lines: Array
    mean: Array


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate per step with its interval; nan where there is none.

    Attributes:
        ylabel: the name of the quantity, with its unit.
        values: [step].
        low: lower limits, [step].
        high: upper limits, [step].
    """

    ylabel: str
    values: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class StepTexts:
    """The texts of a figure over steps.

    Attributes:
        title: the finding, or what is shown.
        subtitle: the model, the hook and the prompts.
        steps: the names of the steps.
        xlabel: the title of the axis of steps.
        significant_label: what filled points mean.
        other_label: what hollow points mean.
    """

    title: str
    subtitle: str
    steps: tuple[str, ...]
    xlabel: str
    significant_label: str
    other_label: str

    @property
    def width(self) -> float:
        """The width of the figure in inches."""
        return 6.4 if len(self.steps) <= 30 else 9.0


def figures(found: Rotations) -> dict[str, Figure]:
    """Return the figures of a run: angles always, differences where they were tested."""
    caption = found.caption
    texts = StepTexts(
        title=describe_significance(found),
        subtitle=caption.subtitle(),
        steps=caption.names,
        xlabel=caption.xlabel,
        significant_label=f"target − before: p < {found.alpha:g}, corrected over steps",
        other_label=f"target − before: p ≥ {found.alpha:g}, corrected over steps",
    )
    tests = found.minus_before
    if tests is None:
        return {"rotation": rotation_figure(found, None, texts)}
    significant = tests.significant(found.alpha)
    of_differences = dataclasses.replace(
        texts,
        title=describe_peak_difference(tests, found),
        significant_label=f"p < {found.alpha:g}, corrected over steps",
        other_label=f"p ≥ {found.alpha:g}, corrected over steps",
    )
    return {
        "rotation": rotation_figure(found, significant, texts),
        "differences": difference_figure(_estimates(tests), significant, of_differences),
    }


def _estimates(tests: PairedTests) -> list[Estimate]:
    return [
        Estimate("target − before (degrees)", tests.mean, tests.low, tests.high),
        Estimate("the same in d_z\n(standard deviations)", tests.d, tests.d_low, tests.d_high),
    ]


@styled
def rotation_figure(
    found: Rotations, significant: NDArray[np.bool_] | None, texts: StepTexts
) -> Figure:
    """Draw the angle of each step and, below, the growth of norms on a logarithmic axis.

    Args:
        found: the angles and norm growth of prompts, and their means over observations.
        significant: the steps at which the target's mean is filled; None where nothing was tested.
        texts: title, names of the steps, and legend entries.
    """
    angles, growths = _angle_bundles(found), _growth_bundles(found)
    figure = Figure(figsize=(texts.width, 5.9), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, bundles in ((above, angles), (below, growths)):
        axes.grid(visible=False, axis="x")
        for number in reversed(range(len(bundles))):
            tested = significant if axes is above and number == 0 else None
            _draw_bundle(axes, bundles[number], number, tested)
        axes.margins(y=0.06)
    lowest, *_, highest = np.sort(np.concatenate([bundle.mean for bundle in angles]))
    if lowest > 0 and highest > 8 * lowest:
        # Small angles would be one flat line below the large ones.
        _make_logarithmic(above)
    else:
        above.set_ylim(bottom=0)
    above.set_ylabel("angle (degrees)")
    below.axhline(1, color=GREY, linewidth=1, linestyle=":")
    below.set_ylabel("norm growth (×)")
    # A difference by rounding alone must not look like a change.
    below.set_ylim(min(below.get_ylim()[0], 0.97), max(below.get_ylim()[1], 1.03))
    _make_logarithmic(below)
    _finish(figure, [above, below], texts)
    handles = [_bundle_handle(bundle.label, number) for number, bundle in enumerate(angles)]
    thin = Line2D([], [], color=GREY, linewidth=0.6, label="each sentence, thin; means bold")
    handles.append(thin)
    if significant is not None:
        handles += _significance_handles(significant, texts)
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _angle_bundles(found: Rotations) -> list[Bundle]:
    of_prompts, means = found.of_prompts, found.means
    n_steps = len(means.angle_target)
    shuffled = np.broadcast_to(of_prompts.angle_shuffled[:, None], (len(of_prompts), n_steps))
    return [
        Bundle("target", of_prompts.angle_target, means.angle_target),
        Bundle("token before it", of_prompts.angle_before, means.angle_before),
        Bundle("shuffled layers and positions", shuffled, np.full(n_steps, means.angle_shuffled)),
    ]


def _growth_bundles(found: Rotations) -> list[Bundle]:
    of_prompts, means = found.of_prompts, found.means
    return [
        Bundle("target", of_prompts.norm_growth_target, means.norm_growth_target),
        Bundle("token before it", of_prompts.norm_growth_before, means.norm_growth_before),
    ]


@styled
def difference_figure(
    panels: Sequence[Estimate], significant: NDArray[np.bool_], texts: StepTexts
) -> Figure:
    """Draw estimates with their 95% intervals in panels below one another.

    Args:
        panels: the estimates.
        significant: the steps whose points are filled, [step].
        texts: title, names of the steps, and legend entries.
    """
    figure = Figure(figsize=(texts.width, 1.9 + 1.75 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    at = np.arange(len(texts.steps), dtype=np.float64)
    for axes, panel in zip(grid, panels, strict=True):
        axes.grid(visible=False, axis="x")
        axes.axhline(0, color=GREY, linewidth=1, linestyle=":")
        axes.vlines(at, panel.low, panel.high, color=BLUE, linewidth=1.2)
        _draw_points(axes, at, panel.values, significant, BLUE, "o")
        axes.set_ylabel(panel.ylabel)
        axes.margins(y=0.12)
    _finish(figure, list(grid), texts)
    interval = Line2D([], [], color=BLUE, linewidth=1.2, label="95% interval")
    handles = [interval, *_significance_handles(significant, texts)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _finish(figure: Figure, panels: list[Axes], texts: StepTexts) -> None:
    """Name the steps below the last panel, and put the titles over the first."""
    panels[-1].set_xlabel(texts.xlabel)
    n_steps = len(texts.steps)
    name_places(panels[-1], range(n_steps), texts.steps, (texts.width - 1.1) / n_steps)
    figure.align_ylabels(panels)
    put_titles(panels[0], texts.title, texts.subtitle, texts.width)


def _draw_bundle(
    axes: Axes, bundle: Bundle, number: int, significant: NDArray[np.bool_] | None
) -> None:
    """Draw a thin line per sentence and the mean in bold."""
    colour, marker, line = _LOOKS[number]
    lines, mean = bundle.lines, bundle.mean
    at = places = np.arange(len(mean), dtype=np.float64)
    if len(mean) == 1:
        # A single step makes no line: each sentence is a dash, the bundles side by side.
        places = np.array([(number - 1) * 0.3])
        at = np.array([places[0] - 0.1, places[0] + 0.1])
        lines, mean = np.repeat(lines, 2, axis=1), np.repeat(mean, 2)
        axes.set_xlim(-0.7, 0.7)
    faint = float(np.clip(20 / len(lines), 0.08, 0.4))
    thin = [np.column_stack([at, values]) for values in lines]
    axes.add_collection(LineCollection(thin, colors=colour, linewidths=0.5, alpha=faint))
    axes.plot(at, mean, line, color=colour, linewidth=2, zorder=3, path_effects=_EDGE)
    axes.autoscale_view()
    # Discs show what was tested; triangles only identify the line.
    if significant is not None:
        _draw_points(axes, places, bundle.mean, significant, colour, marker)
    elif marker == "^":
        _draw_points(axes, places, bundle.mean, np.ones(len(places), bool), colour, marker)


def _draw_points(
    axes: Axes, at: Array, values: Array, filled: NDArray[np.bool_], colour: str, marker: str
) -> None:
    style: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": colour, "zorder": 4}
    size = 6 if len(at) <= 16 else 4
    for chosen, inside in ((filled, colour), (~filled, "white")):
        axes.plot(at[chosen], values[chosen], markersize=size, mfc=inside, **style)


def _make_logarithmic(axes: Axes) -> None:
    """Make the axis logarithmic, with a few round numbers as ticks."""
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


def _bundle_handle(label: str, number: int) -> Line2D:
    colour, marker, line = _LOOKS[number]
    marker = marker if marker == "^" else ""
    return Line2D([], [], color=colour, marker=marker, linestyle=line, linewidth=2, label=label)


def _significance_handles(significant: NDArray[np.bool_], texts: StepTexts) -> list[Line2D]:
    """Return the legend entries of filled and of hollow points, as far as there are such points."""
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE}
    handles = []
    if significant.any():
        handles.append(Line2D([], [], **style, label=texts.significant_label))
    if not significant.all():
        handles.append(Line2D([], [], **style, mfc="white", label=texts.other_label))
    return handles
