"""Where each head looks from "=", at what numbers."""

import numpy as np
from numpy.typing import NDArray

from interp.results.result import Result

from .neurons_report import axis_of
from .observed import Observed


def attention_report(
    seen: Observed,
    one: NDArray[np.float32],
    one_tokens: tuple[str, ...],
    *,
    told: str,
    place: str,
) -> Result:
    """Return where heads look on average, in one prompt, and at a over all pairs.

    Args:
        seen: the model over all pairs.
        one: the pattern of one prompt, [head, query, key].
        one_tokens: its tokens.
        told: the model.
        place: what numbers are ordered by.
    """
    from interp import plotting

    mean = seen.all.pattern.mean((0, 1), dtype=np.float64)
    heads = [f"head {head}" for head in range(len(mean))]
    to_a = np.moveaxis(seen.grouped.pattern[..., 0].astype(np.float64), -1, 0)
    spread = to_a.std((1, 2))
    most = int(spread.argmax())
    return Result(
        figures={
            "attention": plotting.attention_patterns(
                mean,
                one.astype(np.float64),
                ("a", "b", "="),
                one_tokens,
                title=f"Over all pairs a head attends by {_range(mean[:, 0])} to a, by "
                f"{_range(mean[:, 1])} to b and by {_range(mean[:, 2])} to “=”",
                subtitle=f"{told} · without a preference it would be a third each",
                mean_name="from “=”, mean of all pairs",
                one_name=f"in “{' '.join(one_tokens)}”, rows attend to columns",
            ),
            "attention_to_a": plotting.number_maps(
                to_a,
                heads,
                title="How much “=” attends to a, by both numbers",
                subtitle=f"{told} · the rest goes to b and “=”; standard deviation up to "
                f"{spread[most]:.2f} (head {most})",
                label="attention to a",
                limits=(0.0, 1.0),
                xlabel=axis_of("b", place),
                ylabel=axis_of("a", place),
            ),
        },
    )


def _range(shares: NDArray[np.float64]) -> str:
    low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
    return low if low == high else f"{low} to {high}"
