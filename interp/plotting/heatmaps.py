"""Tables of values as colours: pairs of layers, and layers by parts of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from interp.plotting.labels import Labels
from interp.plotting.style import ABSENT, GREY, ORANGE, Array, cut, name_places, put_titles, styled


@dataclass(frozen=True, eq=False)
class Cells:
    """A table of values to draw as colours.

    Attributes:
        rows: names of the rows; the first is drawn at the bottom.
        columns: names of the columns.
        values: [row, column]; nan where a cell has no value.
        label: the quantity, written at the colour bar.
        significant: [row, column]; other cells are hatched. All are, where this is left out.
        faint_label: what hatching means.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    label: str
    significant: NDArray[np.bool_] | None = None
    faint_label: str = ""

    @property
    def faint(self) -> NDArray[np.bool_]:
        """Cells with a value that is not significant, [row, column]."""
        if self.significant is None:
            return np.zeros(self.values.shape, bool)
        return np.asarray(~self.significant & np.isfinite(self.values))


@dataclass(frozen=True)
class Frames:
    """Cells to frame.

    Attributes:
        cells: pairs of row and column, [k, 2].
        label: what the frames mean.
    """

    cells: NDArray[np.intp]
    label: str


@styled
def draw_layer_matrix(
    cells: Cells,
    labels: Labels,
    frames: Frames,
    *,
    larger_is_closer: bool,
    lowest: float | None = None,
) -> Figure:
    """Draw a value for every pair of layers, and frame some pairs.

    Values that are not significant are hatched; values are written where there is room.

    Args:
        cells: the values.
        labels: the words of the figure.
        frames: the framed pairs.
        larger_is_closer: whether large values are similarities, and bright.
        lowest: where the colours begin; at the smallest value, where this is left out.
    """
    colours = {"cmap": "cividis" if larger_is_closer else "cividis_r", "vmin": lowest}
    figure, axes = _table(cells, colours, "white", lambda value: format_score(value, 3))
    for i, j in frames.cells:
        axes.add_patch(
            Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=ORANGE, linewidth=2)
        )
    _put_labels(figure, axes, labels)
    keys = [Patch(facecolor="white", edgecolor=ORANGE, linewidth=2, label=frames.label)]
    if cells.faint.any():
        keys.append(_hatched(cells.faint_label, "white"))
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


@styled
def draw_heatmap(cells: Cells, labels: Labels, *, signed: bool) -> Figure:
    """Draw a value for every row and column, the first row at the bottom.

    Values that are not significant are hatched; values are written where there is room. A cell
    without a value is grey.

    Args:
        cells: the values.
        labels: the words of the figure.
        signed: whether the colours are centred on 0.
    """
    # Where all is 0, or nothing is a number, any width will do.
    furthest = float(np.nanmax(np.abs(cells.values), initial=0)) or 1.0
    colours: dict[str, Any] = {"cmap": "cividis"}
    if signed:
        colours = {"cmap": "PuOr", "vmin": -furthest, "vmax": furthest}
    hatch = "#A6A6A6" if signed else "white"
    figure, axes = _table(cells, colours, hatch, number_format(furthest))
    _put_labels(figure, axes, labels)
    if cells.faint.any():
        key = _hatched(cells.faint_label, hatch)
        figure.legend(handles=[key], loc="outside lower center")
    return figure


def _put_labels(figure: Figure, axes: Axes, labels: Labels) -> None:
    axes.set_xlabel(labels.xlabel)
    axes.set_ylabel(labels.ylabel)
    put_titles(axes, labels.title, labels.subtitle, 0.9 * figure.get_figwidth())


def _table(
    cells: Cells, colours: dict[str, Any], hatch: str, write: Callable[[float], str]
) -> tuple[Figure, Axes]:
    """Draw a table with its colour bar.

    Args:
        cells: the values.
        colours: how `imshow` maps values to colours.
        hatch: the colour of the hatching.
        write: how a value is written.
    """
    n_rows, n_columns = cells.values.shape
    wide, tall = (0.42 if n <= 16 else min(0.16, 8 / n) for n in (n_columns, n_rows))
    width, height = max(wide * n_columns, 3.6), max(tall * n_rows, 2.6)
    figure = Figure(figsize=(width + 2.0, height + 1.9), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=False)
    axes.set_facecolor(ABSENT)
    image = axes.imshow(cells.values, aspect="auto", **colours)
    bar = figure.colorbar(image, ax=axes, label=cells.label, aspect=max(20.0, 4 * height))
    bar.outline.set_visible(False)
    if cells.faint.any():
        axes.add_patch(_hatching(cells.faint, hatch))
    if n_columns <= 16 and height >= 0.14 * n_rows:
        write_values(axes, image, write, hatched=cells.faint)
    name_places(axes, range(n_columns), cells.columns, width / n_columns)
    step = -(-n_rows // 25)
    axes.set_yticks(range(0, n_rows, step), [cut(name, 24) for name in cells.rows[::step]])
    axes.invert_yaxis()
    return figure, axes


def _hatching(cells: NDArray[np.bool_], colour: str) -> PathPatch:
    """Return the hatching of cells [row, column] as one patch, which is faster to draw."""
    cell = Path.unit_rectangle()
    corners = np.argwhere(cells)[:, ::-1] - 0.5
    outlines = (Path(cell.vertices + corner, cell.codes) for corner in corners)
    # Half transparent, so that the colour and the value of the cell can be read.
    edge = to_rgba(colour, 0.5)
    patch = PathPatch(
        Path.make_compound_path(*outlines), fill=False, hatch="////", edgecolor=edge, linewidth=0
    )
    # It lies within the axes: measuring it to place them would only take time.
    patch.set_in_layout(False)
    return patch


def _hatched(label: str, colour: str) -> Patch:
    behind = GREY if colour == "white" else "white"
    return Patch(facecolor=behind, edgecolor=colour, hatch="////", linewidth=0, label=label)


def write_values(
    axes: Axes,
    image: AxesImage,
    write: Callable[[float], str],
    *,
    hatched: NDArray[np.bool_] | None = None,
) -> None:
    """Write each value of an image into its cell, dark on light and light on dark.

    Args:
        axes: the axes of the image.
        image: the values [row, column]; nan stays empty.
        write: how a value is written.
        hatched: cells that are hatched, [row, column].
    """
    values = np.ma.filled(np.ma.asarray(image.get_array(), dtype=np.float64), np.nan)
    colours: Array = np.asarray(image.cmap(image.norm(values)))[..., :3]
    bright = colours @ (0.299, 0.587, 0.114) > 0.55
    for i, j in np.argwhere(~np.isnan(values)):
        written = axes.text(
            j,
            i,
            write(float(values[i, j])),
            ha="center",
            va="center",
            fontsize=7,
            color="black" if bright[i, j] else "white",
        )
        # It lies in its cell: measuring it to place the axes would only take time.
        written.set_in_layout(False)
        if hatched is not None and hatched[i, j]:
            # The hatching leaves a margin around the value.
            around = withStroke(linewidth=2.5, foreground=tuple(colours[i, j]))
            written.set_path_effects([around])


def number_format(furthest: float) -> Callable[[float], str]:
    """Return a function that writes values with three digits of the largest one."""
    digits = min(max(2 - math.floor(math.log10(furthest or 1.0)), 0), 3)
    return lambda value: _number(value, digits)


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    # A value that rounds to zero has no sign.
    return (text.lstrip("-") if not text.strip("-0.") else text).replace("-", "−")


def format_score(value: float, digits: int) -> str:
    """Write a score, without digits where it is far from 0 because its null leaves little room."""
    if value <= -99.5:
        return "< −99"
    return _number(value, digits if abs(value) < 9.995 else 0)
