"""Maps over pairs of numbers, and their two-dimensional Fourier components, as images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from interp.plotting.sheets import name_panel, place, sheet
from interp.plotting.style import Array, cut, styled

from .frequency_figures import component_ticks

# The colour of undefined values, which no colour scale contains.
UNDEFINED = "#D9D9D9"
# Inches to the left of all panels, below them, and above each.
_LEFT, _BELOW, _ABOVE = 0.7, 0.62, 0.3
_ORDER = "frequency; cosine, then sine"


@dataclass(frozen=True, eq=False)
class NumberMaps:
    """Values over pairs of numbers (a, b).

    Attributes:
        values: [map, a, b].
        names: the name of each map.
        label: the quantity.
        limits: the ends of one colour scale for all maps; None gives each map its own.
        xlabel: the name of the columns.
        ylabel: the name of the rows.
    """

    values: Array
    names: Sequence[str]
    label: str
    limits: tuple[float, float] | None = None
    xlabel: str = "b"
    ylabel: str = "a"


@styled
def number_maps(maps: NumberMaps, *, title: str, subtitle: str) -> Figure:
    """Draw maps as images, one panel per map, with the first row at the bottom.

    Colours are centred on 0 where a map has values below 0, and begin at 0 where it has none.
    """
    count, limits = len(maps.values), maps.limits
    across = min(count, 4)
    rows = -(-count // across)
    side = {1: 3.4, 2: 2.6, 3: 2.1, 4: 2.0}[across]
    gap = 0.16 if limits else 0.82
    right = _LEFT + across * (side + gap)
    tall = _BELOW + rows * (side + _ABOVE)
    figure = sheet(right + (0.75 if limits else 0.1), tall, title, subtitle)
    for number, (values, name) in enumerate(zip(maps.values, maps.names, strict=True)):
        row, column = divmod(number, across)
        x, y = _LEFT + column * (side + gap), tall - (row + 1) * (side + _ABOVE)
        axes = place(figure, x, y, side, side)
        image = _image(axes, values, _colours(*(limits or _range(values))))
        is_left, is_lowest = column == 0, number + across >= count
        _label_numbers(axes, maps, is_left=is_left, is_lowest=is_lowest)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4 if side < 2.5 else 6, integer=True))
        name_panel(axes, name, side if limits else side + gap - 0.1)
        if not limits:
            bar = colour_bar(figure, image, x + side + 0.06, y, side)
            if column == across - 1 or number == count - 1:
                bar.set_label(cut(maps.label, int(13 * side)), fontsize=8)
    if limits:
        height = min(rows * (side + _ABOVE) - _ABOVE, 4.0)
        bar = colour_bar(figure, image, right, tall - _ABOVE - height, height)
        bar.set_label(maps.label)
    return figure


def _label_numbers(axes: Axes, maps: NumberMaps, *, is_left: bool, is_lowest: bool) -> None:
    """Name the axes of a map where it stands at the edge of the grid."""
    n = maps.values.shape[1]
    # The panel ends at the outer edges of the first and the last number.
    axes.set(xlim=(-0.5, n - 0.5), ylim=(-0.5, n - 0.5))
    axes.tick_params(labelleft=is_left, labelbottom=is_lowest, labelsize=8)
    axes.set_ylabel(maps.ylabel if is_left else "")
    axes.set_xlabel(maps.xlabel if is_lowest else "")


@dataclass(frozen=True, eq=False)
class ProductSpectrum:
    """The sizes of two-dimensional Fourier components.

    Attributes:
        sizes: [kind, component of a, component of b], none below 0.
        names: the name of each kind.
        label: the quantity.
    """

    sizes: Array
    names: Sequence[str]
    label: str


@styled
def product_spectrum(spectrum: ProductSpectrum, *, title: str, subtitle: str) -> Figure:
    """Draw the sizes of components as images, one panel per kind, each on its own scale.

    Colours are on a square-root scale, which ends at the largest component but the constant.
    """
    count, n = spectrum.sizes.shape[:2]
    across = min(count, 2)
    rows = -(-count // across)
    # Large enough that a single component can be seen.
    side, gap, between = 3.9, 1.25, 0.55
    wide = _LEFT + across * (side + gap)
    tall = _BELOW + rows * (side + _ABOVE) + (rows - 1) * between
    figure = sheet(wide, tall, title, subtitle)
    places, frequencies = component_ticks(n, 9)
    varying = np.ones((n, n), bool)
    varying[0, 0] = False
    for number, (sizes, name) in enumerate(zip(spectrum.sizes, spectrum.names, strict=True)):
        row, column = divmod(number, across)
        x = _LEFT + column * (side + gap)
        y = tall - row * between - (row + 1) * (side + _ABOVE)
        axes = place(figure, x, y, side, side)
        highest = _range(sizes[varying])[1]
        image = _image(axes, sizes, ("cividis", PowerNorm(0.5, 0, highest)))
        axes.set_xticks(places, frequencies)
        axes.set_yticks(places, frequencies)
        axes.tick_params(labelsize=8)
        axes.set_xlabel(f"component of b ({_ORDER})")
        axes.set_ylabel(f"component of a ({_ORDER})" if column == 0 else "")
        name_panel(axes, name, side)
        extends = bool(sizes[0, 0] > highest)
        bar = colour_bar(figure, image, x + side + 0.08, y, side, extends=extends)
        bar.set_label(f"{spectrum.label}, square-root scale", fontsize=8)
    return figure


def colour_bar(
    figure: Figure, image: AxesImage, x: float, y: float, tall: float, *, extends: bool = False
) -> Colorbar:
    """Draw an image's colour bar at so many inches; `extends`: values lie above its end."""
    axes = place(figure, x, y, 0.1, tall)
    bar = figure.colorbar(image, cax=axes, extend="max" if extends else "neither")
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(max(3, math.floor(1.6 * tall)), steps=[1, 2, 2.5, 5, 10])
    # A power of ten above the bar would cover a panel's name.
    bar.formatter = StrMethodFormatter("{x:g}")
    axes.tick_params(labelsize=7, length=2)
    return bar


def _range(values: Array) -> tuple[float, float]:
    """Return limits that contain a map: symmetric around 0 where it has values below 0."""
    sizes = np.abs(values[np.isfinite(values)])
    # A map that is constant at 0, or undefined everywhere, still needs a scale.
    furthest = float(sizes.max(initial=0)) or 1.0
    return (-furthest if bool((values < 0).any()) else 0.0), furthest


def _colours(lowest: float, highest: float) -> tuple[str, Normalize]:
    if lowest < 0:
        furthest = max(-lowest, highest)
        return "PuOr", Normalize(-furthest, furthest)
    return "cividis", Normalize(lowest, highest)


def _image(axes: Axes, values: Array, colours: tuple[str, Normalize]) -> AxesImage:
    axes.grid(visible=False)
    axes.set_facecolor(UNDEFINED)
    cmap, norm = colours
    return axes.imshow(
        values, cmap=cmap, norm=norm, origin="lower", aspect="auto", interpolation="nearest"
    )
