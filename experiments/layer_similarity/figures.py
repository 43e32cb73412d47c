"""Figures of `layer_similarity`: the curve, the null of each layer, the table of all pairs."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from interp.plotting.curves import ScorePanel, draw_similarity
from interp.plotting.labels import Labels
from interp.plotting.style import GREY, ORANGE, Array, put_titles, styled
from interp.stats.calibration import Calibration

from .measures import GroupSimilarity, ReferenceComparison
from .report import Comparison, describe_significance

# A table with more rows has more cells than its image has pixels.
_LARGEST_TABLE = 300


def similarity_curve(
    found: Calibration, reference: ReferenceComparison | None, words: Comparison
) -> Figure:
    """Draw the similarity over layers with its null, and below it the scores of the reference."""
    title = f"{words.both}: too few prompts or permutations to test"
    if found.smallest_p < words.alpha:
        title = describe_significance(found, words)
    series = found.tested_series(words.layers, words.metric.label, words.alpha)
    labels = Labels(title, words.setting, xlabel=f"layer ({words.hook})")
    scores = None
    if reference:
        scores = ScorePanel(words.model, reference.scores, words.reference_label)
    return draw_similarity(series, labels, f"95% of the null: {words.permuted}", scores)


def images(similarity: GroupSimilarity, words: Comparison) -> dict[str, dict[int, Figure]]:
    """Draw what has one image per layer: the null, and the table of all pairs where it fits."""
    drawn = {"null_distribution": null_distributions(similarity.calibration, words)}
    if similarity.tables and words.counts[0] <= _LARGEST_TABLE:
        drawn["pairs"] = pair_tables(similarity.tables, words)
    return drawn


@dataclass(frozen=True, eq=False)
class _Histogram:
    """The bins that all layers share, and the height that holds the tallest of them."""

    bins: Array
    tallest: int

    @classmethod
    def of(cls, found: Calibration) -> "_Histogram":
        everything = np.column_stack([found.observed, found.null])
        lowest, highest = everything.min(), everything.max()
        margin = 0.04 * (highest - lowest) or 0.01
        bins = np.linspace(lowest - margin, highest + margin, 61)
        return cls(bins, max(int(np.histogram(row, bins)[0].max()) for row in found.null))


def null_distributions(found: Calibration, words: Comparison) -> dict[int, Figure]:
    """Draw each layer's null as a histogram, with the observed value as a line.

    All images have one size and the same axes, so that they can be compared layer by layer.
    """
    shared = _Histogram.of(found)
    return {
        layer: _null_distribution(
            null, float(value), shared, f"Layer {layer}: {words.both} compared with the null", words
        )
        for layer, null, value in zip(words.layers, found.null, found.observed, strict=True)
    }


@styled
def _null_distribution(
    null: Array, observed: float, shared: _Histogram, title: str, words: Comparison
) -> Figure:
    figure = Figure(figsize=(6.0, 3.6), dpi=100)
    # The axes have a fixed place: otherwise they would move with the width of their labels.
    axes = figure.add_axes((0.11, 0.14, 0.86, 0.62))
    counts = np.histogram(null, shared.bins)[0]
    axes.stairs(counts, shared.bins, fill=True, color=GREY, alpha=0.6, label="null")
    axes.vlines(observed, 0, shared.tallest * 1.04, color=ORANGE, linewidth=2, label="observed")
    axes.set_xlim(shared.bins[0], shared.bins[-1])
    axes.set_ylim(0, shared.tallest * 1.22)
    axes.set_xlabel(words.metric.label)
    axes.set_ylabel("permutations")
    axes.legend(loc="upper left", ncols=2)
    put_titles(axes, title, words.setting)
    return figure


def pair_tables(tables: tuple[Array, ...], words: Comparison) -> dict[int, Figure]:
    """Draw each layer's table of every pair of points [n, n]; the given pairs are its diagonal.

    All images have one size, the same axes and the same colours.
    """
    limits = (min(table.min() for table in tables), max(table.max() for table in tables))
    return {
        layer: _pair_table(table, limits, f"Layer {layer}: all pairs of {words.units}", words)
        for layer, table in zip(words.layers, tables, strict=True)
    }


@styled
def _pair_table(table: Array, limits: tuple[float, float], title: str, words: Comparison) -> Figure:
    figure = Figure(figsize=(6.0, 5.2), dpi=100)
    # The axes have a fixed place: otherwise they would move with the width of their labels.
    axes = figure.add_axes((0.11, 0.1, 0.72, 0.72))
    axes.grid(visible=False)
    lowest, highest = limits
    image = axes.imshow(table, cmap="cividis", vmin=lowest, vmax=highest, aspect="auto")
    at_right = figure.add_axes((0.85, 0.1, 0.03, 0.72))
    bar = figure.colorbar(image, cax=at_right, label=words.metric.label)
    bar.outline.set_visible(False)
    first, second = words.groups
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"{words.units} of {second}, in order")
    axes.set_ylabel(f"{words.units} of {first}, in order")
    put_titles(axes, title, words.setting, 5.6)
    return figure
