"""Drawings of neurons and sentences: test statistics, effects, activations."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import SymmetricalLogLocator
from numpy.typing import NDArray

from interp.plotting.style import (
    GREY,
    Array,
    cut,
    mark,
    name_places,
    put_titles,
    styled,
    title_height,
)

# Inches: of figures, of their titles, and of the axes of statistics.
_WIDE, _TITLE_WIDE, _INNER, _HEIGHT = 7.2, 6.4, 6.3, 3.1
_MAX_NAMES = 8
# Lengths of group names: up to the first, legends have more columns; the second is the longest.
_SHORT_NAME, _LONGEST_NAME = 16, 30
# With a statistic beyond the first number, the axis is logarithmic beyond the second.
_FAR, _LINEAR = 40.0, 10.0
# Inches: the width of a label's letter, the height of its line, and its distance from its point.
_LETTER, _LINE, _OFF = 0.075, 0.13, 0.06


@dataclass(frozen=True)
class Texts:
    """The texts of a figure."""

    title: str
    subtitle: str
    xlabel: str
    ylabel: str


@dataclass(frozen=True, eq=False)
class StatisticFrames:
    """The test statistics of the same neurons at several layers.

    Attributes:
        layers: the key of each figure.
        statistics: [layer, neuron]; NaN is not drawn.
        significant: [layer, neuron].
        names: of the neurons.
        titles: one per layer.
        subtitle: the model, the hook and the test.
        ylabel: the name of the statistics.
        groups: the group that is larger above 0, and the one below.
    """

    layers: tuple[int, ...]
    statistics: Array
    significant: NDArray[np.bool_]
    names: Sequence[str]
    titles: Sequence[str]
    subtitle: str
    ylabel: str
    groups: tuple[str, str]

    @property
    def furthest(self) -> float:
        """The largest size of a statistic; 1 where all are 0 or undefined."""
        return float(np.nanmax(np.abs(self.statistics), initial=0)) or 1.0

    @property
    def head(self) -> float:
        """The height in inches that titles take in every figure."""
        return max(title_height(title, self.subtitle, _TITLE_WIDE) for title in self.titles)

    @property
    def names_are_short(self) -> bool:
        """Whether the names of the groups fit next to each other in a legend."""
        return max(map(len, self.groups)) <= _SHORT_NAME


def statistic_frames(plot: StatisticFrames) -> dict[int, Figure]:
    """Draw each layer's statistics by the neurons' numbers, significant ones marked by sign.

    Dashed lines show the smallest size that is significant; the significant neurons of the largest
    statistics are named where there is room. All figures have one size and the same axes, which are
    logarithmic further out where statistics are large.
    """
    return {layer: _statistic_frame(plot, i) for i, layer in enumerate(plot.layers)}


@styled
def _statistic_frame(plot: StatisticFrames, i: int) -> Figure:
    bottom = 0.85 if plot.names_are_short else 1.02
    tall = bottom + _HEIGHT + plot.head
    figure = Figure(figsize=(_WIDE, tall), dpi=110)
    # The axes have a fixed place: it would depend on their labels otherwise.
    axes = figure.add_axes((0.75 / _WIDE, bottom / tall, _INNER / _WIDE, _HEIGHT / tall))
    _set_statistic_axes(axes, plot)
    statistic, significant = plot.statistics[i], plot.significant[i]
    _draw_statistics(axes, statistic, significant, plot.groups)
    put_titles(axes, plot.titles[i], plot.subtitle, _TITLE_WIDE)
    named = np.flatnonzero(significant)
    named = named[np.argsort(-np.abs(statistic[named]), kind="stable")][:_MAX_NAMES]
    _name_points(axes, named, statistic[named], [plot.names[int(j)] for j in named])
    figure.legend(
        loc="lower left",
        bbox_to_anchor=(0.75 / _WIDE, 0.02),
        ncols=3 if plot.names_are_short else 2,
        borderaxespad=0,
        handletextpad=0.2,
        markerscale=1.4,
    )
    return figure


def _set_statistic_axes(axes: Axes, plot: StatisticFrames) -> None:
    """Set limits, scales and labels, the same for every layer."""
    n = plot.statistics.shape[1]
    axes.set_xlim(-0.015 * n - 0.5, 1.015 * n - 0.5)
    axes.set_xlabel("neuron")
    ylabel, margin = plot.ylabel, 1.15
    if plot.furthest > _FAR:
        axes.set_yscale("symlog", linthresh=_LINEAR, linscale=1.0)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=_LINEAR, subs=(1, 3)))
        axes.yaxis.set_major_formatter("{x:g}")
        ylabel, margin = f"{ylabel}, logarithmic beyond {_LINEAR:g}", 1.8
    axes.set_ylim(-margin * plot.furthest, margin * plot.furthest)
    axes.set_ylabel(ylabel)


def _draw_statistics(
    axes: Axes, statistic: Array, significant: NDArray[np.bool_], groups: tuple[str, str]
) -> None:
    """Draw the statistics of one layer, [neuron] each."""
    n = len(statistic)
    numbers = np.arange(n)
    area = float(np.clip(4000 / n, 5, 30))
    look: dict[str, Any] = {"linewidths": 0.2, "edgecolors": "white", "rasterized": n > 300}
    others = ~significant & np.isfinite(statistic)
    axes.scatter(
        numbers[others],
        statistic[others],
        0.6 * area,
        color="#BDBDBD",
        label=f"not significant ({others.sum()})",
        **look,
    )
    sides = (significant & (statistic > 0), significant & (statistic < 0))
    for number, (group, side) in enumerate(zip(groups, sides, strict=True)):
        m = mark(number)
        axes.scatter(
            numbers[side],
            statistic[side],
            area * m.area,
            color=m.colour,
            marker=m.marker,
            label=f"larger for {cut(group, _LONGEST_NAME)} ({side.sum()})",
            **look,
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    if significant.any():
        least = float(np.abs(statistic[significant]).min())
        for at in (-least, least):
            axes.axhline(at, color="#4D4D4D", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.9)


def _name_points(
    axes: Axes,
    x: NDArray[np.intp],
    y: Array,
    names: Sequence[str],
) -> None:
    """Write names next to their points where they cover neither each other nor these points."""
    inches = (_INNER, _HEIGHT)
    places = axes.transLimits.transform(axes.transScale.transform(np.column_stack([x, y])))
    across, up = (places * inches).T
    taken = [(a - 0.03, b - 0.03, a + 0.03, b + 0.03) for a, b in zip(across, up, strict=True)]
    for a, b, name in zip(across, up, names, strict=True):
        wide = _LETTER * len(name)
        candidates = {
            ("left", "center"): (a + _OFF, b - _LINE / 2),
            ("right", "center"): (a - _OFF - wide, b - _LINE / 2),
            ("center", "bottom"): (a - wide / 2, b + _OFF),
            ("center", "top"): (a - wide / 2, b - _OFF - _LINE),
        }
        for (ha, va), (x0, y0) in candidates.items():
            box = (x0, y0, x0 + wide, y0 + _LINE)
            inside = x0 >= 0 and y0 >= 0 and box[2] <= inches[0] and box[3] <= inches[1]
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(
                    name,
                    (a / inches[0], b / inches[1]),
                    (
                        (x0 + wide * {"left": 0, "center": 0.5, "right": 1}[ha] - a) * 72,
                        (y0 + _LINE * {"bottom": 0, "center": 0.5, "top": 1}[va] - b) * 72,
                    ),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    ha=ha,
                    va=va,
                    fontsize=7.5,
                    path_effects=[withStroke(linewidth=1.8, foreground="white")],
                )
                break


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@dataclass(frozen=True, eq=False)
class EffectForest:
    """Effects of neurons with their intervals, [effect] each.

    Attributes:
        names: of the neurons.
        effects: above 0 those that are larger for the first group.
        low: the lower limits.
        high: the upper limits.
        significant: effects that are not are hollow.
        groups: the names of both groups.
    """

    names: Sequence[str]
    effects: Array
    low: Array
    high: Array
    significant: NDArray[np.bool_]
    groups: tuple[str, str]


@styled
def effect_forest(plot: EffectForest, texts: Texts) -> Figure:
    """Draw effects with their intervals, the first at the top."""
    effects = plot.effects
    n = len(plot.names)
    figure = Figure(figsize=(6.4, 1.9 + 0.2 * n), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=GREY, linewidth=1)
    sides = (effects >= 0, effects < 0)
    for number, (group, side) in enumerate(zip(plot.groups, sides, strict=True)):
        m = mark(number)
        at = np.flatnonzero(side)
        axes.hlines(at, plot.low[at], plot.high[at], color=m.colour, linewidth=1.4)
        larger = f"larger for {cut(group, _LONGEST_NAME)}"
        for filled in (True, False):
            shown = at[plot.significant[at] == filled]
            if len(shown):
                axes.scatter(
                    effects[shown],
                    shown,
                    30 * m.area,
                    facecolors=m.colour if filled else "white",
                    edgecolors=m.colour,
                    marker=m.marker,
                    zorder=3,
                    label=larger if filled else f"{larger}, not significant",
                )
    axes.set_yticks(range(n), [cut(name, 24) for name in plot.names], fontsize=8)
    axes.set_ylim(n - 0.4, -0.6)
    axes.set_xlabel(texts.xlabel)
    axes.set_ylabel(texts.ylabel)
    put_titles(axes, texts.title, texts.subtitle)
    short = max(map(len, plot.groups)) <= _SHORT_NAME
    figure.legend(loc="outside lower center", ncols=2 if short else 1)
    return figure


@dataclass(frozen=True, eq=False)
class ActivationHeatmap:
    """Activations of neurons in sentences.

    Attributes:
        values: [sentence, neuron], group after group.
        parts: the name of each group, and how many sentences it has.
        label: the label of the colour bar.
    """

    values: Array
    parts: dict[str, int]
    label: str


@styled
def activation_heatmap(plot: ActivationHeatmap, texts: Texts) -> Figure:
    """Draw activations as colours, with a line between the groups of sentences.

    Colours end at the 99th percentile of sizes, so that a few neurons do not make all others pale;
    they are centred on 0 where there are values below it.
    """
    values, sizes = plot.values, np.array(list(plot.parts.values()))
    furthest = float(np.quantile(np.abs(values), 0.99)) or float(np.abs(values).max()) or 1.0
    signed = bool((values < 0).any())
    sentences = len(values)
    figure = Figure(
        figsize=(_WIDE, 2.2 + float(np.clip(0.035 * sentences, 1.4, 4.0))), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.grid(visible=False)
    image = axes.imshow(
        values,
        aspect="auto",
        cmap="PuOr" if signed else "cividis",
        vmin=-furthest if signed else 0,
        vmax=furthest,
        interpolation="nearest",
    )
    bar = figure.colorbar(
        image, ax=axes, label=textwrap.fill(plot.label, 40), extend="both" if signed else "max"
    )
    bar.outline.set_visible(False)
    ends = np.cumsum(sizes)
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="black", linewidth=1.4)
    middles = ends - sizes / 2 - 0.5
    axes.set_yticks(
        middles,
        [textwrap.fill(cut(f"{name} ({size})", 40), 14) for name, size in plot.parts.items()],
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(textwrap.fill(texts.xlabel, 70))
    axes.set_ylabel(texts.ylabel)
    put_titles(axes, texts.title, texts.subtitle, 6.0)
    return figure


@styled
def activation_histograms(values: dict[str, Array], texts: Texts) -> Figure:
    """Draw histograms of the neurons' mean activations, [neuron] for each group by name."""
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    together = np.concatenate(list(values.values()))
    margin = 0.02 * float(np.ptp(together)) or 0.01
    bins = np.linspace(together.min() - margin, together.max() + margin, 61)
    for number, (name, of_group) in enumerate(values.items()):
        counts = np.histogram(of_group, bins)[0]
        colour = mark(number).colour
        axes.stairs(
            counts,
            bins,
            color=colour,
            linewidth=1.4,
            linestyle=("-", (0, (3, 1.5)))[number],
            label=cut(name, 30),
        )
    axes.axvline(0, color=GREY, linewidth=0.8)
    # A few neurons lie far out, where counts of 1 are invisible on a linear axis.
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(texts.xlabel)
    axes.set_ylabel(texts.ylabel)
    put_titles(axes, texts.title, texts.subtitle)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@dataclass(frozen=True, eq=False)
class SentenceValues:
    """A value per sentence; all but the names are [sentence].

    Attributes:
        values: the values.
        in_first: whether a sentence is of the first group.
        places: where each stands on the axis: the two of a pair at one place.
        names: of the places, written where there are few.
        groups: the names of both groups.
    """

    values: Array
    in_first: NDArray[np.bool_]
    places: NDArray[np.intp]
    names: Sequence[str]
    groups: tuple[str, str]

    @property
    def n_places(self) -> int:
        """How many places there are."""
        return int(self.places.max()) + 1


@styled
def sentence_values(plot: SentenceValues, texts: Texts) -> Figure:
    """Draw a value per sentence, with a line between the two at one place, and group means."""
    n = plot.n_places
    named = n <= 24
    figure = Figure(figsize=(_WIDE, 4.0 + 1.1 * named), layout="constrained")
    axes = figure.add_subplot()
    _join_pairs(axes, plot)
    size = float(np.clip(900 / n, 9, 36))
    handles = []
    sides = (plot.in_first, ~plot.in_first)
    for number, (group, side) in enumerate(zip(plot.groups, sides, strict=True)):
        m = mark(number)
        axes.scatter(
            plot.places[side],
            plot.values[side],
            size * m.area,
            color=m.colour,
            marker=m.marker,
            edgecolors="white",
            linewidths=0.4,
            zorder=2 + number,
        )
        mean = float(plot.values[side].mean())
        line: Any = ("-", (0, (4, 2)))[number]
        axes.axhline(mean, color=m.colour, linewidth=1.1, linestyle=line)
        handles.append(
            Line2D(
                [],
                [],
                color=m.colour,
                marker=m.marker,
                linestyle=line,
                markersize=5 * math.sqrt(m.area),
                label=f"{cut(group, 30)}, and its mean {mean:.3g}",
            )
        )
    axes.set_xlim(-0.6 - 0.01 * n, n - 0.4 + 0.01 * n)
    if named:
        name_places(axes, range(n), [cut(name, 40) for name in plot.names], 6.2 / n)
    axes.set_xlabel(texts.xlabel)
    axes.set_ylabel(texts.ylabel)
    put_titles(axes, texts.title, texts.subtitle, 6.8)
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _join_pairs(axes: Axes, plot: SentenceValues) -> None:
    """Draw a line between the two values at each place that has two."""
    lines = []
    for place in np.unique(plot.places):
        ends = plot.values[plot.places == place]
        if len(ends) == 2:
            lines.append([(place, ends[0]), (place, ends[1])])
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.9, zorder=1.5))
