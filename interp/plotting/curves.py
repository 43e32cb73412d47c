"""Tested series over layers, each with the band of its null."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.plotting.labels import Labels
from interp.plotting.style import BLUE, GREY, ORANGE, Array, name_places, put_titles, styled
from interp.stats.tested_series import TestedSeries

# More tick labels than this do not fit below an axis of layers.
_MOST_TICKS = 13


@dataclass(frozen=True, eq=False)
class ScorePanel:
    """Scores of a model compared with those of reference models.

    Attributes:
        label: the model.
        reference: scores of the reference models, [model, layer], at least one model.
        reference_label: the reference models.
    """

    label: str
    reference: Array
    reference_label: str


@styled
def draw_similarity(
    similarity: TestedSeries, labels: Labels, null_label: str, scores: ScorePanel | None = None
) -> Figure:
    """Draw a similarity over layers with the band of its null; significant layers are filled.

    Args:
        similarity: has a null and, where `scores` are given, a score.
        labels: the words of the figure.
        null_label: what the band is.
        scores: for a second panel that compares the calibrated scores with those of reference
            models, because the similarity alone would mislead.
    """
    figure = Figure(figsize=(6.4, 4.0 + 2.0 * (scores is not None)), layout="constrained")
    if scores is None:
        axes = lowest = figure.add_subplot()
    else:
        axes, lowest = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_scores(lowest, similarity, scores)
    lowest.set_xlabel(labels.xlabel)
    _draw_tested(axes, similarity, null_label, "layer")
    axes.set_ylabel(textwrap.fill(labels.ylabel or similarity.label, 40))
    axes.set_xticks(_thin_out(similarity.steps))
    axes.margins(y=0.12)
    put_titles(axes, labels.title, labels.subtitle)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def draw_statistics(
    series: Sequence[TestedSeries],
    labels: Labels,
    null_label: str,
    step_names: Sequence[str] = (),
) -> Figure:
    """Draw series over the same layers, one panel per series, each with the band of its null.

    Significant layers are filled. A series without a null is a plain line.

    Args:
        series: from top to bottom; their labels name the y axes.
        labels: the words of the figure.
        null_label: what the bands are.
        step_names: names for the x axis in place of the layers' numbers.
    """
    steps = series[0].steps
    wide = 6.4 if len(steps) <= 30 else 9.0
    figure = Figure(figsize=(wide, 1.9 + 1.75 * len(series)), layout="constrained")
    grid = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for axes, one in zip(grid, series, strict=True):
        if one.null_mean is None:
            # A dot would be read as a mark of significance.
            alone = {"marker": "_", "markersize": 14} if len(steps) == 1 else {}
            axes.plot(steps, one.values, color=BLUE, linewidth=1.6, **alone)
        else:
            _draw_tested(axes, one, null_label, "step" if step_names else "layer")
        axes.set_ylabel(textwrap.fill(one.label, 24))
        axes.margins(y=0.12)
    grid[-1].set_xlabel(labels.xlabel)
    if step_names:
        name_places(grid[-1], steps, step_names, (wide - 1.1) / len(steps))
    else:
        grid[-1].set_xticks(_thin_out(steps))
    figure.align_ylabels(list(grid))
    put_titles(grid[0], labels.title, labels.subtitle, wide)
    # Panels share their marks: the legend lists each once.
    entries = {label: handle for axes in grid for handle, label in _legend_entries(axes)}
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
    return figure


def _thin_out(steps: tuple[int, ...]) -> tuple[int, ...]:
    return steps[:: -(-len(steps) // _MOST_TICKS)]


def _legend_entries(axes: Axes) -> list[tuple[Artist, str]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(zip(handles, labels, strict=True))


def _draw_tested(axes: Axes, series: TestedSeries, null_label: str, unit: str) -> None:
    """Draw a series with the band and the mean of its null; significant steps are filled."""
    steps, values, significant = series.steps, series.values, series.significant
    low, mean, high = (series.statistics[f"null_{name}"] for name in ("low", "mean", "high"))
    band: dict[str, Any] = {"color": GREY, "alpha": 0.28, "linewidth": 0}
    if len(steps) > 1:
        axes.fill_between(steps, low, high, **band, label=null_label)
        axes.plot(steps, mean, "--", color=GREY, linewidth=1, label="mean of the null")
        axes.plot(steps, values, color=BLUE, linewidth=1.6, zorder=3)
    else:
        # A single layer has no width: its null is a bar.
        axes.bar(steps, high - low, 0.3, low, **band, label=null_label)
        ends = (steps[0] - 0.15, steps[0] + 0.15)
        axes.hlines(mean, *ends, GREY, "--", label="mean of the null")
        axes.set_xlim(steps[0] - 1, steps[0] + 1)
        # Otherwise the axis would end at the foot of the bar.
        axes.use_sticky_edges = False
    size = 6 if len(steps) <= 16 else 4
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": size, "color": BLUE}
    at, rule = np.array(steps), f"{series.alpha:g}, corrected over {unit}s"
    if significant.any():
        chosen = values[significant]
        axes.plot(at[significant], chosen, **style, zorder=4, label=f"p < {rule}")
    if not significant.all():
        others = values[~significant]
        axes.plot(at[~significant], others, **style, mfc="white", zorder=4, label=f"p ≥ {rule}")


def _draw_scores(axes: Axes, series: TestedSeries, scores: ScorePanel) -> None:
    axes.axhline(0, color=GREY, linewidth=1, linestyle=":")
    score = series.statistics["score"]
    axes.plot(series.steps, score, "-o", color=BLUE, markersize=4, label=scores.label)
    style: dict[str, Any] = {"color": ORANGE, "markersize": 4, "label": scores.reference_label}
    axes.plot(series.steps, np.median(scores.reference, axis=0), "-s", **style)
    if len(scores.reference) > 1:
        band: dict[str, Any] = {"color": ORANGE, "alpha": 0.25, "linewidth": 0}
        low, high = scores.reference.min(0), scores.reference.max(0)
        axes.fill_between(series.steps, low, high, **band, label="range of the seeds")
    axes.set_ylabel("calibrated score")
