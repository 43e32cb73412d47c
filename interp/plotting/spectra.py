"""Spectra compared with the band of random ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from interp.plotting.style import BLUE, GREY, Array, put_titles, styled


@dataclass(frozen=True, eq=False)
class SpectrumBand:
    """One form of a spectrum and the band of random spectra; arrays are [component].

    Attributes:
        ylabel: the form, as on an axis.
        values: the spectrum.
        null_mean: the mean of the random spectra.
        null_low: their 2.5th percentile.
        null_high: their 97.5th percentile.
    """

    ylabel: str
    values: Array
    null_mean: Array
    null_low: Array
    null_high: Array


@styled
def spectra(
    name: str, panels: Sequence[SpectrumBand], *, title: str, subtitle: str, band_label: str
) -> Figure:
    """Draw a spectrum in several forms side by side, each with the band of random spectra.

    Args:
        name: of the spectrum, in the legend.
        panels: its forms.
        title: what is shown.
        subtitle: of which model and data.
        band_label: what the band is.
    """
    width = 3.0 * len(panels) + 0.4
    figure = Figure(figsize=(width, 4.0), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        component = np.arange(1, len(panel.values) + 1)
        band = axes.fill_between(
            component, panel.null_low, panel.null_high, color=GREY, alpha=0.28, linewidth=0
        )
        (mean,) = axes.plot(component, panel.null_mean, color=GREY, linewidth=1.2, linestyle="--")
        (line,) = axes.plot(
            component, panel.values, color=BLUE, linewidth=1.6, marker="o", markersize=3.5
        )
        axes.set_xlabel("component")
        axes.set_ylabel(panel.ylabel)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    put_titles(grid[0], title, subtitle, 0.92 * width)
    figure.legend(
        [line, band, mean],
        [name, band_label, "their mean"],
        loc="outside lower center",
        ncols=3,
    )
    return figure
