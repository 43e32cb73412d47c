"""The Fourier basis, the power of matrices by frequency, and singular vectors over the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.plotting.sheets import legend_columns, name_panel, place, put_legend, sheet
from interp.plotting.style import BLUE, GREY, Array, styled

from .frequency_figures import bars, component_ticks, key_handles, label_keys

# Inches left of, right of, above and below panels.
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.85, 0.15, 0.3, 0.55
_DARK = "#4D4D4D"


@dataclass(frozen=True, eq=False)
class FourierBasis:
    """An orthonormal Fourier basis.

    Attributes:
        rows: [component, number]: the constant, then the cosine and the sine of each frequency.
        names: the name of each component.
        xlabel: what the numbers are.
        label: the quantity.
    """

    rows: Array
    names: Sequence[str]
    xlabel: str
    label: str


@styled
def basis_figure(basis: FourierBasis, *, title: str, subtitle: str) -> Figure:
    """Draw the first and the last rows of a basis as curves, and right of them all rows."""
    n = len(basis.rows)
    shown = sorted({*range(min(5, n)), n - 2, n - 1})
    panel, step, curves = 0.42, 0.68, 3.0
    side = len(shown) * step - _ABOVE + 0.04
    image_x = _LEFT + curves + 0.95
    tall = _BELOW + len(shown) * step
    figure = sheet(image_x + side + 0.95, tall, title, subtitle)
    highest = 1.12 * float(np.abs(basis.rows[shown]).max())
    for number, row in enumerate(shown):
        axes = place(figure, _LEFT, tall - number * step - _ABOVE - panel, curves, panel)
        _curve(axes, basis.rows[row], highest)
        axes.yaxis.set_major_locator(MaxNLocator(2, symmetric=True))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelsize=7, labelbottom=row == shown[-1])
        name_panel(axes, basis.names[row], curves)
        if number == len(shown) // 2:
            axes.set_ylabel(basis.label)
    axes.set_xlabel(basis.xlabel)

    axes = place(figure, image_x, tall - _ABOVE - side, side, side)
    _draw_all_components(axes, basis)
    name_panel(axes, f"all {n} components", side)
    scale = place(figure, image_x + side + 0.1, tall - _ABOVE - side, 0.1, side)
    bar = figure.colorbar(axes.images[0], cax=scale)
    bar.set_label(basis.label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2)
    return figure


def _curve(axes: Axes, values: Array, highest: float) -> None:
    """Draw values over the numbers around a line at 0."""
    n = len(values)
    # A line alone does not show where a few numbers lie.
    marker = "o" if n <= 32 else ""
    axes.axhline(0, color=_DARK, linewidth=0.5)
    axes.plot(np.arange(n), values, color=BLUE, linewidth=1, marker=marker, markersize=3)
    axes.set(xlim=(-0.015 * n, 1.015 * n - 1), ylim=(-highest, highest))


def _draw_all_components(axes: Axes, basis: FourierBasis) -> None:
    axes.grid(visible=False)
    furthest = float(np.abs(basis.rows).max())
    axes.imshow(
        basis.rows,
        cmap="PuOr",
        vmin=-furthest,
        vmax=furthest,
        aspect="auto",
        interpolation="nearest",
    )
    places = component_ticks(len(basis.rows), 10)[0]
    axes.set_yticks(places, [basis.names[i] for i in places])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=8)
    axes.set_xlabel(basis.xlabel)


@dataclass(frozen=True, eq=False)
class PowerSpectrum:
    """The power of a matrix by frequency.

    Attributes:
        label: the name of the matrix.
        shares: of the power of all frequencies, [frequency], from 1 on.
        threshold: the largest share expected by chance; nan where that is not known.
        keys: the key frequencies.
    """

    label: str
    shares: Array
    threshold: float
    keys: tuple[int, ...]


@styled
def power_spectra(
    panels: Sequence[PowerSpectrum], *, title: str, subtitle: str, null_label: str = ""
) -> Figure:
    """Draw the power of several matrices by frequency below one another.

    Where more key frequencies lie together than can be labelled, those with most power are.
    `null_label` explains the threshold.
    """
    wide, height, step = 7.4, 1.35, 1.35 + _ABOVE + 0.05
    count = len(panels[0].shares)
    handles = key_handles([panel.keys for panel in panels], count)
    if any(np.isfinite(panel.threshold) for panel in panels):
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=null_label))
    handles.append(Line2D([], [], color=_DARK, linestyle=":", label=f"even share, 1/{count}"))
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    tall = foot + _BELOW + len(panels) * step
    figure = sheet(wide, tall, title, subtitle)
    inner = wide - _LEFT - _RIGHT
    for number, panel in enumerate(panels):
        axes = place(figure, _LEFT, tall - number * step - _ABOVE - height, inner, height)
        if np.isfinite(panel.threshold):
            axes.axhline(panel.threshold, color=GREY, linewidth=1.2, linestyle="--")
        axes.axhline(1 / count, color=_DARK, linewidth=1.2, linestyle=":")
        bars(axes, panel.shares, panel.keys)
        highest = float(np.nanmax([panel.threshold, 1 / count]))
        label_keys(axes, panel.shares, panel.keys, (inner, height), highest)
        axes.tick_params(labelbottom=number == len(panels) - 1)
        name_panel(axes, panel.label, inner)
        if number == (len(panels) - 1) // 2:
            axes.set_ylabel("share of power")
    axes.set_xlabel("frequency")
    put_legend(figure, handles, columns, _LEFT)
    return figure


@dataclass(frozen=True, eq=False)
class VectorsOverNumbers:
    """Singular vectors whose entries belong to numbers.

    Attributes:
        vectors: one vector per column, [number, vector].
        shares: of each vector's power by frequency, [frequency, vector], from 1 on.
        dominant: the frequency with the largest share, 0 where a vector does not vary; [vector].
        names: the name of each vector.
        xlabel: what the numbers are.
        ylabel: what the entries are.
    """

    vectors: Array
    shares: Array
    dominant: NDArray[np.intp]
    names: Sequence[str]
    xlabel: str
    ylabel: str


@styled
def singular_vectors_over_numbers(
    shown: VectorsOverNumbers, *, title: str, subtitle: str
) -> Figure:
    """Draw singular vectors over the numbers, and right of each its power by frequency."""
    k = shown.vectors.shape[1]
    height, step, curves, beside, gap = 0.72, 0.72 + _ABOVE, 4.0, 2.6, 0.75
    tall = _BELOW + k * step
    figure = sheet(_LEFT + curves + gap + beside + _RIGHT, tall, title, subtitle)
    furthest = 1.1 * (float(np.abs(shown.vectors).max()) or 1.0)
    # One scale for all vectors, with room for a label above the largest.
    highest = float(shown.shares.max()) or 1.0
    for i in range(k):
        y = tall - (i + 1) * step
        left = place(figure, _LEFT, y, curves, height)
        _curve(left, shown.vectors[:, i], furthest)
        left.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        left.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
        name_panel(left, shown.names[i], curves)
        right = place(figure, _LEFT + curves + gap, y, beside, height)
        shares = shown.shares[:, i]
        keys = [int(shown.dominant[i])] if shown.dominant[i] else []
        share = f"{shares[keys[0] - 1]:.0%} at frequency {keys[0]}" if keys else "no power"
        name_panel(right, share, beside)
        bars(right, shares, keys)
        label_keys(right, shares, keys, (beside, height), highest)
        right.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        for axes in (left, right):
            axes.tick_params(labelsize=8, labelbottom=i == k - 1)
        if i == (k - 1) // 2:
            left.set_ylabel(shown.ylabel)
            right.set_ylabel("power (share)")
    left.set_xlabel(shown.xlabel)
    right.set_xlabel("frequency")
    return figure
