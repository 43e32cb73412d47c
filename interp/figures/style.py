"""One palette, one style, and how a figure is kept."""

import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito (2008): told apart under every common form of colour blindness.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4D4D4D",
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "interp",
    # Names are shown as they are written, dollar signs and all.
    "text.parse_math": False,
}

Array = NDArray[np.float64]
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the project's style, and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def put_titles(axes: Axes, title: str, subtitle: str, wide: float = 6.4) -> None:
    """Put a title over a subtitle; long ones are wrapped and never squeeze the axes.

    `wide` is the figure's width in inches.
    """
    fine = textwrap.fill(subtitle, int(15 * wide))
    lines = fine.count("\n") + 1
    axes.set_title(textwrap.fill(title, int(10.6 * wide)), pad=8 + 12 * lines)
    note = axes.annotate(
        fine,
        xy=(0, 1),
        xytext=(0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color="#4D4D4D",
    )
    note.set_in_layout(False)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as `path`.png (200 dpi) and `path`.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE):
        figure.savefig(path.with_suffix(".png"), dpi=200)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return the figure as an RGB image [height, width, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
