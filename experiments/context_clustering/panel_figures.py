"""Curves over columns such as numbers of sentences, one panel per layer, with their intervals."""

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

_MAX_PANELS = 12
# The distance between curves in one column, so that their intervals do not cover each other.
_OFFSET = 0.16


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve over the columns of every panel, with its intervals.

    Attributes:
        label: its name in the legend.
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
class Band:
    """A grey band behind the curves of every panel, [layer, column]; nan where there is none."""

    label: str
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Reference:
    """A horizontal line through all panels, and its name."""

    label: str
    value: float


@dataclass(frozen=True, eq=False)
class CurvePanels:
    """What `curve_panels` draws: the same columns and curves for each layer.

    Attributes:
        panels: the name of each layer.
        columns: the names along the x axis: conditions, then numbers of sentences.
        curves: what is drawn.
        reference: a value to compare the curves with.
        title: the finding, or what is shown.
        subtitle: the model, the hook and the prompts.
        xlabel: what the columns are.
        ylabel: what the values are.
        band: the null.
        units: what the layers are called: "layers" or "steps".
    """

    panels: Sequence[str]
    columns: Sequence[str]
    curves: Sequence[Curve]
    reference: Reference
    title: str
    subtitle: str
    xlabel: str
    ylabel: str
    band: Band | None = None
    units: str = "layers"

    @property
    def shown(self) -> NDArray[np.intp]:
        """The layers for which there is room: all, or evenly spaced ones with first and last."""
        n = len(self.panels)
        if n <= _MAX_PANELS:
            return np.arange(n)
        return np.linspace(0, n - 1, _MAX_PANELS).round().astype(np.intp)

    @property
    def whole_subtitle(self) -> str:
        """The subtitle, with how many layers are shown where that is not all."""
        n, n_shown = len(self.panels), len(self.shown)
        return self.subtitle + f" · {n_shown} of {n} {self.units}" * (n_shown < n)

    def limits(self) -> tuple[float, float]:
        """Return limits of the y axis that hold everything in all panels."""
        values = [np.array([self.reference.value])]
        values += [limit.ravel() for curve in self.curves for limit in (curve.low, curve.high)]
        if self.band is not None:
            values += [self.band.low.ravel(), self.band.high.ravel()]
        low, high = np.nanmin(np.concatenate(values)), np.nanmax(np.concatenate(values))
        margin = 0.06 * (high - low) or 0.01
        return float(low - margin), float(high + margin)


@dataclass(frozen=True)
class _Grid:
    """Where the panels lie; sizes in inches."""

    rows: int
    across: int
    width: float
    height: float
    # What the names of slanted columns take below the lowest panels.
    below: float
    bottom: float
    head: float
    slanted: bool
    legend_columns: int

    left, right, gap, above = 0.9, 0.15, 0.14, 0.28

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height of all panels together."""
        return (
            self.across * (self.width + self.gap) - self.gap,
            self.rows * (self.height + self.above),
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        wide, tall = self.inner
        return self.left + wide + self.right, self.bottom + tall + self.head

    def place(self, x: float, y: float, width: float, height: float) -> tuple[float, ...]:
        """Return a rectangle as fractions of the figure."""
        wide, tall = self.size
        return x / wide, y / tall, width / wide, height / tall

    @classmethod
    def of(cls, plot: CurvePanels, handles: Sequence[Line2D | Patch]) -> "_Grid":
        n_columns, longest_name = len(plot.columns), max(map(len, plot.columns))
        across = min(len(plot.shown), 4)
        rows = -(-len(plot.shown) // across)
        width = max(0.27 * n_columns + 0.2, 4.6 / across)
        # Short names stand upright.
        slanted = longest_name > 3
        below = 0.5 + 0.055 * longest_name * slanted
        wide = cls.left + across * (width + cls.gap) - cls.gap + cls.right
        longest_label = max(len(str(handle.get_label())) for handle in handles)
        room = int((wide - cls.left) / (0.55 + 0.07 * longest_label))
        legend_columns = max(1, min(len(handles), room))
        return cls(
            rows=rows,
            across=across,
            width=width,
            height=1.6 if rows > 1 else 2.4,
            below=below,
            bottom=below + 0.1 + 0.18 * -(-len(handles) // legend_columns),
            head=title_height(plot.title, plot.whole_subtitle, 0.92 * wide),
            slanted=slanted,
            legend_columns=legend_columns,
        )


@styled
def curve_panels(plot: CurvePanels) -> Figure:
    """Draw curves over the same columns, one panel per layer, all on one scale.

    If there are more layers than panels fit, evenly spaced ones are shown, the first and the last
    among them, and the subtitle says so.
    """
    handles = _legend_handles(plot)
    grid = _Grid.of(plot, handles)
    figure = Figure(figsize=grid.size)
    FigureCanvasAgg(figure)
    _draw_shared_labels(figure, plot, grid)
    limits = plot.limits()
    for place, layer in enumerate(plot.shown.tolist()):
        row, column = divmod(place, grid.across)
        x = grid.left + column * (grid.width + grid.gap)
        y = grid.bottom + grid.inner[1] - (row + 1) * (grid.height + grid.above)
        axes = figure.add_axes(grid.place(x, y, grid.width, grid.height))  # type: ignore[arg-type]
        _draw_layer(axes, plot, layer)
        name = cut(plot.panels[layer], int(13 * grid.width))
        axes.set_title(name, fontsize=8, pad=4, fontweight="normal")
        axes.set_xlim(-0.6, len(plot.columns) - 0.4)
        axes.set_ylim(limits)
        axes.tick_params(labelsize=8, labelleft=column == 0)
        is_lowest = place + grid.across >= len(plot.shown)
        names = plot.columns if is_lowest else [""] * len(plot.columns)
        axes.set_xticks(range(len(plot.columns)), names)
        if grid.slanted:
            for text in axes.get_xticklabels():
                text.set(rotation=50, ha="right", rotation_mode="anchor")
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=grid.legend_columns,
        bbox_to_anchor=(grid.left / grid.size[0], 0.04 / grid.size[1]),
        borderaxespad=0,
    )
    return figure


def _draw_shared_labels(figure: Figure, plot: CurvePanels, grid: _Grid) -> None:
    """Draw titles and axis labels, on an empty axes around all panels."""
    place = grid.place(grid.left, grid.bottom, *grid.inner)
    around = figure.add_axes(place, frameon=False)  # type: ignore[arg-type]
    around.grid(visible=False)
    around.set(xticks=[], yticks=[])
    around.set_xlabel(plot.xlabel, labelpad=72 * grid.below - 18)
    around.set_ylabel(textwrap.fill(plot.ylabel, int(15 * grid.inner[1])), labelpad=32)
    put_titles(around, plot.title, plot.whole_subtitle, 0.92 * grid.size[0])


def _draw_layer(axes: Axes, plot: CurvePanels, layer: int) -> None:
    """Draw one layer's curves over its band."""
    at = np.arange(len(plot.columns))
    axes.axhline(plot.reference.value, color=GREY, linewidth=1, linestyle=":")
    if plot.band is not None:
        low, high = plot.band.low[layer], plot.band.high[layer]
        axes.fill_between(at, low, high, color=GREY, alpha=0.28, linewidth=0)
    colours = list(dict.fromkeys(curve.colour for curve in plot.curves if curve.joined))
    for curve in plot.curves:
        look = mark(curve.colour)
        middle = (len(colours) - 1) / 2
        offset = _OFFSET * (colours.index(curve.colour) - middle) if curve.joined else 0
        values, low, high = (x[layer] for x in (curve.values, curve.low, curve.high))
        defined = np.isfinite(values)
        x = at[defined] + offset
        if curve.joined:
            axes.plot(x, values[defined], color=look.colour, linewidth=1.2)
        axes.vlines(x, low[defined], high[defined], color=look.colour, linewidth=1, alpha=0.7)
        for hollow in (True, False):
            points = defined & (curve.hollow[layer] == hollow)
            axes.plot(
                at[points] + offset,
                values[points],
                linestyle="none",
                marker=look.marker,
                markersize=4.5,
                color=look.colour,
                markerfacecolor="white" if hollow else look.colour,
                zorder=3,
            )


def _legend_handles(plot: CurvePanels) -> list[Line2D | Patch]:
    """Return the legend's entries; a curve's marker is a ring where most of its points are."""
    handles: list[Line2D | Patch] = []
    for curve in plot.curves:
        look = mark(curve.colour)
        mostly_hollow = curve.hollow[np.isfinite(curve.values)].mean() > 0.5
        handles.append(
            Line2D(
                [],
                [],
                color=look.colour,
                linestyle="-" if curve.joined else "none",
                marker=look.marker,
                markersize=4.5,
                markerfacecolor="white" if mostly_hollow else look.colour,
                label=curve.label,
            )
        )
    if plot.band is not None:
        handles.append(Patch(facecolor=GREY, alpha=0.28, label=plot.band.label))
    reference = plot.reference.label
    handles.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1, label=reference))
    return handles
