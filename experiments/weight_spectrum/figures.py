"""Spectra of a model's weights, and maps of its heads."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from interp.plotting.heatmaps import Cells, draw_heatmap
from interp.plotting.labels import Labels
from interp.plotting.style import Array, put_titles, styled

from .composition import Composition
from .copying import Copying
from .decomposition import Decomposition
from .directions import DirectionScores


def readable_heatmaps(
    found: DirectionScores, decompositions: Sequence[Decomposition], model: str, alpha: float
) -> dict[str, Figure]:
    """Draw the share of readable directions of each head, one figure per circuit."""
    return {
        f"readable_{one.key}": _draw_heads(
            _cells(found.shares[one.name], "share of directions"),
            f"{one.name}: {found.shares[one.name].mean():.0%} of the leading directions are "
            "readable",
            f"{model} · {one.directions_per_matrix} directions per head; readable: top tokens more "
            f"similar than those of random directions (adjusted p < {alpha:g})",
        )
        for one in decompositions
        if one.has_heads
    }


def rank_heatmaps(
    decompositions: Sequence[Decomposition], random_ranks: Sequence[float], model: str
) -> dict[str, Figure]:
    """Draw the effective rank of each head, one figure per circuit."""
    return {
        f"{one.key}_effective_rank": _draw_heads(
            _cells(one.effective_rank, "effective rank"),
            f"Effective rank of each head's {one.name} circuit, of {one.values.shape[2]}",
            f"{model} · random factors {random:.1f}",
        )
        for one, random in zip(decompositions, random_ranks, strict=True)
        if one.has_heads
    }


def copying_heatmaps(
    found: Copying, words: str, model: str, title: str, alpha: float
) -> dict[str, Figure]:
    """Draw each head's copying score, its positive eigenvalues, and the words that it returns."""
    scores = replace(
        _cells(found.score, "copying score Σ Re λ / Σ |λ| of W_E W_OV W_U"),
        significant=found.p_adjusted < alpha,
        faint_label=f"p ≥ {alpha:g}, adjusted for all heads",
    )
    return {
        "copying": _draw_heads(
            scores,
            title,
            f"{model} · random factors {found.null_low:.2f} to {found.null_high:.2f} in 95%",
            signed=True,
        ),
        "positive_eigenvalues": _draw_heads(
            _cells(found.positive, "share of eigenvalues"),
            "Share of positive eigenvalues of each OV circuit in vocabulary space",
            f"{model} · half of them for a head that neither copies nor does the reverse",
        ),
        "words_returned": _draw_heads(
            _cells(found.returned, f"share of {words}"),
            f"Share of {words} that each head returns among its top {found.top} tokens",
            f"{model} · for another word of the list: {found.returned_for_others.max():.2f} at "
            "most",
        ),
    }


def composition_heatmaps(found: Sequence[Composition], model: str) -> dict[str, Figure]:
    """Draw each head's strongest composition with an earlier head, one figure per kind."""
    return {
        f"{one.kind.lower()}_composition": _draw_heads(
            _cells(one.strongest, "score above random"),
            f"{one.kind}-composition: each head's strongest with an earlier one",
            f"{model} · minus the score of random factors, {one.baseline:.3f} ± {one.spread:.3f}",
            signed=True,
        )
        for one in found
    }


def _cells(values: Array, label: str) -> Cells:
    """Return a value per head [layer, head] as a table; nan where a head has none."""
    n_layers, n_heads = values.shape
    rows = [f"layer {layer}" for layer in range(n_layers)]
    return Cells(rows, [str(head) for head in range(n_heads)], values, label)


def _draw_heads(cells: Cells, title: str, subtitle: str, *, signed: bool = False) -> Figure:
    return draw_heatmap(cells, Labels(title, subtitle, xlabel="head"), signed=signed)


@styled
def spectra_over_layers(decompositions: Sequence[Decomposition], model: str) -> Figure:
    """Draw the singular values of every kind of matrix, one panel per kind, one line per layer.

    Values are averaged over heads and relative to the largest of their layer.
    """
    width = 2.5 * len(decompositions) + 1.2
    figure = Figure(figsize=(width, 3.6), layout="constrained")
    grid = figure.subplots(1, len(decompositions), sharey=True, squeeze=False)[0]
    n_layers = max(len(one.values) for one in decompositions)
    # From dark to light: the order of the layers is visible, in grey print too.
    colours = colormaps["viridis"](np.linspace(0, 0.92, max(n_layers, 2)))
    for axes, one in zip(grid, decompositions, strict=True):
        component = np.arange(1, one.values.shape[2] + 1)
        for layer, values in enumerate(one.values.mean(1)):
            axes.plot(component, values / values[0], color=colours[layer], linewidth=1.2)
        axes.set_xlabel(f"component of {one.name}")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0].set_ylabel("singular value, relative to the largest")
    scale = ScalarMappable(Normalize(0, max(n_layers - 1, 1)), ListedColormap(colours))
    bar = figure.colorbar(scale, ax=list(grid), label="layer", pad=0.01)
    bar.locator = MaxNLocator(integer=True)
    bar.outline.set_visible(False)
    put_titles(
        grid[0],
        "Singular values of a model's weights, layer by layer",
        f"{model} · relative to the largest, heads averaged",
        0.92 * width,
    )
    return figure
