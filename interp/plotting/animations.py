"""Frames as an animated GIF, and as a page to step through them by hand."""

import base64
import html
import importlib.resources
import io
from collections.abc import Sequence
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

# Durations in milliseconds.
_FRAME = 900
_LAST_FRAME = 2500


def gif(frames: Sequence[Frame], path: Path) -> None:
    """Write frames [height, width, 3] of one size as a GIF that repeats; the last is held longer.

    Pillow writes it, as it does behind matplotlib's `PillowWriter`. That one would draw every frame
    once more, which takes twice as long, and gives all frames the same duration.
    """
    from PIL import Image

    _check(frames)
    images = [Image.fromarray(frame) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=[_FRAME] * (len(frames) - 1) + [_LAST_FRAME],
        loop=0,
    )


def player(frames: Sequence[Frame], names: Sequence[str], title: str, path: Path) -> None:
    """Write frames [height, width, 3] as one HTML file that needs no other file.

    It has a slider, buttons and keys to step through the frames, and plays them. It works in a
    sandboxed iframe, and without scripts it shows the frames one below the other.

    Args:
        frames: of one size.
        names: of the frames, in a few words.
        title: of the page.
        path: the file.
    """
    from PIL import Image

    _check(frames)
    height, width, _ = frames[0].shape
    images = []
    for frame, name in zip(frames, names, strict=True):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "PNG", optimize=True)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        alt = html.escape(f"{title}: {name}")
        images.append(
            f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
            f'alt="{alt}" data-name="{html.escape(name)}">'
        )
    page = importlib.resources.files("interp.plotting").joinpath("player.html")
    text = Template(page.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), images="\n".join(images), last=len(frames) - 1
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _check(frames: Sequence[Frame]) -> None:
    sizes = {frame.shape for frame in frames}
    if len(sizes) != 1:
        raise ValueError(f"frames must be of one size, not {sorted(sizes)}")
