"""The words' spectrum, singular vectors and correlations, and the vocabulary along one of them."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from interp import plotting
from interp.plotting import SpectrumBand
from interp.plotting.style import BLUE, GREY, ORANGE, cut, put_titles, styled

from .extreme_tokens import KindTest
from .findings import Findings

# As many words can be read below one another.
_MOST_WORDS = 60

# Leading singular vectors that are drawn.
_DRAWN_VECTORS = 3


def spectrum_figures(
    found: Findings, bands: Sequence[SpectrumBand], title: str
) -> dict[str, Figure]:
    """Draw all figures.

    Args:
        found: what was measured.
        bands: the spectrum in several forms.
        title: whether the words span fewer dimensions than random tokens.
    """
    words, points = found.words, found.spectrum.points
    pooled = f", {found.pooling} of their tokens" * (len(words.ids) > len(words.texts))
    subtitle = (
        f"{found.model} · {found.matrix} · {len(points)} words{pooled}, "
        f"{points.shape[1]} dimensions"
    )
    return {
        "spectrum": plotting.spectra(
            found.name,
            bands,
            title=title,
            subtitle=subtitle,
            band_label=f"95% of {found.n_random} sets of {found.random_name}",
        ),
        "vectors": singular_vectors(found, subtitle),
        "projection": vocabulary_projection(found, subtitle),
        "correlations": correlation_matrix(found, subtitle),
        "pair": embedding_pair(found, subtitle),
    }


@styled
def singular_vectors(found: Findings, subtitle: str) -> Figure:
    """Draw the leading right singular vectors of the words and of one random set.

    One row per vector over the embedding's dimensions, one column per set.
    """
    count = _DRAWN_VECTORS
    sets = {found.name: found.spectrum.axes, found.random_name: found.random_axes}
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
    title = f"Leading singular vectors of {found.name} and of one set of random tokens"
    put_titles(grid[0, 0], title, subtitle, figure.get_figwidth() * 0.9)
    return figure


@styled
def vocabulary_projection(found: Findings, subtitle: str) -> Figure:
    """Draw where the whole vocabulary lies along a singular vector, and the tokens at its ends."""
    extremes = found.extremes
    projections = extremes.projections[found.is_word]
    width = 7.6
    figure = Figure(figsize=(width, 5.0), layout="constrained")
    left, axes, right = figure.subplots(1, 3, width_ratios=(1, 4, 1))
    everything = np.concatenate([projections, extremes.of_words])
    bins = np.linspace(everything.min(), everything.max(), 81)
    axes.hist(projections, bins, color=GREY, alpha=0.7, label="all tokens")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.plot(
        extremes.of_words,
        np.full(len(extremes.of_words), 0.03),
        linestyle="none",
        marker="|",
        markersize=11,
        markeredgewidth=1.2,
        color=ORANGE,
        transform=axes.get_xaxis_transform(),
        label=found.name,
    )
    xlabel = f"projection on singular vector {found.component}, around the mean of {found.name}"
    axes.set_xlabel(textwrap.fill(xlabel, 60))
    axes.set_ylabel("tokens")
    _list_tokens(left, extremes.low_labels, "lowest")
    _list_tokens(right, extremes.high_labels, "highest")
    title = f"Tokens at the ends of component {found.component} of {found.name}"
    title += _kind_clause(extremes.kind_test, found)
    figure.suptitle(
        textwrap.fill(title, int(10.6 * width)), x=0.01, ha="left", fontsize=10, fontweight="bold"
    )
    axes.set_title(
        textwrap.fill(f"{subtitle} · the whole vocabulary; lists without the words", 80),
        fontsize=8,
        fontweight="normal",
        color="#4D4D4D",
        loc="center",
    )
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _list_tokens(axes: Axes, tokens: Sequence[str], heading: str) -> None:
    """Write tokens below one another."""
    axes.set_axis_off()
    axes.set_title(heading, fontsize=8, fontweight="normal", pad=4, loc="center")
    shown = [cut(token, 16) for token in tokens[:_MOST_WORDS]]
    for row, token in enumerate(shown):
        y = 1 - (row + 0.5) / max(len(shown), 20)
        axes.text(0.5, y, token, ha="center", va="center", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _kind_clause(test: KindTest, found: Findings) -> str:
    """Return whether more tokens than by chance are of the words' own kind."""
    if not test.kind or not found.is_decidable:
        return ""
    return f": {'more' if test.p < found.alpha else 'no more'} {test.kind} than by chance"


@styled
def correlation_matrix(found: Findings, subtitle: str) -> Figure:
    """Draw the absolute correlation of every two words' embeddings, [word, word]."""
    spectrum, names = found.spectrum, found.words.texts
    n = len(names)
    side = float(np.clip(0.2 * n, 3.6, 9.0))
    figure = Figure(figsize=(side + 1.6, side + 1.1), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=False)
    # The diagonal is 1 and would hide the rest.
    largest = spectrum.correlations[~np.eye(n, dtype=bool)].max()
    image = axes.imshow(spectrum.correlations, cmap="cividis", vmin=0, vmax=largest)
    label = "absolute correlation |r| of two embeddings"
    bar = figure.colorbar(image, ax=axes, label=label, shrink=0.8, extend="max")
    bar.outline.set_visible(False)
    step = -(-n // _MOST_WORDS)
    shown = [cut(name, 14) for name in names[::step]]
    axes.set_xticks(range(0, n, step), shown, rotation=90, fontsize=7)
    axes.set_yticks(range(0, n, step), shown, fontsize=7)
    axes.tick_params(length=0)
    title = (
        f"{found.name}: mean |r| {spectrum.mean_correlation:.2f}, {found.random_name} "
        f"{spectrum.more_correlated.null_mean[0]:.2f}"
    )
    put_titles(axes, title, subtitle, side)
    return figure


@styled
def embedding_pair(found: Findings, subtitle: str) -> Figure:
    """Draw the embeddings of two words against each other, one point per dimension."""
    points, texts = found.spectrum.points, found.words.texts
    first, second = found.pair
    x, y = points[texts.index(first)], points[texts.index(second)]
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(x, y, s=9, color=BLUE, alpha=0.6, linewidths=0)
    slope, offset = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, slope * ends + offset, color=ORANGE, linewidth=1.4, label="least squares")
    axes.set_xlabel(f"“{first}”, one point per dimension")
    axes.set_ylabel(f"“{second}”")
    low, high = np.quantile(found.spectrum.random.correlations, [0.025, 0.975])
    title = f"“{first}” and “{second}” have a correlation of {np.corrcoef(x, y)[0, 1]:.2f}"
    subtitle = f"{subtitle} · pairs of {found.random_name}: {low:.2f} to {high:.2f} in 95%"
    put_titles(axes, title, subtitle, 4.8)
    figure.legend(loc="outside lower center")
    return figure
