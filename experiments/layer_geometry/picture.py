"""The points of each layer in two dimensions: small multiples, and a frame a layer."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.data.order import Ordering
from interp.reductions import REDUCTIONS, Reduction
from interp.results.captions import Reading
from interp.results.result import Animation, Result, Series

from .layer_projections import Frames

if TYPE_CHECKING:
    import pandas as pd


def picture(
    frames: Frames,
    samples: "pd.DataFrame",
    reading: Reading,
    reduction: Reduction,
    basis: Any,
    order: Ordering | None,
) -> Result:
    """Draw the points, and say how much of their variance the picture shows.

    Args:
        frames: the points in few dimensions.
        samples: what all of them are, one row each.
        reading: the words for where they come from.
        reduction: what made the dimensions.
        basis: what it was fitted on.
        order: the order that paths follow, where there is one.
    """
    from interp import plotting
    from interp.plotting import Layout

    samples = samples.iloc[frames.rows].reset_index(drop=True)
    numbers = order.values[frames.rows] if order else None
    labels, labelled_by = _labels(samples, order, numbers)
    layout = Layout(frames.layout, tuple(samples["group"]), labels, _paths(samples, numbers))
    shares = [""] * len(reading.layers)
    series, finding = {}, ""
    fitted = _fitted(reduction, basis)
    if frames.explained is not None and basis == "layer":
        explained = [frames.share(i) for i in range(len(reading.layers))]
        shares = [f"{share:.0%}" for share in explained]
        series["explained_variance"] = Series.over(reading.layers, explained)
        low, high = (f"{share:.0%}" for share in (min(explained), max(explained)))
        finding = (
            f"The picture shows {low if low == high else f'{low} to {high}'} of the variance at "
            f"each {reading.unit}."
        )
    elif frames.explained is not None:
        of = (
            f"of all {reading.unit}s together"
            if basis == "all"
            else f"at {reading.names[reading.layers.index(basis)]}"
        )
        finding = f"The picture shows {frames.share(0):.0%} of the variance {of}."
        fitted += f" ({frames.share(0):.0%} of the variance there)"
    named = list(zip(reading.names, shares, strict=True))
    words = {"xlabel": frames.axes[0], "ylabel": frames.axes[1]}
    panels = plotting.layout_panels(
        layout,
        titles=[f"{name}: {share}" if share else name for name, share in named],
        title=f"{reading.together} at each {reading.unit} of {reading.model}"
        f"{', and the share of the variance that is shown' if series else ''}",
        subtitle=reading.told(fitted),
        labelled_by=labelled_by,
        units=f"{reading.unit}s",
        **words,
    )
    below = " · ".join([reading.position, reading.units, fitted, labelled_by])
    pictures = plotting.layout_frames(
        layout,
        reading.layers,
        titles=[
            f"{reading.model}, {reading.hook}, {name}{share and f': {share} of the variance'}"
            for name, share in named
        ],
        subtitles=[below] * len(named),
        **words,
    )
    title = f"{reading.together} in {reading.model}"
    return Result(
        series=series,
        figures={"layers": panels},
        animations={"layers": Animation(title, pictures, reading.names)},
        finding=finding,
    )


def _fitted(reduction: Reduction, basis: Any) -> str:
    name = REDUCTIONS.name_of(reduction).replace("_", " ")
    on = {"layer": "each layer", "all": "all layers together"}.get(basis, f"layer {basis}")
    if reduction.supervised:
        return f"{name} fitted on {on}, on one half of the prompts; the other half is shown"
    if basis == "layer":
        return f"plane of {name} 1 and 2 of each layer, turned towards the layer before"
    return f"{name} fitted on {on}"


def _labels(
    samples: "pd.DataFrame", order: Ordering | None, numbers: NDArray[np.float64] | None
) -> tuple[tuple[str, ...], str]:
    """Return a label for each point, and what labels are.

    Of whole prompts that grow with their order the beginnings are all alike, which is all that a
    label has room for; their number tells them apart.
    """
    if order and numbers is not None and (samples["n_tokens"] > 1).any():
        return tuple(f"{number:g}" for number in numbers), f"labels: {order.name}"
    pooled = (samples["n_tokens"] > 1).any()
    return tuple(samples["token"]), f"labels: {'texts' if pooled else 'tokens'}"


def _paths(
    samples: "pd.DataFrame", numbers: NDArray[np.float64] | None
) -> tuple[NDArray[np.intp], ...]:
    """Link the tokens of each prompt, or a group's prompts where they have an order."""
    if samples["prompt"].duplicated().any():
        prompts = samples["prompt"].to_numpy()
        return tuple(np.flatnonzero(prompts == prompt) for prompt in np.unique(prompts))
    if numbers is None:
        return ()
    order = np.argsort(numbers, kind="stable")
    groups = samples["group"].to_numpy()
    return tuple(order[groups[order] == group] for group in dict.fromkeys(groups))
