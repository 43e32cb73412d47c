"""Every matplotlib line: one palette, one style, figures that one would print."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

# Okabe and Ito (2008): told apart under every common form of colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4D4D4D",
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "interp",
}

Array = NDArray[np.float64]
P = ParamSpec("P")


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


@_styled
def similarity_over_layers(
    layers: tuple[int, ...],
    similarity: Array,
    null_mean: Array,
    null_low: Array,
    null_high: Array,
    significant: NDArray[np.bool_],
    *,
    title: str,
    subtitle: str,
    ylabel: str,
    xlabel: str,
    null_label: str,
    significant_label: str,
) -> Figure:
    """Draw one similarity a layer over the band of its null; significant layers are filled.

    The arrays are [layer]; the titles and labels are sentences of the caller's.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(
        layers, null_low, null_high, color=GREY, alpha=0.28, linewidth=0, label=null_label
    )
    axes.plot(layers, null_mean, color=GREY, linewidth=1, linestyle="--", label="mean of the null")
    axes.plot(layers, similarity, color=BLUE, linewidth=1.6, zorder=3)
    style = {"linestyle": "none", "marker": "o", "markersize": 6, "color": BLUE, "zorder": 4}
    at = np.array(layers)
    if significant.any():
        axes.plot(at[significant], similarity[significant], **style, label=significant_label)
    if not significant.all():
        axes.plot(
            at[~significant], similarity[~significant], **style, mfc="white", label="not significant"
        )
    if len(layers) == 1:
        # A single layer has no band to fill: the null is an error bar there.
        half = np.stack([null_mean - null_low, null_high - null_mean])
        axes.errorbar(layers, null_mean, yerr=half, color=GREY, capsize=4, linewidth=1)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=13))
    axes.margins(y=0.12)
    _titles(axes, title, subtitle)
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@_styled
def null_distribution(
    null: Array,
    observed: float,
    limits: tuple[float, float],
    tallest: float,
    *,
    title: str,
    subtitle: str,
    xlabel: str,
) -> Figure:
    """Draw the histogram of one layer's null [draw] and where the observed value falls.

    `limits` and `tallest` fix the axes, so that the images of all layers can be flicked through.
    """
    figure = Figure(figsize=(5.2, 3.4), dpi=110)
    axes = figure.add_axes((0.12, 0.16, 0.84, 0.64))
    axes.hist(null, bins=histogram_bins(limits), color=GREY, alpha=0.6, label="null")
    axes.axvline(observed, color=ORANGE, linewidth=2, label="observed")
    axes.set_xlim(*limits)
    axes.set_ylim(0, tallest * 1.12)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("draws of the null")
    axes.legend(loc="upper left")
    _titles(axes, title, subtitle)
    return figure


def histogram_bins(limits: tuple[float, float]) -> Array:
    """Return the edges that `null_distribution` counts in."""
    return np.linspace(*limits, 61)


def _titles(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(title, pad=22)
    axes.annotate(
        subtitle,
        xy=(0, 1),
        xytext=(0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color="#4D4D4D",
    )


def save(figure: Figure, path: Path) -> None:
    """Write the figure as `path`.png (200 dpi) and `path`.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(path.with_suffix(".png"), dpi=200)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return the figure as an RGB image [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
