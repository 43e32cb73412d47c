"""Drawings of clustered neurons: layouts, matrices, cosines and the nulls of silhouettes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.plotting.style import (
    BLUE,
    GREY,
    ORANGE,
    Array,
    Mark,
    cut,
    mark,
    put_titles,
    styled,
    title_height,
)

Labels = NDArray[np.intp]

_NOISE = Mark(GREY, "x", 0.5, GREY)
# With more clusters a legend would be longer than its panel is wide.
_MAX_NAMED = 10


@dataclass(frozen=True, eq=False)
class Partition:
    """One division of the neurons into clusters.

    Attributes:
        name: the heading of its panel.
        labels: the cluster of each neuron, 0, 1, … or -1 for noise, [neuron].
    """

    name: str
    labels: Labels

    @property
    def members(self) -> dict[str, NDArray[np.bool_]]:
        """The neurons of each cluster by its name, noise last."""
        numbers = [*range(int(self.labels.max()) + 1), *([-1] if (self.labels < 0).any() else [])]
        return {
            f"{number + 1 if number >= 0 else 'noise'} ({(self.labels == number).sum()})": (
                self.labels == number
            )
            for number in numbers
        }


@dataclass(frozen=True)
class PlaneTexts:
    """The texts of a figure of neurons in a plane."""

    title: str
    subtitle: str
    xlabel: str
    ylabel: str


@dataclass(frozen=True, eq=False)
class ClusterLayouts:
    """Neurons in a plane, with their clusters and the sign of their t.

    Attributes:
        points: [neuron, 2].
        partitions: one panel each.
        t: of each neuron, [neuron]; |t| is the area of its marker in the last panel.
        groups: the group on which neurons of positive t are more active, and the other.
    """

    points: Array
    partitions: Sequence[Partition]
    t: Array
    groups: tuple[str, str]


@styled
def cluster_layouts(plot: ClusterLayouts, texts: PlaneTexts) -> Figure:
    """Draw neurons in a plane, coloured by their clusters and by the sign of their t."""
    sizes = _Sizes(1, len(plot.partitions) + 1, 3.0, 3.0, below=0.75, gap=0.35)
    figure, grid = _panels(sizes, texts.title, texts.subtitle)
    points, t = plot.points, plot.t
    for axes, partition in zip(grid, plot.partitions, strict=False):
        _scatter(axes, points, partition)
        axes.set_title(cut(partition.name, 42), fontsize=8, fontweight="normal", pad=4)
    axes = grid[-1]
    area = 60 * np.abs(t) / max(float(np.abs(t).max()), np.finfo(float).tiny)
    for more, group, colour, marker in (
        (t > 0, plot.groups[0], BLUE, "o"),
        (t <= 0, plot.groups[1], ORANGE, "^"),
    ):
        label = f"more on {cut(group, 20)} ({more.sum()})"
        x, y = points[more].T
        axes.scatter(x, y, area[more], color=colour, marker=marker, **_LOOK, label=label)
    axes.set_title("sign of t; area: |t|", fontsize=8, fontweight="normal", pad=4)
    for axes in grid:
        _use_one_scale(axes)
        axes.set_xlabel(texts.xlabel)
        _legend_below(axes)
    grid[0].set_ylabel(texts.ylabel)
    return figure


@styled
def cluster_centroids(points: Array, partition: Partition, texts: PlaneTexts) -> Figure:
    """Draw neurons in a plane [neuron, 2], each with a line to the centroid of its cluster."""
    sizes = _Sizes(1, 1, 4.6, 4.2, below=0.75, gap=0, above=0)
    figure, (axes,) = _panels(sizes, texts.title, texts.subtitle)
    for number in range(int(partition.labels.max()) + 1):
        members = points[partition.labels == number]
        x, y = members.mean(0)
        lines = [np.array([point, (x, y)]) for point in members]
        colour = mark(number).colour
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.6, alpha=0.5))
        axes.scatter(x, y, 60, color=colour, marker="X", edgecolors="black", zorder=4)
    _scatter(axes, points, partition)
    _use_one_scale(axes)
    axes.set_xlabel(texts.xlabel)
    axes.set_ylabel(texts.ylabel)
    axes.scatter([], [], 50, color="white", marker="X", edgecolors="black", label="centroid")
    _legend_below(axes)
    return figure


@dataclass(frozen=True, eq=False)
class ClusterMatrices:
    """Matrices of pairs of neurons.

    Attributes:
        matrices: by the label of their values, [neuron, neuron] each; a row of two panels each.
        partition: the clusters.
        order: the neurons' indices, cluster by cluster, noise last, [neuron].
        title: what is shown.
        subtitle: the model, the hook and the neurons.
    """

    matrices: dict[str, Array]
    partition: Partition
    order: NDArray[np.intp]
    title: str
    subtitle: str


@styled
def cluster_matrices(plot: ClusterMatrices) -> Figure:
    """Draw matrices of pairs of neurons, in the neurons' own order and sorted by cluster."""
    side, order = 2.9, plot.order
    sizes = _Sizes(len(plot.matrices), 2, side, side, below=0.2, gap=0.55, right=1.0)
    figure, grid = _panels(sizes, plot.title, plot.subtitle)
    members = plot.partition.members
    counts = [int(of_cluster.sum()) for of_cluster in members.values()]
    ends = np.cumsum(counts)
    # Clusters that are too small for a name have none.
    named = {
        end - count / 2 - 0.5: name.partition(" ")[0]
        for end, count, name in zip(ends, counts, members, strict=True)
        if count >= 0.06 * len(order)
    }
    for (label, values), unsorted, by_cluster in zip(
        plot.matrices.items(), grid[::2], grid[1::2], strict=True
    ):
        # Without the diagonal, which can be much larger than the other values of a Gram matrix.
        others = np.abs(values[~np.eye(len(values), dtype=bool)])
        furthest = float(np.quantile(others, 0.99)) or float(others.max()) or 1.0
        colours: dict[str, Any] = {"cmap": "PuOr", "vmin": -furthest, "vmax": furthest}
        for axes, rows in ((unsorted, np.arange(len(order))), (by_cluster, order)):
            axes.grid(visible=False)
            image = axes.imshow(values[np.ix_(rows, rows)], **colours)
            axes.set(xticks=[], yticks=[])
            axes.tick_params(length=0)
        for end in ends[:-1]:
            by_cluster.axhline(end - 0.5, color="black", linewidth=0.7)
            by_cluster.axvline(end - 0.5, color="black", linewidth=0.7)
        by_cluster.set_xticks([*named], [*named.values()])
        by_cluster.set_yticks([*named], [*named.values()])
        box, wide = by_cluster.get_position(), figure.get_figwidth()
        place = (box.x1 + 0.12 / wide, box.y0, 0.14 / wide, box.height)
        bar = figure.colorbar(image, cax=figure.add_axes(place), label=label, extend="both")
        bar.outline.set_visible(False)
    for axes, heading in zip(grid, ("in their own order", "sorted by cluster"), strict=False):
        axes.set_title(heading, fontsize=8, fontweight="normal", pad=4)
    return figure


@dataclass(frozen=True, eq=False)
class CosineHistogram:
    """The cosines of pairs of neurons, [pair] each.

    Attributes:
        within: of pairs within one cluster; may be empty.
        between: of pairs of two clusters; may be empty.
        nulls: of any two neurons under each null, by its name.
        title: what is shown.
        subtitle: the model, the hook and the neurons.
        xlabel: what the cosines are.
    """

    within: Array
    between: Array
    nulls: dict[str, Array]
    title: str
    subtitle: str
    xlabel: str


@styled
def cosine_histogram(plot: CosineHistogram) -> Figure:
    """Draw the cosines within and between clusters, and those of any two neurons under the nulls.

    Within and between are shares of both together, each null is shares of its own pairs.
    """
    sizes = _Sizes(1, 1, 5.6, 3.0, below=0.55, gap=0, above=0)
    figure, (axes,) = _panels(sizes, plot.title, plot.subtitle)
    within, between = plot.within, plot.between
    bins = np.linspace(-1, 1, 51)
    for values, label, colour in (
        (within, "within clusters", BLUE),
        (between, "between clusters", ORANGE),
    ):
        if len(values):
            share = len(values) / (len(within) + len(between))
            axes.stairs(
                share * _shares(values, bins), bins, fill=True, color=colour, alpha=0.5, label=label
            )
    for (label, values), style in zip(plot.nulls.items(), ("-", "--"), strict=False):
        line: dict[str, Any] = {"color": "#4D4D4D", "linestyle": style, "linewidth": 1.2}
        axes.stairs(_shares(values, bins), bins, label=f"null: {label}", **line)
    axes.set_xlim(-1, 1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel(plot.xlabel)
    axes.set_ylabel("share of pairs, in bins of 0.04")
    _legend_below(axes)
    return figure


@dataclass(frozen=True, eq=False)
class SilhouetteNull:
    """A silhouette and one of its nulls.

    Attributes:
        name: the space and the null.
        null: the silhouettes of the permutations, [permutation].
        observed: the silhouette.
        p: the corrected p.
    """

    name: str
    null: Array
    observed: float
    p: float


@styled
def silhouette_nulls(
    panels: Sequence[SilhouetteNull], columns: int, *, title: str, subtitle: str
) -> Figure:
    """Draw the null of each silhouette as a histogram, and where the observed value falls."""
    rows = -(-len(panels) // columns)
    sizes = _Sizes(rows, columns, 3.2, 1.5, below=0.35, gap=0.8, above=0.4)
    figure, grid = _panels(sizes, title, subtitle)
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        # Each panel has its own axis: nulls may lie far from each other, and near the observed one.
        values = np.array([*panel.null, panel.observed])
        margin = 0.15 * np.ptp(values) or 0.01
        bins = np.linspace(values.min() - margin, values.max() + margin, 31)
        counts = np.histogram(panel.null, bins)[0]
        axes.stairs(counts, bins, fill=True, color=GREY, alpha=0.6, label="permutations")
        axes.axvline(panel.observed, color=ORANGE, linewidth=2, label="observed")
        axes.set_xlim(bins[0], bins[-1])
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        outcome = f"observed {panel.observed:.3f}, corrected p = {panel.p:.2g}"
        heading = f"{cut(panel.name, 50)}\n{outcome}"
        axes.set_title(heading, fontsize=8, fontweight="normal", pad=4)
        if i >= len(panels) - columns:
            axes.set_xlabel("mean silhouette")
        if i % columns == 0:
            axes.set_ylabel("permutations")
    handles, labels = grid[0].get_legend_handles_labels()
    left = grid[0].get_position().x0
    figure.legend(handles, labels, loc="lower left", ncols=2, bbox_to_anchor=(left, 0.01))
    return figure


_LOOK: dict[str, Any] = {"alpha": 0.85, "linewidths": 0.4, "edgecolors": "white", "zorder": 3}


def _shares(values: Array, bins: Array) -> Array:
    # Rounding may put a cosine beyond 1.
    return np.asarray(np.histogram(np.clip(values, -1, 1), bins)[0] / len(values))


def _scatter(axes: Axes, points: Array, partition: Partition) -> None:
    """Draw each cluster's points, noise small and grey."""
    area = float(np.clip(300 / math.sqrt(len(points)), 8, 40))
    for number, (name, members) in enumerate(partition.members.items()):
        noise = name.startswith("noise")
        m = _NOISE if noise else mark(number)
        look = {"alpha": 0.8, "linewidths": 0.8} if noise else {**_LOOK, "edgecolors": m.edge}
        label = name if noise or number < _MAX_NAMED else None
        x, y = points[members].T
        axes.scatter(x, y, area * m.area, color=m.colour, marker=m.marker, label=label, **look)


def _use_one_scale(axes: Axes) -> None:
    """Show both dimensions on one scale."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.08)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)


def _legend_below(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    wide = axes.get_position().width * axes.get_figure().get_figwidth()  # type: ignore[union-attr]
    columns = max(1, int(wide / (0.3 + 0.065 * max(map(len, labels)))))
    tall = axes.get_position().height * axes.get_figure().get_figheight()  # type: ignore[union-attr]
    axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, -0.46 / tall),
        ncols=columns,
        borderaxespad=0,
        columnspacing=1.0,
        handletextpad=0.3,
        handlelength=1.2,
    )


@dataclass(frozen=True)
class _Sizes:
    """How many panels a figure has, and its sizes in inches.

    Attributes:
        rows: of panels.
        columns: of panels.
        width: of a panel.
        height: of a panel.
        below: the height of legends.
        gap: between panels.
        right: to the right of the panels.
        above: the height of headings over panels.
    """

    rows: int
    columns: int
    width: float
    height: float
    below: float
    gap: float
    right: float = 0.2
    above: float = 0.25


def _panels(sizes: _Sizes, title: str, subtitle: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels row by row, and titles over all of them."""
    left, bottom = 0.75, 0.45 + sizes.below
    inner_wide = sizes.columns * sizes.width + (sizes.columns - 1) * sizes.gap
    between = max(sizes.gap, 0.3)
    inner_tall = sizes.rows * sizes.height + (sizes.rows - 1) * between
    wide = left + inner_wide + sizes.right
    tall = bottom + inner_tall + sizes.above + title_height(title, subtitle, 0.92 * wide)
    figure = Figure(figsize=(wide, tall))
    FigureCanvasAgg(figure)
    place = (left / wide, bottom / tall, inner_wide / wide, (inner_tall + sizes.above) / tall)
    around = figure.add_axes(place, frameon=False)
    around.grid(visible=False)
    around.set(xticks=[], yticks=[])
    put_titles(around, title, subtitle, 0.92 * wide)
    panels = []
    for row in range(sizes.rows):
        for column in range(sizes.columns):
            x = left + column * (sizes.width + sizes.gap)
            y = bottom + (sizes.rows - 1 - row) * (sizes.height + between)
            place = (x / wide, y / tall, sizes.width / wide, sizes.height / tall)
            panels.append(figure.add_axes(place))
    return figure, panels
