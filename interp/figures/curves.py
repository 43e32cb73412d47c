"""Curves over layers, above the band of their null."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from interp.figures.style import BLUE, GREY, ORANGE, Array, put_titles, styled
from interp.statistics import PermutationTest


@styled
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
    put_titles(axes, title, subtitle)
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
