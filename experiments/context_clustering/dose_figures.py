"""Curves over doses, a panel a layer, with their intervals."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from interp.plotting.style import GREY, Array, cut, mark, put_titles, styled, title_height

_MOST_PANELS = 12
# How far apart the curves stand at one dose, so that their intervals do not cover each other.
_APART = 0.16


@dataclass(frozen=True, eq=False)
class DoseCurve:
    """One curve over the columns of every panel, with its intervals.

    Attributes:
        label: what it is.
        values: [layer, column], nan where it has no value.
        low: the lower limits, [layer, column].
        high: the upper limits, [layer, column].
        hollow: which of its points are drawn as rings, [layer, column].
        colour: the number of its colour and marker.
        joined: whether its points are joined by a line.
    """

    label: str
    values: Array
    low: Array
    high: Array
    hollow: NDArray[np.bool_]
    colour: int
    joined: bool = True


@dataclass(frozen=True, eq=False)
class DoseBand:
    """A grey band behind the curves of every panel, [layer, column]; nan where there is none."""

    label: str
    low: Array
    high: Array


@styled
def dose_curves(
    panels: Sequence[str],
    columns: Sequence[str],
    curves: Sequence[DoseCurve],
    *,
    title: str,
    subtitle: str,
    xlabel: str,
    ylabel: str,
    reference: tuple[str, float],
    band: DoseBand | None = None,
    units: str = "layers",
) -> Figure:
    """Draw curves over the same columns, a panel a layer, all on one scale.

    Of more layers than there is room for, an even subset is shown, the first and the last among
    them, and the subtitle says so.

    Args:
        panels: the name of each layer.
        columns: the names of what stands along the x axis: conditions, then doses.
        curves: what is drawn.
        title: what is shown.
        subtitle: of what.
        xlabel: what the columns are.
        ylabel: what the values are.
        reference: a height to hold the curves against, and its name before it.
        band: what chance alone would give.
        units: what the layers are called.
    """
    shown = np.arange(len(panels))
    if len(panels) > _MOST_PANELS:
        shown = np.linspace(0, len(panels) - 1, _MOST_PANELS).round().astype(int)
        subtitle += f" · {len(shown)} of {len(panels)} {units}"
    across = min(len(shown), 4)
    rows = -(-len(shown) // across)
    # Inches.
    width = max(0.27 * len(columns) + 0.2, 4.6 / across)
    height = 1.6 if rows > 1 else 2.4
    left, right, gap, above = 0.9, 0.15, 0.14, 0.28
    # Short names stand upright.
    slanted = max(map(len, columns)) > 3
    below = 0.5 + 0.055 * max(map(len, columns)) * slanted
    grid_width, grid_height = across * (width + gap) - gap, rows * (height + above)
    wide = left + grid_width + right
    handles = _legend(curves, reference[0], band)
    longest = max(len(str(handle.get_label())) for handle in handles)
    legend_columns = max(1, min(len(handles), int((wide - left) / (0.55 + 0.07 * longest))))
    bottom = below + 0.1 + 0.18 * -(-len(handles) // legend_columns)
    tall = bottom + grid_height + title_height(title, subtitle, 0.92 * wide)
    figure = Figure(figsize=(wide, tall))
    FigureCanvasAgg(figure)

    # An empty axes around all panels carries what they share.
    around = figure.add_axes(
        (left / wide, bottom / tall, grid_width / wide, grid_height / tall), frameon=False
    )
    around.grid(visible=False)
    around.set(xticks=[], yticks=[])
    around.set_xlabel(xlabel, labelpad=72 * below - 18)
    around.set_ylabel(textwrap.fill(ylabel, int(15 * grid_height)), labelpad=32)
    put_titles(around, title, subtitle, 0.92 * wide)
    limits = _limits(curves, reference[1], band)
    for place, layer in enumerate(shown.tolist()):
        row, column = divmod(place, across)
        x = left + column * (width + gap)
        y = bottom + grid_height - (row + 1) * (height + above)
        axes = figure.add_axes((x / wide, y / tall, width / wide, height / tall))
        _draw(axes, layer, len(columns), curves, reference[1], band)
        axes.set_title(cut(panels[layer], int(13 * width)), fontsize=8, pad=4, fontweight="normal")
        axes.set_xlim(-0.6, len(columns) - 0.4)
        axes.set_ylim(limits)
        axes.tick_params(labelsize=8, labelleft=column == 0)
        # The lowest panel of each column names what stands along the axis.
        names = columns if place + across >= len(shown) else [""] * len(columns)
        axes.set_xticks(range(len(columns)), names)
        if slanted:
            for text in axes.get_xticklabels():
                text.set(rotation=50, ha="right", rotation_mode="anchor")
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=legend_columns,
        bbox_to_anchor=(left / wide, 0.04 / tall),
        borderaxespad=0,
    )
    return figure


def _draw(
    axes: Axes,
    layer: int,
    n_columns: int,
    curves: Sequence[DoseCurve],
    reference: float,
    band: DoseBand | None,
) -> None:
    """Draw one layer's curves over its band."""
    at = np.arange(n_columns)
    axes.axhline(reference, color=GREY, linewidth=1, linestyle=":")
    if band is not None:
        axes.fill_between(
            at, band.low[layer], band.high[layer], color=GREY, alpha=0.28, linewidth=0
        )
    places = list(dict.fromkeys(curve.colour for curve in curves if curve.joined))
    for curve in curves:
        drawn = mark(curve.colour)
        middle = (len(places) - 1) / 2
        aside = _APART * (places.index(curve.colour) - middle) if curve.joined else 0
        values, low, high = (x[layer] for x in (curve.values, curve.low, curve.high))
        there = np.isfinite(values)
        x = at[there] + aside
        if curve.joined:
            axes.plot(x, values[there], color=drawn.colour, linewidth=1.2)
        axes.vlines(x, low[there], high[there], color=drawn.colour, linewidth=1, alpha=0.7)
        for hollow in (True, False):
            chosen = there & (curve.with_constant_weights[layer] == hollow)
            axes.plot(
                at[chosen] + aside,
                values[chosen],
                linestyle="none",
                marker=drawn.marker,
                markersize=4.5,
                color=drawn.colour,
                markerfacecolor="white" if hollow else drawn.colour,
                zorder=3,
            )


def _limits(
    curves: Sequence[DoseCurve], reference: float, band: DoseBand | None
) -> tuple[float, float]:
    """Return limits that hold everything in all panels."""
    heights = [np.array([reference])]
    heights += [limit.ravel() for curve in curves for limit in (curve.low, curve.high)]
    heights += [band.low.ravel(), band.high.ravel()] if band is not None else []
    low, high = np.nanmin(np.concatenate(heights)), np.nanmax(np.concatenate(heights))
    margin = 0.06 * (high - low) or 0.01
    return float(low - margin), float(high + margin)


def _legend(
    curves: Sequence[DoseCurve], reference: str, band: DoseBand | None
) -> list[Line2D | Patch]:
    """Return a legend's handles: a curve's sign is a ring where most of its points are."""
    handles: list[Line2D | Patch] = []
    for curve in curves:
        drawn = mark(curve.colour)
        ring = curve.with_constant_weights[np.isfinite(curve.values)].mean() > 0.5
        handles.append(
            Line2D(
                [],
                [],
                color=drawn.colour,
                linestyle="-" if curve.joined else "none",
                marker=drawn.marker,
                markersize=4.5,
                markerfacecolor="white" if ring else drawn.colour,
                label=curve.label,
            )
        )
    if band is not None:
        handles.append(Patch(facecolor=GREY, alpha=0.28, label=band.label))
    handles.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1, label=reference))
    return handles
