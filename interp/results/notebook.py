"""A run in a notebook: its finding, summary table and figures as HTML."""

from base64 import b64encode
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.results.result import Result

_STYLE = "max-width: 100%; height: auto; background: white"


def html(name: str, result: "Result", folder: Path, url: str) -> str:
    """Return HTML that contains the run's figures and animations and needs no other file.

    Args:
        name: of the run.
        result: its result.
        folder: with its figures and animations.
        url: its page in MLflow; empty where it waits to be sent there.
    """
    parts = [f"<h3>{escape(name)}</h3>"]
    parts += [f"<p>{escape(part)}</p>" for part in result.finding.split("\n\n") if part]
    if not (table := result.summary_table()).empty:
        parts.append(
            table.to_html(index=False, border=0, float_format=lambda value: f"{value:.4g}")
        )
    for path in (*sorted(folder.glob("figures/*.png")), *sorted(folder.glob("animations/*.gif"))):
        kind, data = path.suffix[1:], path.read_bytes()
        # A PNG's header begins with its width; figures are saved at twice the width on the page.
        size = f"; width: {int.from_bytes(data[16:20]) // 2}px" if kind == "png" else ""
        parts.append(
            f'<p><img alt="{escape(path.stem)}" style="{_STYLE}{size}" '
            f'src="data:image/{kind};base64,{b64encode(data).decode()}"></p>'
        )
    more = sorted(set(result.tables) - {"summary", "layers"})
    tables = f" Tables: {', '.join(map(escape, more))}." if more else ""
    where = escape(url) if url else "waits to be sent to MLflow by the next start"
    parts.append(f"<p><small>{escape(str(folder))} · {where}.{tables}</small></p>")
    return "\n".join(parts)
