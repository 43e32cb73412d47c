"""The palette, the style and the file formats of all figures."""

import math
import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito (2008): distinct under every common form of colour blindness.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
_PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
# Markers distinguish groups without colour; their areas make them look equally large.
_MARKERS = {"o": 1.0, "^": 1.2, "s": 0.85, "D": 0.7, "v": 1.2, "P": 1.4, "X": 1.3, "*": 2.0}

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
    # Names may contain dollar signs, which are not mathematics.
    "text.parse_math": False,
}

# The resolution of saved figures. Layout runs at it too, since the width of letters depends on it.
_DPI = 200

# The colour of a cell without a value, so that it is not read as 0.
ABSENT = "#D9D9D9"

Array = NDArray[np.float64]
P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the project's style, and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


class Mark(NamedTuple):
    """How the points of a group are drawn; `area` is relative to a disc's, `edge` a colour."""

    colour: str
    marker: str
    area: float
    edge: str


def mark(group: int) -> Mark:
    """Return how to draw the group with a number; 64 groups are distinct."""
    turn, number = divmod(group, len(_PALETTE))
    marker, area = list(_MARKERS.items())[(number + turn) % len(_MARKERS)]
    # Yellow is hard to see on white without a darker edge.
    edge = "#7A7A7A" if number == len(_PALETTE) - 1 else "white"
    return Mark(_PALETTE[number], marker, area, edge)


def cut(text: str, longest: int) -> str:
    """Return the text on one line, cut to `longest` characters with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def name_places(axes: Axes, places: Sequence[int], names: Sequence[str], apart: float) -> None:
    """Label places on the x axis that are `apart` inches apart.

    Names that would touch are wrapped or slanted and, where that is not enough, thinned out.
    """
    if len(names) != len(places):
        raise ValueError(f"{len(places)} places need as many names, not {len(names)}")
    # About how many letters fit from one place to the next.
    letters = max(1, int((apart - 0.08) / 0.08))
    upright = [textwrap.wrap(name, letters, break_long_words=False) for name in names]
    longest = max(len(line) for lines in upright for line in lines)
    if longest <= max(3, letters) and max(map(len, upright)) <= 3:
        # Numbers without room are left out: their neighbours show what they are.
        step = math.ceil((0.08 * longest + 0.08) / apart)
        axes.set_xticks(places[::step], ["\n".join(lines) for lines in upright[::step]])
        return
    step = max(1, math.ceil(0.19 / apart))
    shown = [cut(name, 24) for name in names[::step]]
    axes.set_xticks(
        places[::step], shown, rotation=60, ha="right", rotation_mode="anchor", fontsize=8
    )


def _wrapped(title: str, subtitle: str, wide: float) -> tuple[str, str]:
    return textwrap.fill(title, int(10.6 * wide)), textwrap.fill(subtitle, int(15 * wide))


def title_height(title: str, subtitle: str, wide: float) -> float:
    """Return the height in inches that `put_titles` needs above the axes, with a margin."""
    bold, fine = (text.count("\n") + 1 for text in _wrapped(title, subtitle, wide))
    return (14 + 12 * fine + 14 * bold) / 72


def put_titles(axes: Axes, title: str, subtitle: str, wide: float = 6.4) -> None:
    """Put a title over a subtitle; long ones are wrapped and leave the axes their size.

    `wide` is the figure's width in inches.
    """
    bold, fine = _wrapped(title, subtitle, wide)
    # With y left out, matplotlib measures what lies above the axes at every drawing.
    axes.set_title(bold, pad=8 + 12 * (fine.count("\n") + 1), y=1)
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
    shown = figure.dpi
    with matplotlib.rc_context(_STYLE):
        # One canvas for layout and PNG, so that each text is measured once.
        FigureCanvasAgg(figure)
        figure.set_dpi(_DPI)
        if engine := figure.get_layout_engine():
            # The layout runs once here; otherwise each drawing would run it twice.
            engine.execute(figure)
            figure.set_layout_engine(None)
        # Stronger compression would take twice as long and save a sixth of the size.
        figure.savefig(path.with_suffix(".png"), dpi=_DPI, pil_kwargs={"compress_level": 1})
        # The resolution applies to parts that are drawn as pixels within the SVG.
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None}, dpi=_DPI)
    figure.set_dpi(shown)


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return the figure as an RGB image [height, width, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
