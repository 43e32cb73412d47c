"""Values by frequency as bars or stems; key frequencies are coloured and labelled."""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from interp.plotting.style import BLUE, ORANGE, Array

# Inches: the width of a label's letter, and the height of its line.
_LETTER, _LINE = 0.07, 0.125
# More labels than these do not fit above their bars.
_MOST_LABELS = 16


def frequency_ticks(highest: int, most: int) -> list[int]:
    """Return at most so many round frequencies from 1 to the highest."""
    ticks = MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]).tick_values(0, highest)
    return sorted({int(k) for k in ticks if 1 <= k <= highest} or {highest})


def component_ticks(n: int, most: int) -> tuple[list[int], list[str]]:
    """Return places and names of at most so many components of a Fourier basis of n numbers.

    Components are the constant, then the cosine and the sine of each frequency: names are those of
    round frequencies, at their cosines.
    """
    shown = frequency_ticks(n // 2, most - 1)
    return [0, *[2 * k - 1 for k in shown]], ["const", *map(str, shown)]


def key_handles(keys: Sequence[Collection[int]], n_frequencies: int) -> list[Line2D | Patch]:
    """Return legend entries of the colours that appear in panels with these key frequencies."""
    handles: list[Line2D | Patch] = []
    if any(keys):
        handles.append(Patch(facecolor=ORANGE, label="key frequency, with its number"))
    if any(len(of_panel) < n_frequencies for of_panel in keys):
        handles.append(Patch(facecolor=BLUE, label="other frequency"))
    return handles


def _colours(count: int, keys: Collection[int]) -> list[str]:
    return [ORANGE if k in keys else BLUE for k in range(1, count + 1)]


def bars(axes: Axes, heights: Array, keys: Collection[int]) -> None:
    """Draw one bar per frequency, key frequencies in orange."""
    at = np.arange(1, len(heights) + 1)
    axes.grid(visible=False, axis="x")
    axes.bar(at, heights, 0.8, color=_colours(len(at), keys))


def stems(axes: Axes, heights: Array, keys: Collection[int]) -> None:
    """Draw one stem with a head per frequency, key frequencies in orange."""
    at = np.arange(1, len(heights) + 1)
    colours = _colours(len(at), keys)
    axes.grid(visible=False, axis="x")
    axes.vlines(at, 0, heights, colors=colours, linewidth=1.6)
    axes.scatter(at, heights, 14, color=colours, zorder=3, clip_on=False)


def label_keys(
    axes: Axes,
    heights: Array,
    keys: Collection[int],
    room: tuple[float, float],
    highest: float = 0.0,
) -> None:
    """Set the limits of axes of `room` inches, and write each key frequency above its bar.

    A label stands above the bars beside it and above the labels that it would cover. `highest` is
    the height of what else is drawn.
    """
    wide, tall = room
    count = len(heights)
    heights = np.where(np.isfinite(heights), heights, 0)
    axes.set_xlim(0.3 - 0.01 * count, count + 0.7 + 0.01 * count)
    axes.set_xticks(frequency_ticks(count, 12 if wide > 3 else 6))
    across = wide / (0.4 + 1.02 * count)
    lowest = 1.06 * min(0.0, float(heights.min()))
    peak = max(float(heights.max()), highest)
    if peak <= lowest:
        peak = lowest + 1
    labelled = sorted(keys, key=lambda k: heights[k - 1], reverse=True)[:_MOST_LABELS]
    spare = 0.08
    while True:
        # Inches per unit; labels need the room that is spared above the bars.
        upward = (tall - spare) / (peak - lowest)
        places = _label_places(heights - lowest, labelled, across, upward, -lowest)
        needed = max((y + _LINE for y in places.values()), default=0.0) + 0.03
        if needed <= tall or spare > 0.6 * tall:
            break
        spare += needed - tall + 0.01
    axes.set_ylim(lowest, lowest + tall / upward)
    axes.yaxis.set_major_locator(MaxNLocator(max(3, round(3 * tall)), steps=[1, 2, 2.5, 5, 10]))
    # A power of ten above the axis would cover the panel's name.
    axes.yaxis.set_major_formatter("{x:g}")
    outline = withStroke(linewidth=1.8, foreground="white")
    for k, y in places.items():
        label = axes.text(k, lowest + y / upward, str(k), ha="center", va="bottom", zorder=5)
        label.set(fontsize=7.5, color=ORANGE, fontweight="bold", path_effects=[outline])


def _label_places(
    tops: Array, labelled: Sequence[int], across: float, upward: float, zero: float
) -> dict[int, float]:
    """Return how many inches above the axis' lower end each label stands.

    Args:
        tops: of the bars, above the lower end of the axis, in its units.
        labelled: the frequencies with a label.
        across: inches per frequency.
        upward: inches per unit.
        zero: where 0 lies above the lower end, in units.
    """
    at = np.arange(1, len(tops) + 1)
    places: dict[int, float] = {}
    for k in sorted(labelled):
        half = _LETTER * len(str(k)) / 2
        beside = np.abs(at - k) * across < half + 0.4 * across
        y = max(zero, float(tops[beside].max())) * upward + 0.04
        for other in sorted(places, key=lambda k: places[k]):
            touching = abs(other - k) * across < half + _LETTER * len(str(other)) / 2 + 0.03
            if touching and abs(places[other] - y) < _LINE:
                y = places[other] + _LINE
        places[k] = y
    return places
