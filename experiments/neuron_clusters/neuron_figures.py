"""Neurons and sentences: a statistic of each neuron, what each holds of a sentence, effects."""

import math
import textwrap
from collections.abc import Sequence
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
_MOST_NAMES = 8
# Letters of a group in a legend: of which three, or two, find room beside each other; and at most.
_SHORT_NAME, _LONGEST_NAME = 16, 30
# Beyond so large a statistic the axis is logarithmic further out than where this lies.
_FAR, _LINEAR = 40.0, 10.0
# Inches of a label's letter and line, and from its point.
_LETTER, _LINE, _OFF = 0.075, 0.13, 0.06


def neuron_statistics(
    layers: tuple[int, ...],
    statistics: Array,
    significant: NDArray[np.bool_],
    names: Sequence[str],
    *,
    titles: Sequence[str],
    subtitle: str,
    ylabel: str,
    groups: tuple[str, str],
) -> dict[int, Figure]:
    """Draw each layer's statistics over the neurons' numbers, significant ones marked by sign.

    Dashed lines lie at the smallest size that is significant; the furthest significant neurons are
    named where there is room. All figures have one size and the same axes, logarithmic further out
    where statistics reach far.

    Args:
        layers: the key of each figure.
        statistics: [layer, neuron]; NaN is not drawn.
        significant: [layer, neuron].
        names: of the neurons.
        titles: one a layer.
        subtitle: of what.
        ylabel: what the statistics are.
        groups: what is larger above 0, and below.
    """
    # Where nothing is known, or all is 0, any height will do.
    furthest = float(np.nanmax(np.abs(statistics), initial=0)) or 1.0
    head = max(title_height(title, subtitle, _TITLE_WIDE) for title in titles)
    return {
        layer: _neuron_statistic(
            of_layer, which, names, title, subtitle, ylabel, groups, furthest, head
        )
        for layer, of_layer, which, title in zip(
            layers, statistics, significant, titles, strict=True
        )
    }


@styled
def _neuron_statistic(
    statistic: Array,
    significant: NDArray[np.bool_],
    names: Sequence[str],
    title: str,
    subtitle: str,
    ylabel: str,
    groups: tuple[str, str],
    furthest: float,
    head: float,
) -> Figure:
    n = len(statistic)
    short = max(map(len, groups)) <= _SHORT_NAME
    bottom = 0.85 if short else 1.02
    tall = bottom + _HEIGHT + head
    figure = Figure(figsize=(_WIDE, tall), dpi=110)
    # A fixed place for the axes: they would move with their labels otherwise.
    axes = figure.add_axes((0.75 / _WIDE, bottom / tall, _INNER / _WIDE, _HEIGHT / tall))
    axes.set_xlim(-0.015 * n - 0.5, 1.015 * n - 0.5)
    far = furthest > _FAR
    if far:
        axes.set_yscale("symlog", linthresh=_LINEAR, linscale=1.0)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=_LINEAR, subs=(1, 3)))
        axes.yaxis.set_major_formatter("{x:g}")
        ylabel = f"{ylabel}, logarithmic beyond {_LINEAR:g}"
    highest = (1.8 if far else 1.15) * furthest
    axes.set_ylim(-highest, highest)
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
    axes.set_xlabel("neuron")
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, _TITLE_WIDE)
    named = np.flatnonzero(significant)
    named = named[np.argsort(-np.abs(statistic[named]), kind="stable")][:_MOST_NAMES]
    _name_points(axes, numbers[named], statistic[named], [names[int(j)] for j in named])
    figure.legend(
        loc="lower left",
        bbox_to_anchor=(0.75 / _WIDE, 0.02),
        ncols=3 if short else 2,
        borderaxespad=0,
        handletextpad=0.2,
        markerscale=1.4,
    )
    return figure


def _name_points(
    axes: Axes,
    x: NDArray[np.intp],
    y: Array,
    names: Sequence[str],
) -> None:
    """Write names beside their points where they cover neither each other nor these points."""
    inches = (_INNER, _HEIGHT)
    places = axes.transLimits.transform(axes.transScale.transform(np.column_stack([x, y])))
    across, up = (places * inches).T
    taken = [(a - 0.03, b - 0.03, a + 0.03, b + 0.03) for a, b in zip(across, up, strict=True)]
    for a, b, name in zip(across, up, names, strict=True):
        wide = _LETTER * len(name)
        beside = {
            ("left", "center"): (a + _OFF, b - _LINE / 2),
            ("right", "center"): (a - _OFF - wide, b - _LINE / 2),
            ("center", "bottom"): (a - wide / 2, b + _OFF),
            ("center", "top"): (a - wide / 2, b - _OFF - _LINE),
        }
        for (ha, va), (x0, y0) in beside.items():
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


@styled
def effect_sizes(
    names: Sequence[str],
    effects: Array,
    low: Array,
    high: Array,
    significant: NDArray[np.bool_],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    groups: tuple[str, str],
) -> Figure:
    """Draw effects with their intervals, the first at the top; all but the names are [effect].

    Effects that are not significant are hollow; above 0 those of the first group.
    """
    n = len(names)
    figure = Figure(figsize=(6.4, 1.9 + 0.2 * n), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=GREY, linewidth=1)
    for number, (group, side) in enumerate(zip(groups, (effects >= 0, effects < 0), strict=True)):
        m = mark(number)
        at = np.flatnonzero(side)
        axes.hlines(at, low[at], high[at], color=m.colour, linewidth=1.4)
        larger = f"larger for {cut(group, _LONGEST_NAME)}"
        for filled in (True, False):
            shown = at[significant[at] == filled]
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
    axes.set_yticks(range(n), [cut(name, 24) for name in names], fontsize=8)
    axes.set_ylim(n - 0.4, -0.6)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle)
    short = max(map(len, groups)) <= _SHORT_NAME
    figure.legend(loc="outside lower center", ncols=2 if short else 1)
    return figure


@styled
def activation_heatmap(
    values: Array,
    parts: dict[str, int],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    label: str,
) -> Figure:
    """Draw activations as colours, [sentence, neuron], a line between the groups of sentences.

    Colours end at the 99th percentile of sizes, lest a few neurons leave all others pale; they are
    centred on 0 where there are values below it.

    Args:
        values: [sentence, neuron], group after group.
        parts: the name of each group, and how many sentences it has.
        title: what is shown.
        subtitle: of what.
        xlabel: what the neurons are, and in what order.
        label: what the values are.
    """
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
        image, ax=axes, label=textwrap.fill(label, 40), extend="both" if signed else "max"
    )
    bar.outline.set_visible(False)
    ends = np.cumsum(list(parts.values()))
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="black", linewidth=1.4)
    middles = ends - np.array(list(parts.values())) / 2 - 0.5
    axes.set_yticks(
        middles,
        [textwrap.fill(cut(f"{name} ({size})", 40), 14) for name, size in parts.items()],
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(textwrap.fill(xlabel, 70))
    axes.set_ylabel("sentences")
    put_titles(axes, title, subtitle, 6.0)
    return figure


@styled
def activation_histograms(
    values: dict[str, Array], *, title: str, subtitle: str, xlabel: str
) -> Figure:
    """Draw how many neurons have which mean activation, [neuron] for each group by name."""
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
    # A few neurons lie far out, where a linear axis would not show them.
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("neurons (logarithmic above 1)")
    put_titles(axes, title, subtitle)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def sentence_values(
    values: Array,
    in_first: NDArray[np.bool_],
    places: NDArray[np.intp],
    names: Sequence[str],
    *,
    title: str,
    subtitle: str,
    ylabel: str,
    xlabel: str,
    groups: tuple[str, str],
) -> Figure:
    """Draw a value of each sentence, those at one place joined; all but the names are [sentence].

    Args:
        values: what is shown.
        in_first: whether a sentence is of the first group.
        places: where each stands on the axis: a pair's two at one place.
        names: of the places, written where there are few.
        title: what is shown.
        subtitle: of what.
        ylabel: what the values are.
        xlabel: what the places are.
        groups: the names of both groups.
    """
    n = int(places.max()) + 1
    named = n <= 24
    figure = Figure(figsize=(_WIDE, 4.0 + 1.1 * named), layout="constrained")
    axes = figure.add_subplot()
    lines = []
    for place in np.unique(places):
        ends = values[places == place]
        if len(ends) == 2:
            lines.append([(place, ends[0]), (place, ends[1])])
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.9, zorder=1.5))
    size = float(np.clip(900 / n, 9, 36))
    handles = []
    for number, (group, side) in enumerate(zip(groups, (in_first, ~in_first), strict=True)):
        m = mark(number)
        axes.scatter(
            places[side],
            values[side],
            size * m.area,
            color=m.colour,
            marker=m.marker,
            edgecolors="white",
            linewidths=0.4,
            zorder=2 + number,
        )
        mean = float(values[side].mean())
        axes.axhline(mean, color=m.colour, linewidth=1.1, linestyle=("-", (0, (4, 2)))[number])
        handles.append(
            Line2D(
                [],
                [],
                color=m.colour,
                marker=m.marker,
                linestyle=("-", (0, (4, 2)))[number],
                markersize=5 * math.sqrt(m.area),
                label=f"{cut(group, 30)}, and its mean {mean:.3g}",
            )
        )
    axes.set_xlim(-0.6 - 0.01 * n, n - 0.4 + 0.01 * n)
    if named:
        name_places(axes, range(n), [cut(name, 40) for name in names], 6.2 / n)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, 6.8)
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
