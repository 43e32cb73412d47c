"""How much of each neuron one frequency explains, and which frequency that is."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.plotting.sheets import legend_columns, name_panel, place, put_legend, sheet
from interp.plotting.style import BLUE, GREY, Array, styled

from .frequency_figures import bars, key_handles, label_keys

# Inches left of, right of, above and below panels, and between the two.
_LEFT, _RIGHT, _ABOVE, _BELOW, _GAP = 0.85, 0.15, 0.3, 0.55, 0.75


@dataclass(frozen=True, eq=False)
class NeuronFractions:
    """How much of each neuron's variance one frequency explains.

    Attributes:
        frequency: the frequency that explains most of each neuron, [neuron].
        explained: the fraction it explains, between 0 and 1, [neuron].
        null: fractions that the best frequency explains by chance, any shape.
        threshold: the fraction from which on a neuron counts as one of its frequency.
        keys: the key frequencies.
        n_frequencies: the largest frequency.
        null_label: what the null is.
    """

    frequency: NDArray[np.intp]
    explained: Array
    null: Array
    threshold: float
    keys: tuple[int, ...]
    n_frequencies: int
    null_label: str


@styled
def neuron_fractions(neurons: NeuronFractions, *, title: str, subtitle: str) -> Figure:
    """Draw a histogram of the fractions over its null, and how many neurons each frequency has."""
    height, left, right = 2.6, 3.3, 4.2
    wide = _LEFT + left + _GAP + right + _RIGHT
    handles: list[Line2D | Patch] = [
        Patch(facecolor=GREY, alpha=0.55, label=neurons.null_label),
        Line2D([], [], color=BLUE, label=f"neurons ({len(neurons.explained)})"),
        Line2D([], [], color="black", linestyle="--", label=f"fraction {neurons.threshold:g}"),
        *key_handles([neurons.keys], neurons.n_frequencies),
    ]
    columns, foot = legend_columns([str(h.get_label()) for h in handles], wide - _LEFT)
    y = foot + _BELOW
    figure = sheet(wide, y + height + _ABOVE, title, subtitle)

    axes = place(figure, _LEFT, y, left, height)
    _histogram(axes, neurons)
    name_panel(axes, "how much one frequency explains", left)

    axes = place(figure, _LEFT + left + _GAP, y, right, height)
    followed = neurons.frequency[neurons.explained >= neurons.threshold]
    counts = np.bincount(followed, minlength=neurons.n_frequencies + 1)[1:].astype(np.float64)
    bars(axes, counts, neurons.keys)
    label_keys(axes, counts, neurons.keys, (right, height))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("frequency")
    axes.set_ylabel(f"neurons with a fraction ≥ {neurons.threshold:g}")
    name_panel(axes, "which frequency that is", right)
    put_legend(figure, handles, columns, _LEFT)
    return figure


def _histogram(axes: Axes, neurons: NeuronFractions) -> None:
    bins = np.linspace(0, 1, 41)
    # Fractions above 1 by rounding alone are counted too.
    by_chance, found = (
        np.histogram(values.clip(0, 1), bins)[0] / max(values.size, 1)
        for values in (neurons.null, neurons.explained)
    )
    axes.stairs(by_chance, bins, fill=True, color=GREY, alpha=0.55)
    axes.stairs(found, bins, color=BLUE, linewidth=1.6)
    axes.axvline(neurons.threshold, color="black", linewidth=1.2, linestyle="--")
    axes.set(xlim=(-0.01, 1.01))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("fraction of a neuron's variance")
    axes.set_ylabel("share of neurons")
