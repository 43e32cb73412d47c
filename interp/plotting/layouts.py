"""Points in two dimensions at each layer: small multiples, and the frames of an animation."""

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from interp.plotting.labels import Labels
from interp.plotting.style import GREY, Array, cut, mark, put_titles, styled, title_height

_MOST_PANELS = 16
_MOST_LABELS = 80
# A small panel with more labels than this would show some and hide most.
_MOST_PANEL_LABELS = 16
_LONGEST_LABEL = 18
_LONGEST_NAME = 40
# Inches: of a frame, and of the titles over it.
_FRAME_WIDTH = 7.2
_TITLE_WIDTH = 6.6


@dataclass(frozen=True, eq=False)
class Layout:
    """Points in two dimensions at each layer.

    Attributes:
        points: [layer, n, 2], finite; distances are what is shown.
        groups: the name of each point's group, (n,).
        labels: a text for each point, (n,), empty for none.
        paths: each the indices of points, drawn as a faint line through them in that order.
    """

    points: Array
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    paths: tuple[NDArray[np.intp], ...] = ()

    def __post_init__(self) -> None:
        n = len(self.groups)
        if self.points.ndim != 3 or self.points.shape[1:] != (n, 2) or len(self.labels) != n:
            raise ValueError(
                f"points {self.points.shape} must be [layer, {n}, 2], with {n} labels, not "
                f"{len(self.labels)}"
            )
        if not np.isfinite(self.points).all():
            raise ValueError("points must be finite")

    @cached_property
    def members(self) -> dict[str, NDArray[np.intp]]:
        """The points of each group, groups in the order in which they first appear."""
        names = np.array(self.groups, dtype=object)
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(self.groups)}

    def limits(self, lowest: float, highest: float) -> tuple[Array, float]:
        """Return limits that hold the points of all layers, and their height over their width.

        The limits are [(left, right), (bottom, top)] of a box between `lowest` and `highest` in
        height over width, so that an axes of that shape shows both dimensions on one scale.
        """
        corners = np.array([self.points.min((0, 1)), self.points.max((0, 1))])
        middle, extent = corners.mean(0), 1.14 * (corners[1] - corners[0])
        # Points that all coincide need some room around them too.
        extent = np.maximum(extent, 1e-3 * max(extent.max(), np.abs(corners).max()) or 1.0)
        ratio = float(np.clip(extent[1] / extent[0], lowest, highest))
        width = max(extent[0], extent[1] / ratio)
        half = np.array([width, ratio * width]) / 2
        return np.column_stack([middle - half, middle + half]), ratio


@dataclass(frozen=True)
class _Grid:
    """Where panels stand on a sheet, in inches.

    Attributes:
        columns: panels per row.
        rows: rows of panels.
        panel: the width and the height of a panel.
        bottom: the height of what is below the panels.
        head: the height of the titles.
    """

    columns: int
    rows: int
    panel: tuple[float, float]
    bottom: float
    head: float

    left: ClassVar[float] = 0.8
    right: ClassVar[float] = 0.15
    gap: ClassVar[float] = 0.16
    above: ClassVar[float] = 0.3

    @property
    def width(self) -> float:
        """Of all panels together."""
        return self.columns * (self.panel[0] + self.gap) - self.gap

    @property
    def height(self) -> float:
        """Of all panels together."""
        return self.rows * (self.panel[1] + self.above)

    @property
    def sheet(self) -> tuple[float, float]:
        """The width and the height of the figure."""
        return self.left + self.width + self.right, self.bottom + self.height + self.head

    def place(self, number: int) -> tuple[float, float, float, float]:
        """Return the place of a panel as shares of the figure."""
        row, column = divmod(number, self.columns)
        x = self.left + column * (self.panel[0] + self.gap)
        y = self.bottom + self.height - (row + 1) * (self.panel[1] + self.above)
        return self.share(x, y, *self.panel)

    def share(
        self, x: float, y: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Return a place in inches as shares of the figure."""
        wide, tall = self.sheet
        return x / wide, y / tall, width / wide, height / tall


@styled
def draw_layout_panels(
    layout: Layout, names: Sequence[str], labels: Labels, labelled_by: str, units: str = "layers"
) -> Figure:
    """Draw the points of each layer in a panel of its own, all on one scale.

    Where there are more layers than panels fit, an even subset is shown, with the first and the
    last, and the subtitle says so in `units`.

    Args:
        layout: what is drawn.
        names: of the layers, one each; they are the panels' titles.
        labels: the words of the figure.
        labelled_by: what the points' labels are, for the subtitle where there is room for them.
        units: what the layers are called.

    Raises:
        ValueError: another number of names than layers.
    """
    n_layers = len(layout.points)
    if len(names) != n_layers:
        raise ValueError(f"{n_layers} layers need as many titles, not {len(names)}")
    shown, notes = list(range(n_layers)), [labels.subtitle]
    if n_layers > _MOST_PANELS:
        shown = np.linspace(0, n_layers - 1, _MOST_PANELS).round().astype(int).tolist()
        notes.append(f"{len(shown)} of {n_layers} {units}")
    few = sum(map(bool, layout.labels)) <= _MOST_PANEL_LABELS or len(shown) == 1
    if few:
        notes.append(labelled_by)
    subtitle = " · ".join(note for note in notes if note)
    limits, ratio = layout.limits(0.55, 1.2)
    grid, legend = _grid(layout, len(shown), ratio, replace(labels, subtitle=subtitle))
    figure = Figure(figsize=grid.sheet)
    FigureCanvasAgg(figure)
    # Empty axes around all panels carry the titles and the axis labels that they share.
    around = figure.add_axes(
        grid.share(grid.left, grid.bottom, grid.width, grid.height), frameon=False
    )
    around.grid(visible=False)
    around.set(xticks=[], yticks=[])
    around.set_xlabel(labels.xlabel, labelpad=20)
    around.set_ylabel(labels.ylabel, labelpad=36)
    put_titles(around, labels.title, subtitle, 0.92 * grid.sheet[0])
    width, columns = grid.panel[0], grid.columns
    for number, i in enumerate(shown):
        axes = figure.add_axes(grid.place(number))
        _draw(axes, layout, i, limits, width)
        axes.set_title(cut(names[i], int(13 * width)), fontsize=8, pad=4, fontweight="normal")
        first, last = number % columns == 0, number + columns >= len(shown)
        axes.tick_params(labelsize=7, labelleft=first, labelbottom=last)
        if few:
            _label(axes, layout, i, 7 if columns <= 3 else 6, width)
    handles, n_columns = legend
    _put_legend(figure, handles, n_columns, grid.left)
    return figure


def _grid(
    layout: Layout, n_panels: int, ratio: float, labels: Labels
) -> tuple[_Grid, tuple[list[Line2D], int]]:
    """Return where so many panels stand, and a legend's handles with its number of columns."""
    columns = n_panels
    if columns > 4:
        # The number of columns that leaves the fewest empty places.
        columns = min((5, 4, 3), key=lambda count: -n_panels % count)
    width = {1: 5.4, 2: 3.6, 3: 2.8}.get(columns, 2.2)
    grid = _Grid(columns, -(-n_panels // columns), (width, ratio * width), 0.62, 0)
    wide = grid.sheet[0]
    handles, legend_height, legend_columns = _legend(layout, wide - grid.left)
    head = title_height(labels.title, labels.subtitle, 0.92 * wide)
    grid = replace(grid, bottom=grid.bottom + legend_height, head=head)
    return grid, (handles, legend_columns)


def layout_frames(
    layout: Layout,
    layers: tuple[int, ...],
    *,
    titles: Sequence[str],
    subtitles: Sequence[str],
    xlabel: str,
    ylabel: str,
) -> dict[int, Figure]:
    """Draw the points of each layer as a figure of its own.

    All figures have one size, one place of the axes and the same limits, so that they can be shown
    as the frames of an animation.

    Args:
        layout: what is drawn.
        layers: the key of each frame.
        titles: one per layer.
        subtitles: one per layer.
        xlabel: the first dimension.
        ylabel: the second.
    """
    head = max(
        title_height(title, subtitle, _TITLE_WIDTH)
        for title, subtitle in zip(titles, subtitles, strict=True)
    )
    if len(layers) != len(layout.points):
        raise ValueError(f"{len(layout.points)} layers need as many keys, not {len(layers)}")
    return {
        layer: _frame(layout, i, head, title, subtitle, xlabel, ylabel)
        for i, (layer, title, subtitle) in enumerate(zip(layers, titles, subtitles, strict=True))
    }


@styled
def _frame(
    layout: Layout, i: int, head: float, title: str, subtitle: str, xlabel: str, ylabel: str
) -> Figure:
    left, right = 0.8, 0.15
    width = _FRAME_WIDTH - left - right
    limits, ratio = layout.limits(0.5, 0.9)
    height = ratio * width
    handles, legend_height, n_columns = _legend(layout, width)
    bottom = legend_height + 0.62
    tall = bottom + height + head
    figure = Figure(figsize=(_FRAME_WIDTH, tall), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (left / _FRAME_WIDTH, bottom / tall, width / _FRAME_WIDTH, height / tall)
    )
    _draw(axes, layout, i, limits, width)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    put_titles(axes, title, subtitle, _TITLE_WIDTH)
    _put_legend(figure, handles, n_columns, left)
    _label(axes, layout, i, 8, width)
    return figure


def _draw(axes: Axes, layout: Layout, i: int, limits: Array, width: float) -> None:
    """Draw one layer's points and paths into an axes of that width in inches."""
    points, n = layout.points[i], len(layout.groups)
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    # The same step on both axes, so that the grid is of squares.
    ticks = MaxNLocator(8 if width > 4 else 4).tick_values(*limits[0])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(float(ticks[1] - ticks[0])))
    axes.add_collection(
        LineCollection(
            [points[path] for path in layout.paths],
            colors=[_colour(layout, path) for path in layout.paths],
            linewidths=0.9 if width > 4 else 0.6,
            alpha=float(np.clip(4 / math.sqrt(n), 0.12, 0.45)),
            zorder=1.2,
        ),
        autolim=False,
    )
    area = _area(n, width)
    look: dict[str, Any] = {
        "alpha": 0.9 if n <= 100 else 0.75 if n <= 500 else 0.55,
        "linewidths": 0.5 if n <= 100 else 0.25,
        "zorder": 2,
        # A vector file with many markers is slow to open.
        "rasterized": n > 300,
    }
    # Many points cover each other: groups are drawn in turns, so that none looks largest.
    turns = 1 if n <= 100 else 8
    for turn in range(turns):
        for number, members in enumerate(layout.members.values()):
            x, y = points[members[turn::turns]].T
            m = mark(number)
            axes.scatter(
                x, y, area * m.area, color=m.colour, marker=m.marker, edgecolors=m.edge, **look
            )


def _colour(layout: Layout, path: NDArray[np.intp]) -> str:
    """Return the colour of the group that a path stays in, or grey."""
    names = {layout.groups[point] for point in path}
    return mark(list(layout.members).index(names.pop())).colour if len(names) == 1 else GREY


def _area(n: int, width: float) -> float:
    """Return the area of a marker in square points, smaller for more points and narrower axes."""
    return float(np.clip(300 / math.sqrt(n), 6, 54)) * (1.0 if width > 4 else 0.4)


def _label(axes: Axes, layout: Layout, i: int, size: float, width: float) -> None:
    """Write labels where they cover neither points nor each other, and leave out the others."""
    import textalloc

    labelled = np.array([j for j, text in enumerate(layout.labels) if text], dtype=int)
    if not len(labelled):
        return
    if len(labelled) > _MOST_LABELS:
        # The same labels at every layer, so that their points can be followed.
        labelled = labelled[np.linspace(0, len(labelled) - 1, _MOST_LABELS).round().astype(int)]
    points = layout.points[i]
    # Pixels per typographic point.
    dots = float(np.diff(axes.get_window_extent().intervalx)[0]) / (72 * width)
    numbers = {name: number for number, name in enumerate(layout.members)}
    sizes = np.array([mark(numbers[name]).area for name in layout.groups])
    radii = 0.62 * dots * np.sqrt(_area(len(points), width) * sizes)
    # Its type hints refuse arrays, which it accepts.
    allocate: Any = textalloc.allocate
    # It prints where there is no room for a label.
    with contextlib.redirect_stdout(io.StringIO()):
        _, _, _, lines = allocate(
            axes,
            points[labelled, 0],
            points[labelled, 1],
            [cut(layout.labels[j], _LONGEST_LABEL) for j in labelled],
            x_scatter=points[:, 0],
            y_scatter=points[:, 1],
            scatter_sizes=radii,
            text_scatter_sizes=radii[labelled],
            textsize=size,
            textcolor="#262626",
            margin=0.003,
            min_distance=0.003,
            max_distance=0.07,
            nbr_candidates=100,
            linecolor="#9A9A9A",
            linewidth=0.6,
            plot_kwargs={"zorder": 1.6},
            avoid_label_lines_overlap=True,
            draw_all=False,
            va="bottom",
            path_effects=[withStroke(linewidth=1.6, foreground="white", alpha=0.8)],
        )
    for line, radius in zip(lines, radii[labelled], strict=True):
        if line is None:
            continue
        start, end = axes.transData.transform(line.get_xydata())
        # A label next to its point needs no line.
        if np.hypot(*(end - start)) < radius + 7 * dots:
            line.remove()


def _legend(layout: Layout, wide: float) -> tuple[list[Line2D], float, int]:
    """Return a legend's handles, its height in inches, and its columns in a width of inches."""
    names = [cut(name, _LONGEST_NAME) for name in layout.members]
    handles = []
    for number, name in enumerate(names):
        m = mark(number)
        handle = Line2D([], [], linestyle="none", marker=m.marker, color=m.colour, label=name)
        handle.set(markersize=6.5 * math.sqrt(m.area), markeredgecolor=m.edge, markeredgewidth=0.5)
        handles.append(handle)
    longest = max(len(name) for name in names)
    columns = max(1, min(len(names), int(wide / (0.5 + 0.078 * longest))))
    return handles, 0.1 + 0.18 * -(-len(names) // columns), columns


def _put_legend(figure: Figure, handles: list[Line2D], columns: int, left: float) -> None:
    """Put a legend at the bottom of the figure, `left` inches from its left side."""
    wide, tall = figure.get_size_inches()
    at = (left / wide, 0.04 / tall)
    figure.legend(
        handles=handles, loc="lower left", ncols=columns, bbox_to_anchor=at, borderaxespad=0
    )
