"""Frames in a row: an animated picture, and a page to step through them by hand."""

import base64
import html
import importlib.resources
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

# Milliseconds.
_FRAME = 900
_LAST_FRAME = 2500


def gif(frames: Sequence[Frame], path: Path) -> None:
    """Write frames [height, width, 3] of one size as an animation that starts over at its end.

    All frames share one palette, so that no colour flickers. The last is held longer.
    """
    from PIL import Image

    _check(frames)
    palette, nearest = _palette(frames)
    images = []
    for frame in frames:
        image = Image.fromarray(nearest[_packed(frame)])
        image.putpalette(palette.tobytes())
        images.append(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=[_FRAME] * (len(frames) - 1) + [_LAST_FRAME],
        loop=0,
        # Every frame is opaque and covers the one before.
        disposal=1,
        optimize=False,
    )


def player(frames: Sequence[Frame], names: Sequence[str], title: str, path: Path) -> None:
    """Write frames [height, width, 3] as one HTML file that needs nothing else.

    It has a slider, buttons and keys to step through the frames, and plays them. It runs in a
    sandboxed frame too, and without scripts it shows the frames one below the other.

    Args:
        frames: of one size.
        names: what each frame shows, in a few words.
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


def _packed(frame: Frame) -> NDArray[np.int32]:
    wide = frame.astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], dtype=np.int32)


def _palette(frames: Sequence[Frame]) -> tuple[Frame, Frame]:
    """Return 256 colours [256, 3] and the nearest of them for each of the 2^24 there are.

    The most frequent colours of all frames, the background among them, are kept as they are; the
    others stand for what anti-aliasing makes of them. Only colours that occur have an entry.
    """
    from PIL import Image

    counted: Counter[int] = Counter()
    for frame in frames:
        colours, counts = np.unique(_packed(frame), return_counts=True)
        counted.update(dict(zip(colours.tolist(), counts.tolist(), strict=True)))
    # Ties are broken by the colour, not by the order of frames.
    ordered = np.array(sorted(counted, key=lambda colour: (-counted[colour], colour)))
    every = np.stack([ordered >> 16, ordered >> 8 & 255, ordered & 255], axis=-1).astype(np.uint8)
    exact = every[: 256 if len(every) <= 256 else 128]
    rest = every[len(exact) :]
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(exact)] = exact
    if len(rest):
        made = Image.fromarray(rest[None]).quantize(256 - len(exact), Image.Quantize.MEDIANCUT)
        found = np.array(made.getpalette(), dtype=np.uint8).reshape(-1, 3)[: 256 - len(exact)]
        palette[len(exact) : len(exact) + len(found)] = found
    nearest = np.zeros(2**24, dtype=np.uint8)
    for start in range(0, len(every), 4096):
        part = slice(start, start + 4096)
        apart = every[part, None].astype(np.int32) - palette[None].astype(np.int32)
        nearest[ordered[part]] = (apart**2).sum(-1).argmin(1)
    return palette, nearest
