"""Distributions of a null, and where the observed value falls."""

import numpy as np
from matplotlib.figure import Figure

from interp.plotting.style import GREY, ORANGE, Array, put_titles, styled


def null_distributions(
    layers: tuple[int, ...],
    observed: Array,
    null: Array,
    *,
    titles: list[str],
    subtitle: str,
    xlabel: str,
) -> dict[int, Figure]:
    """Draw each layer's null [layer, draw] as a histogram, and where the observed value falls.

    All images have one size and the same axes, so that one can flick through them.
    """
    lowest, highest = min(observed.min(), null.min()), max(observed.max(), null.max())
    margin = 0.04 * (highest - lowest) or 0.01
    bins = np.linspace(lowest - margin, highest + margin, 61)
    tallest = max(int(np.histogram(row, bins)[0].max()) for row in null)
    return {
        layer: _null_distribution(
            row, float(value), bins, tallest, title=title, subtitle=subtitle, xlabel=xlabel
        )
        for layer, row, value, title in zip(layers, null, observed, titles, strict=True)
    }


@styled
def _null_distribution(
    null: Array,
    observed: float,
    bins: Array,
    tallest: int,
    *,
    title: str,
    subtitle: str,
    xlabel: str,
) -> Figure:
    figure = Figure(figsize=(6.0, 3.6), dpi=100)
    # A fixed place for the axes: they would move with their labels otherwise.
    axes = figure.add_axes((0.11, 0.14, 0.86, 0.62))
    counts = np.histogram(null, bins)[0]
    axes.stairs(counts, bins, fill=True, color=GREY, alpha=0.6, label="null")
    axes.vlines(observed, 0, tallest * 1.04, color=ORANGE, linewidth=2, label="observed")
    axes.set_xlim(bins[0], bins[-1])
    axes.set_ylim(0, tallest * 1.22)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("draws of the null")
    axes.legend(loc="upper left", ncols=2)
    put_titles(axes, title, subtitle)
    return figure
