"""Figures of `layer_geometry`: points of each layer, curves of the tests, all components."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from interp.plotting import (
    Cells,
    Labels,
    Layout,
    draw_heatmap,
    draw_layout_panels,
    draw_statistics,
    layout_frames,
)
from interp.reductions import Reduction
from interp.results.captions import Caption
from interp.results.result import Animation

from . import report
from .layer_projections import LayerProjections
from .measures import OrderTests, SeparationTests
from .ordering import Ordering

if TYPE_CHECKING:
    import pandas as pd


def order_curves(found: OrderTests, caption: Caption) -> Figure:
    """Draw over layers how closely the best component, and a probe, follow the order."""
    subtitle = caption.subtitle(f"{found.component.n_permutations} permutations")
    return draw_statistics(
        [found.component, found.probe],
        Labels(report.describe_order(found, caption), subtitle, caption.xlabel),
        f"95% of the null: {found.permuted}",
        caption.ticks,
    )


def component_heatmap(found: OrderTests, caption: Caption) -> Figure:
    """Draw how closely each component of each layer follows the order."""
    alpha = found.component.alpha
    cells = Cells(
        caption.names,
        [str(c + 1) for c in range(found.correlations.shape[1])],
        np.abs(found.correlations),
        "Spearman's |ρ|, since signs are arbitrary",
        found.component_p < alpha,
        f"p ≥ {alpha:g}, corrected over {caption.unit}s and components",
    )
    labels = Labels(
        f"Correlation of each component with {found.order.name}",
        caption.subtitle(f"{found.component.n_permutations} permutations"),
        xlabel="component",
        ylabel=caption.xlabel,
    )
    return draw_heatmap(cells, labels, signed=False)


def separation_curves(found: SeparationTests, caption: Caption) -> Figure:
    """Draw over layers how far the groups lie apart."""
    n = found.silhouette.n_permutations
    subtitle = caption.subtitle("all dimensions", f"{n} permutations")
    return draw_statistics(
        found.series,
        Labels(report.describe_separation(found, caption), subtitle, caption.xlabel),
        f"95% of the null: {found.permuted}",
        caption.ticks,
    )


def points_of_layers(
    found: LayerProjections,
    samples: "pd.DataFrame",
    order: Ordering | None,
    caption: Caption,
    reduction: Reduction,
    basis: Any,
) -> tuple[Figure, Animation]:
    """Draw the points of each layer, as small multiples and as an animation.

    Args:
        found: the points in two dimensions.
        samples: what all points are, one row each.
        order: the order that paths follow, where there is one.
        caption: the words for where the points come from.
        reduction: what made the dimensions.
        basis: what it was fitted on.
    """
    samples = samples.iloc[found.rows].reset_index(drop=True)
    numbers = order.values[found.rows] if order else None
    point_labels, labelled_by = _labels(samples, order, numbers)
    paths = _paths(samples, numbers)
    layout = Layout(found.layout, tuple(samples["group"]), point_labels, paths)
    shares = [f"{share:.0%}" for share in report.shares_shown(found, basis)]
    fitted = report.describe_basis(reduction, basis)
    if found.explained is not None and not shares:
        fitted += f" ({found.share(0):.0%} of the variance there)"
    named = list(zip(caption.names, shares or [""] * len(caption.names), strict=True))
    title = f"{caption.group_phrase} at each {caption.unit} of {caption.model}"
    if shares:
        title += ", and the share of the variance that is shown"
    first, second = found.axes
    panels = draw_layout_panels(
        layout,
        [f"{name}: {share}" if share else name for name, share in named],
        Labels(title, caption.subtitle(fitted), first, second),
        labelled_by,
        f"{caption.unit}s",
    )
    below = " · ".join([caption.position, caption.units, fitted, labelled_by])
    frames = layout_frames(
        layout,
        caption.layers,
        titles=[
            f"{caption.model}, {caption.hook}, {name}{share and f': {share} of the variance'}"
            for name, share in named
        ],
        subtitles=[below] * len(named),
        xlabel=first,
        ylabel=second,
    )
    animated = f"{caption.group_phrase} in {caption.model}"
    return panels, Animation(animated, frames, caption.names)


def _labels(
    samples: "pd.DataFrame", order: Ordering | None, numbers: NDArray[np.float64] | None
) -> tuple[tuple[str, ...], str]:
    """Return a label for each point, and what labels are.

    Whole prompts of a growing length begin alike, and a label has room for their beginning only;
    so they are labelled by their number.
    """
    pooled = bool((samples["n_tokens"] > 1).any())
    if order and numbers is not None and pooled:
        return tuple(f"{number:g}" for number in numbers), f"labels: {order.name}"
    return tuple(samples["token"]), f"labels: {'texts' if pooled else 'tokens'}"


def _paths(
    samples: "pd.DataFrame", numbers: NDArray[np.float64] | None
) -> tuple[NDArray[np.intp], ...]:
    """Return paths through the tokens of each prompt, or a group's prompts in their order."""
    if samples["prompt"].duplicated().any():
        prompts = samples["prompt"].to_numpy()
        return tuple(np.flatnonzero(prompts == prompt) for prompt in np.unique(prompts))
    if numbers is None:
        return ()
    order = np.argsort(numbers, kind="stable")
    groups = samples["group"].to_numpy()
    return tuple(order[groups[order] == group] for group in dict.fromkeys(groups))
