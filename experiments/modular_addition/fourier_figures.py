"""Fourier analysis over the numbers: the basis, power by frequency, vectors, neurons, waves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.plotting.grids import (
    component_ticks,
    legend_columns,
    name_panel,
    place,
    put_legend,
    sheet,
)
from interp.plotting.style import BLUE, GREY, Array, styled

from .key_frequency_figures import bars, key_handles, name_keys, stems

# Inches: what stands beside, above and below panels.
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.85, 0.15, 0.3, 0.55


@styled
def fourier_basis(
    basis: Array, names: Sequence[str], *, title: str, subtitle: str, xlabel: str, label: str
) -> Figure:
    """Draw the first and the last rows of a Fourier basis as curves, beside the whole of it.

    Args:
        basis: [component, number], the constant, then the cosine and the sine of each frequency.
        names: of the components.
        title: what is shown.
        subtitle: of what.
        xlabel: what the numbers are.
        label: what the values are.
    """
    n = len(basis)
    shown = sorted({*range(min(5, n)), n - 2, n - 1})
    panel, step, curves = 0.42, 0.68, 3.0
    side = len(shown) * step - _ABOVE + 0.04
    image_x = _LEFT + curves + 0.95
    tall = _BELOW + len(shown) * step
    figure = sheet(image_x + side + 0.95, tall, title, subtitle)
    highest = 1.12 * float(np.abs(basis[shown]).max())
    for number, row in enumerate(shown):
        axes = place(figure, _LEFT, tall - number * step - _ABOVE - panel, curves, panel)
        axes.axhline(0, color="#4D4D4D", linewidth=0.5)
        axes.plot(np.arange(n), basis[row], color=BLUE, linewidth=1, marker=_dots(n), markersize=3)
        axes.set(xlim=(-0.015 * n, 1.015 * n - 1), ylim=(-highest, highest))
        axes.yaxis.set_major_locator(MaxNLocator(2, symmetric=True))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelsize=7, labelbottom=row == shown[-1])
        name_panel(axes, names[row], curves)
        if number == len(shown) // 2:
            axes.set_ylabel(label)
    axes.set_xlabel(xlabel)

    axes = place(figure, image_x, tall - _ABOVE - side, side, side)
    axes.grid(visible=False)
    furthest = float(np.abs(basis).max())
    image = axes.imshow(
        basis, cmap="PuOr", vmin=-furthest, vmax=furthest, aspect="auto", interpolation="nearest"
    )
    places = component_ticks(n, 10)[0]
    axes.set_yticks(places, [names[i] for i in places])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=8)
    axes.set_xlabel(xlabel)
    name_panel(axes, f"all {n} components", side)
    bar = figure.colorbar(
        image, cax=place(figure, image_x + side + 0.1, tall - _ABOVE - side, 0.1, side)
    )
    bar.set_label(label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2)
    return figure


@dataclass(frozen=True, eq=False)
class PowerSpectrum:
    """The power of a matrix by frequency.

    Attributes:
        label: which matrix.
        shares: of the power of all frequencies, [frequency], from 1 on.
        threshold: what chance alone would give the largest; nan where that is not known.
        keys: the key frequencies.
    """

    label: str
    shares: Array
    threshold: float
    keys: tuple[int, ...]


@styled
def power_spectra(
    panels: Sequence[PowerSpectrum],
    *,
    title: str,
    subtitle: str,
    ylabel: str,
    null_label: str,
) -> Figure:
    """Draw the power of several matrices by frequency below one another, their keys named.

    Where more keys lie together than can be named, those with most power are.
    """
    wide, height, step = 7.4, 1.35, 1.35 + _ABOVE + 0.05
    count = len(panels[0].shares)
    handles = key_handles(
        any(panel.keys for panel in panels), any(len(p.keys) < count for p in panels)
    )
    if any(np.isfinite(panel.threshold) for panel in panels):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=null_label))
    handles.append(Line2D([], [], color="#4D4D4D", linestyle=":", label=f"even share, 1/{count}"))
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    tall = foot + _BELOW + len(panels) * step
    figure = sheet(wide, tall, title, subtitle)
    inner = wide - _LEFT - _RIGHT
    for number, panel in enumerate(panels):
        axes = place(figure, _LEFT, tall - number * step - _ABOVE - height, inner, height)
        if np.isfinite(panel.threshold):
            axes.axhline(panel.threshold, color=GREY, linewidth=1.2, linestyle="--")
        axes.axhline(1 / count, color="#4D4D4D", linewidth=1.2, linestyle=":")
        drawn = np.array([panel.threshold, 1 / count])
        bars(axes, panel.shares, panel.keys)
        name_keys(axes, panel.shares, panel.keys, (inner, height), float(np.nanmax(drawn)))
        axes.tick_params(labelbottom=number == len(panels) - 1)
        name_panel(axes, panel.label, inner)
        if number == (len(panels) - 1) // 2:
            axes.set_ylabel(ylabel)
    axes.set_xlabel("frequency")
    put_legend(figure, handles, columns, _LEFT)
    return figure


@styled
def singular_vectors_over_numbers(
    vectors: Array,
    spectra: Array,
    dominant: NDArray[np.intp],
    names: Sequence[str],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Draw singular vectors over the numbers, each beside its power by frequency.

    Args:
        vectors: a column a vector, [number, vector].
        spectra: shares of power, [frequency, vector].
        dominant: the frequency of each that is named, 0 where there is none.
        names: of the vectors.
        title: what is shown.
        subtitle: of what.
        xlabel: what the numbers are.
        ylabel: what a vector's values are.
    """
    n, k = vectors.shape
    height, step, curves, beside, gap = 0.72, 0.72 + _ABOVE, 4.0, 2.6, 0.75
    wide = _LEFT + curves + gap + beside + _RIGHT
    tall = _BELOW + k * step
    figure = sheet(wide, tall, title, subtitle)
    furthest = (float(np.abs(vectors).max()) or 1.0) * 1.1
    # One scale, with room for a name above the largest.
    highest = float(spectra.max()) or 1.0
    for i in range(k):
        y = tall - (i + 1) * step
        left = place(figure, _LEFT, y, curves, height)
        left.axhline(0, color="#4D4D4D", linewidth=0.5)
        left.plot(np.arange(n), vectors[:, i], color=BLUE, lw=1, marker=_dots(n), markersize=3)
        left.set(xlim=(-0.015 * n, 1.015 * n - 1), ylim=(-furthest, furthest))
        left.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        left.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
        name_panel(left, names[i], curves)
        right = place(figure, _LEFT + curves + gap, y, beside, height)
        keys = [int(dominant[i])] if dominant[i] else []
        share = f"{spectra[keys[0] - 1, i]:.0%} at frequency {keys[0]}" if keys else "no power"
        name_panel(right, share, beside)
        bars(right, spectra[:, i], keys)
        name_keys(right, spectra[:, i], keys, (beside, height), highest)
        right.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        for axes in (left, right):
            axes.tick_params(labelsize=8, labelbottom=i == k - 1)
        if i == (k - 1) // 2:
            left.set_ylabel(ylabel)
            right.set_ylabel("power (share)")
    left.set_xlabel(xlabel)
    right.set_xlabel("frequency")
    return figure


@styled
def neuron_fractions(
    frequency: NDArray[np.intp],
    explained: Array,
    null: Array,
    threshold: float,
    keys: Collection[int],
    *,
    n_frequencies: int,
    title: str,
    subtitle: str,
    xlabel: str,
    null_label: str,
) -> Figure:
    """Draw how much of neurons one frequency explains, and which frequencies they follow.

    Args:
        frequency: the one that explains most of each neuron, [neuron].
        explained: how much it explains, between 0 and 1, [neuron].
        null: what the best explains by chance, any number of values.
        threshold: from which fraction on a neuron counts on the right.
        keys: the key frequencies.
        n_frequencies: the largest frequency.
        title: what is shown.
        subtitle: of what.
        xlabel: what the fraction is of.
        null_label: what the null is.
    """
    followed = frequency[explained >= threshold]
    counts = np.bincount(followed, minlength=n_frequencies + 1)[1:].astype(np.float64)
    height, left_wide, right_wide, gap = 2.6, 3.3, 4.2, 0.75
    wide = _LEFT + left_wide + gap + right_wide + _RIGHT
    handles: list[Line2D | Patch] = [
        Patch(facecolor=GREY, alpha=0.55, label=null_label),
        Line2D([], [], color=BLUE, label=f"neurons ({len(explained)})"),
        Line2D([], [], color="black", linestyle="--", label=f"fraction {threshold:g}"),
        *key_handles(len(keys) > 0, len(keys) < n_frequencies),
    ]
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    tall = foot + _BELOW + height + _ABOVE
    figure = sheet(wide, tall, title, subtitle)
    y = foot + _BELOW

    axes = place(figure, _LEFT, y, left_wide, height)
    bins = np.linspace(0, 1, 41)
    # What is more than 1 by rounding alone is counted too.
    by_chance, found = (
        np.histogram(values.clip(0, 1), bins)[0] / max(values.size, 1)
        for values in (null, explained)
    )
    axes.stairs(by_chance, bins, fill=True, color=GREY, alpha=0.55)
    axes.stairs(found, bins, color=BLUE, linewidth=1.6)
    axes.axvline(threshold, color="black", linewidth=1.2, linestyle="--")
    axes.set(xlim=(-0.01, 1.01))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("share of neurons")
    name_panel(axes, "how much one frequency explains", left_wide)

    axes = place(figure, _LEFT + left_wide + gap, y, right_wide, height)
    bars(axes, counts, keys)
    name_keys(axes, counts, keys, (right_wide, height), 0)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("frequency")
    axes.set_ylabel(f"neurons with a fraction ≥ {threshold:g}")
    name_panel(axes, "which frequency that is", right_wide)
    put_legend(figure, handles, columns, _LEFT)
    return figure


@styled
def wave_coefficients(
    coefficients: Array,
    explained: Array,
    keys: Collection[int],
    *,
    title: str,
    subtitle: str,
    coefficient_label: str,
    explained_label: str,
) -> Figure:
    """Draw the coefficient of each frequency's wave, and below how much it explains.

    Args:
        coefficients: [frequency], from 1 on.
        explained: [frequency].
        keys: the key frequencies.
        title: what is shown.
        subtitle: of what.
        coefficient_label: what the coefficients are of.
        explained_label: what the fractions are of.
    """
    wide, heights, between = 7.4, (2.0, 1.2), _ABOVE + 0.05
    handles = key_handles(len(keys) > 0, len(keys) < len(coefficients))
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    tall = foot + _BELOW + sum(heights) + between + _ABOVE
    figure = sheet(wide, tall, title, subtitle)
    inner = wide - _LEFT - _RIGHT
    above = place(figure, _LEFT, tall - _ABOVE - heights[0], inner, heights[0])
    stems(above, coefficients, keys)
    name_keys(above, coefficients, keys, (inner, heights[0]), 0)
    above.axhline(0, color="#4D4D4D", linewidth=0.8)
    above.tick_params(labelbottom=False)
    name_panel(above, coefficient_label, inner)
    above.set_ylabel("coefficient")
    below = place(figure, _LEFT, foot + _BELOW, inner, heights[1])
    bars(below, explained, keys)
    name_keys(below, explained, keys, (inner, heights[1]), 0)
    name_panel(below, explained_label, inner)
    below.set_ylabel("fraction")
    below.set_xlabel("frequency")
    put_legend(figure, handles, columns, _LEFT)
    return figure


def _dots(n: int) -> str:
    """Return the marker of numbers: where they are few, no line says where they are."""
    return "o" if n <= 32 else ""
