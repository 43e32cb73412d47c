"""Values by frequency as bars or stems, the key frequencies in colour and named by their number."""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from interp.plotting.grids import frequency_ticks
from interp.plotting.style import BLUE, ORANGE, Array

# Inches: a label's letter and line.
_LETTER, _LINE = 0.07, 0.125
# So many keys can be named above their bars.
_MOST_NAMES = 16


def key_handles(keys: bool, others: bool) -> list[Line2D | Patch]:
    """Return what colours mean, those of them that there are."""
    handles: list[Line2D | Patch] = []
    if keys:
        handles.append(Patch(facecolor=ORANGE, label="key frequency, with its number"))
    if others:
        handles.append(Patch(facecolor=BLUE, label="other frequency"))
    return handles


def _in_colour(count: int, keys: Collection[int]) -> list[str]:
    return [ORANGE if k in keys else BLUE for k in range(1, count + 1)]


def bars(axes: Axes, heights: Array, keys: Collection[int]) -> None:
    """Draw a bar a frequency, those of keys in orange."""
    at = np.arange(1, len(heights) + 1)
    axes.grid(visible=False, axis="x")
    axes.bar(at, heights, 0.8, color=_in_colour(len(at), keys))


def stems(axes: Axes, heights: Array, keys: Collection[int]) -> None:
    """Draw a stem with a head a frequency, those of keys in orange."""
    at = np.arange(1, len(heights) + 1)
    colours = _in_colour(len(at), keys)
    axes.grid(visible=False, axis="x")
    axes.vlines(at, 0, heights, colors=colours, linewidth=1.6)
    axes.scatter(at, heights, 14, color=colours, zorder=3, clip_on=False)


def name_keys(
    axes: Axes,
    heights: Array,
    keys: Collection[int],
    room: tuple[float, float],
    highest: float,
) -> None:
    """Set the limits of axes of so many inches, and write the keys' numbers above their bars.

    `highest` is what else is drawn. A number stands above the bars beside it and above the numbers
    that it would cover.
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
    named = sorted(keys, key=lambda k: heights[k - 1], reverse=True)[:_MOST_NAMES]
    spare = 0.08
    while True:
        # Inches a unit; numbers need the room that is spared above the bars.
        upward = (tall - spare) / (peak - lowest)
        places = _places(heights, named, across, upward, lowest)
        needed = max((y + _LINE for y in places.values()), default=0.0) + 0.03
        if needed <= tall or spare > 0.6 * tall:
            break
        spare += needed - tall + 0.01
    axes.set_ylim(lowest, lowest + tall / upward)
    axes.yaxis.set_major_locator(MaxNLocator(max(3, round(3 * tall)), steps=[1, 2, 2.5, 5, 10]))
    # A power of ten above the axis would cover the panel's name.
    axes.yaxis.set_major_formatter("{x:g}")
    for k, y in places.items():
        axes.text(
            k,
            lowest + y / upward,
            str(k),
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=ORANGE,
            fontweight="bold",
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
            zorder=5,
        )


def _places(
    heights: Array, named: Sequence[int], across: float, upward: float, lowest: float
) -> dict[int, float]:
    """Return how many inches above the axis each number stands."""
    at = np.arange(1, len(heights) + 1)
    places: dict[int, float] = {}
    for k in sorted(named):
        half = _LETTER * len(str(k)) / 2
        beside = np.abs(at - k) * across < half + 0.4 * across
        y = (max(0.0, float(heights[beside].max())) - lowest) * upward + 0.04
        for other in sorted(places, key=lambda k: places[k]):
            touching = abs(other - k) * across < half + _LETTER * len(str(other)) / 2 + 0.03
            if touching and abs(places[other] - y) < _LINE:
                y = places[other] + _LINE
        places[k] = y
    return places
