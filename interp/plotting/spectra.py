"""Spectra beside the band of random draws, singular vectors, and the vocabulary along one."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from interp.plotting.style import BLUE, GREY, ORANGE, Array, cut, put_titles, styled

# So many words can be read below one another.
_MOST_WORDS = 60


@dataclass(frozen=True, eq=False)
class SpectrumBand:
    """One form of a spectrum beside that of random draws, [component] each.

    Attributes:
        ylabel: which form.
        values: the spectrum.
        null_mean: the mean of the draws.
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
    """Draw a spectrum in several forms side by side, each over the band of random draws."""
    wide = 3.0 * len(panels) + 0.4
    figure = Figure(figsize=(wide, 4.0), layout="constrained")
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
    put_titles(grid[0], title, subtitle, 0.92 * wide)
    figure.legend(
        [line, band, mean],
        [name, band_label, "their mean"],
        loc="outside lower center",
        ncols=3,
    )
    return figure


@styled
def spectra_over_layers(
    spectra: Mapping[str, Array],
    *,
    title: str,
    subtitle: str,
) -> Figure:
    """Draw the spectra of several kinds of matrices, a panel a kind and a line a layer.

    Args:
        spectra: [layer, component] each, drawn relative to the largest value of a layer.
        title: what is shown.
        subtitle: of what.
    """
    wide = 2.5 * len(spectra) + 1.2
    figure = Figure(figsize=(wide, 3.6), layout="constrained")
    grid = figure.subplots(1, len(spectra), sharey=True, squeeze=False)[0]
    n_layers = max(len(values) for values in spectra.values())
    # From dark to light, so that the order of the layers can be seen; told apart in grey too.
    colours = colormaps["viridis"](np.linspace(0, 0.92, max(n_layers, 2)))
    for axes, (name, values) in zip(grid, spectra.items(), strict=True):
        component = np.arange(1, values.shape[1] + 1)
        for layer, s in enumerate(values):
            axes.plot(component, s / s[0], color=colours[layer], linewidth=1.2)
        axes.set_xlabel(f"component of {name}")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0].set_ylabel("singular value, relative to the largest")
    scale = ScalarMappable(Normalize(0, max(n_layers - 1, 1)), ListedColormap(colours))
    bar = figure.colorbar(scale, ax=list(grid), label="layer", pad=0.01)
    bar.locator = MaxNLocator(integer=True)
    bar.outline.set_visible(False)
    put_titles(grid[0], title, subtitle, 0.92 * wide)
    return figure


@styled
def singular_vectors(sets: Mapping[str, Array], count: int, *, title: str, subtitle: str) -> Figure:
    """Draw the leading right singular vectors of several sets over the embedding's dimensions.

    Args:
        sets: the vectors of each, [vector, d].
        count: how many of them, a row each; a column a set.
        title: what is shown.
        subtitle: of what.
    """
    figure = Figure(figsize=(4.1 * len(sets) + 0.3, 1.35 * count + 1.2), layout="constrained")
    grid = figure.subplots(count, len(sets), sharex=True, sharey=True, squeeze=False)
    for column, (name, vectors) in enumerate(sets.items()):
        colour = BLUE if column == 0 else GREY
        for row in range(count):
            axes = grid[row, column]
            axes.vlines(np.arange(vectors.shape[1]), 0, vectors[row], color=colour, linewidth=0.5)
            axes.axhline(0, color="#4D4D4D", linewidth=0.5)
            axes.annotate(
                f"{name}, vector {row + 1}",
                xy=(0, 1),
                xytext=(2, -3),
                xycoords="axes fraction",
                textcoords="offset points",
                va="top",
                fontsize=8,
            )
        grid[-1, column].set_xlabel("dimension of the embedding")
    largest = max(np.abs(vectors[:count]).max() for vectors in sets.values())
    # The names stand above what is drawn.
    grid[0, 0].set_ylim(-1.1 * largest, 1.5 * largest)
    grid[count // 2, 0].set_ylabel("loading")
    put_titles(grid[0, 0], title, subtitle, figure.get_figwidth() * 0.9)
    return figure


@styled
def vocabulary_projection(
    projections: Array,
    of_words: Array,
    low: Sequence[str],
    high: Sequence[str],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    words_label: str,
) -> Figure:
    """Draw where the whole vocabulary lies along a direction, and what lies at its ends.

    Args:
        projections: of the vocabulary, [id].
        of_words: of the words that the direction was found from, [word].
        low: the tokens at the lower end, the lowest first.
        high: those at the upper end, the highest first.
        title: what is shown.
        subtitle: of what.
        xlabel: what projections are.
        words_label: what the words are called.
    """
    wide = 7.6
    figure = Figure(figsize=(wide, 5.0), layout="constrained")
    left, axes, right = figure.subplots(1, 3, width_ratios=(1, 4, 1))
    everything = np.concatenate([projections, of_words])
    bins = np.linspace(everything.min(), everything.max(), 81)
    axes.hist(projections, bins, color=GREY, alpha=0.7, label="all tokens")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.plot(
        of_words,
        np.full(len(of_words), 0.03),
        linestyle="none",
        marker="|",
        markersize=11,
        markeredgewidth=1.2,
        color=ORANGE,
        transform=axes.get_xaxis_transform(),
        label=words_label,
    )
    axes.set_xlabel(textwrap.fill(xlabel, 60))
    axes.set_ylabel("tokens")
    for beside, tokens, heading in ((left, low, "lowest"), (right, high, "highest")):
        beside.set_axis_off()
        beside.set_title(heading, fontsize=8, fontweight="normal", pad=4, loc="center")
        shown = [cut(token, 16) for token in tokens[:_MOST_WORDS]]
        for row, token in enumerate(shown):
            y = 1 - (row + 0.5) / max(len(shown), 20)
            beside.text(0.5, y, token, ha="center", va="center", fontsize=8)
        beside.set(xlim=(0, 1), ylim=(0, 1))
    figure.suptitle(
        textwrap.fill(title, int(10.6 * wide)), x=0.01, ha="left", fontsize=10, fontweight="bold"
    )
    axes.set_title(
        textwrap.fill(subtitle, 80),
        fontsize=8,
        fontweight="normal",
        color="#4D4D4D",
        loc="center",
    )
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def correlation_matrix(
    names: Sequence[str], values: Array, *, title: str, subtitle: str, label: str
) -> Figure:
    """Draw the absolute correlation of every two of some embeddings, [n, n]."""
    n = len(names)
    side = float(np.clip(0.2 * n, 3.6, 9.0))
    figure = Figure(figsize=(side + 1.6, side + 1.1), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=False)
    # The diagonal is 1, whatever the rest.
    largest = values[~np.eye(n, dtype=bool)].max()
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=largest)
    bar = figure.colorbar(image, ax=axes, label=label, shrink=0.8, extend="max")
    bar.outline.set_visible(False)
    step = -(-n // _MOST_WORDS)
    shown = [cut(name, 14) for name in names[::step]]
    axes.set_xticks(range(0, n, step), shown, rotation=90, fontsize=7)
    axes.set_yticks(range(0, n, step), shown, fontsize=7)
    axes.tick_params(length=0)
    put_titles(axes, title, subtitle, side)
    return figure


@styled
def embedding_pair(
    x: Array, y: Array, *, names: tuple[str, str], title: str, subtitle: str
) -> Figure:
    """Draw two embeddings against each other, a point a dimension, [d] each."""
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(x, y, s=9, color=BLUE, alpha=0.6, linewidths=0)
    slope, offset = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, slope * ends + offset, color=ORANGE, linewidth=1.4, label="least squares")
    axes.set_xlabel(f"“{names[0]}”, a point a dimension")
    axes.set_ylabel(f"“{names[1]}”")
    put_titles(axes, title, subtitle, 4.8)
    figure.legend(loc="outside lower center")
    return figure
