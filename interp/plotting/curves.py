"""Curves over layers, above the band of their null."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from interp.plotting.style import BLUE, GREY, ORANGE, Array, name_places, put_titles, styled
from interp.stats.permutation_tests import PermutationTest


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
    _above_null(
        axes,
        layers,
        similarity,
        null,
        significant,
        null_label=null_label,
        significant_label=significant_label,
        other_label=other_label,
    )
    axes.set_ylabel(textwrap.fill(ylabel, 40))
    axes.set_xticks(_thinned(layers))
    axes.margins(y=0.12)
    put_titles(axes, title, subtitle)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@dataclass(frozen=True, eq=False)
class Statistic:
    """One statistic over layers.

    Attributes:
        ylabel: what it is.
        values: [layer].
        null: what chance alone would give; None for a statistic without a null.
    """

    ylabel: str
    values: Array
    null: PermutationTest | None = None


@styled
def statistics_over_layers(
    layers: tuple[int, ...],
    panels: Sequence[Statistic],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    null_label: str,
    alpha: float,
    layer_names: Sequence[str] = (),
) -> Figure:
    """Draw statistics over layers below one another, each over the band of its null.

    Layers with a corrected p below `alpha` are filled. Where `layer_names` are given, one a layer,
    they stand on the axis in place of the numbers.
    """
    wide = 6.4 if len(layers) <= 30 else 9.0
    figure = Figure(figsize=(wide, 1.9 + 1.75 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    unit = "step" if layer_names else "layer"
    for axes, panel in zip(grid, panels, strict=True):
        if panel.null is None:
            # A dot would be read as a mark of significance.
            alone = {"marker": "_", "markersize": 14} if len(layers) == 1 else {}
            axes.plot(layers, panel.values, color=BLUE, linewidth=1.6, **alone)
        else:
            _above_null(
                axes,
                layers,
                panel.values,
                panel.null,
                panel.null.p_corrected < alpha,
                null_label=null_label,
                significant_label=f"p < {alpha:g}, corrected over {unit}s",
                other_label=f"p ≥ {alpha:g}, corrected over {unit}s",
            )
        axes.set_ylabel(textwrap.fill(panel.ylabel, 24))
        axes.margins(y=0.12)
    grid[-1].set_xlabel(xlabel)
    if layer_names:
        name_places(grid[-1], layers, layer_names, (wide - 1.1) / len(layers))
    else:
        grid[-1].set_xticks(_thinned(layers))
    figure.align_ylabels(list(grid))
    put_titles(grid[0], title, subtitle, wide)
    # Panels share their signs: each stands in the legend once.
    named = {label: handle for axes in grid for handle, label in _legend_entries(axes)}
    if named:
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2)
    return figure


def _thinned(layers: tuple[int, ...]) -> tuple[int, ...]:
    return layers[:: -(-len(layers) // 13)]


def _legend_entries(axes: Axes) -> list[tuple[Artist, str]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(zip(handles, labels, strict=True))


def _above_null(
    axes: Axes,
    layers: tuple[int, ...],
    values: Array,
    null: PermutationTest,
    significant: NDArray[np.bool_],
    *,
    null_label: str,
    significant_label: str,
    other_label: str,
) -> None:
    """Draw one value a layer over the band and the mean of its null; significant ones filled."""
    band: dict[str, Any] = {"color": GREY, "alpha": 0.28, "linewidth": 0}
    if len(layers) > 1:
        axes.fill_between(layers, null.null_low, null.null_high, **band, label=null_label)
        axes.plot(layers, null.null_mean, "--", color=GREY, linewidth=1, label="mean of the null")
        axes.plot(layers, values, color=BLUE, linewidth=1.6, zorder=3)
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
        chosen = values[significant]
        axes.plot(at[significant], chosen, **style, zorder=4, label=significant_label)
    if not significant.all():
        others = values[~significant]
        axes.plot(at[~significant], others, **style, mfc="white", zorder=4, label=other_label)


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
