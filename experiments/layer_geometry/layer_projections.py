"""The points of each layer in few dimensions: in which axes, and how these are kept steady."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.reductions import REDUCTIONS, Reduction
from interp.runner.analysis import at_layer

from .procrustes import aligned

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Frames:
    """One set of points at each layer, reduced.

    Attributes:
        rows: the samples that are shown, [n].
        components: as the reduction gives them, [layer, n, k].
        explained: the share of the variance that each component holds, [layer, k], or [1, k] where
            all layers have the same axes; that of the points that are shown, where others were
            fitted; None where the reduction knows none.
        layout: what is drawn, [layer, n, 2]: the first two components. Where each layer has axes
            of its own these are turned towards those of the layer before, so that they are no
            longer the components but directions in their plane; and the points lie about their
            middle, in units of the points' spread, since norms may grow a hundredfold from layer to
            layer, and a layout of neighbours has no size.
        axes: what the two axes are called.
    """

    rows: Rows
    components: Array
    explained: Array | None
    layout: Array
    axes: tuple[str, str]

    def share(self, i: int) -> float:
        """Return the share of the variance that the layout of the i-th layer shows."""
        if self.explained is None:
            raise ValueError("the reduction knows no share of the variance")
        return float(self.explained[i % len(self.explained), :2].sum())


def frames(
    activations: Activations,
    prompts: PromptSet,
    hook: HookPoint,
    reduction: Reduction,
    basis: Any,
) -> Frames:
    """Reduce the points of each layer.

    A supervised reduction is fitted on one half of each group's prompts, and shows the other half.

    Args:
        activations: the points.
        prompts: their groups.
        hook: what errors call the layers by.
        reduction: to at least two components.
        basis: "layer", axes of each layer's own; "all", fitted on all layers together; or a layer.

    Raises:
        ConfigError: a layer at which all points coincide, or that cannot be reduced.
    """
    layers = activations.layers
    fitted, shown = halves(prompts, activations.samples["prompt"].to_numpy(), reduction)
    number = {group: g for g, group in enumerate(prompts.group_names)}
    labels = activations.samples["group"].map(number).to_numpy()[fitted]

    def points(i: int, rows: Rows) -> Array:
        with at_layer(hook, layers[i], layers):
            if activations.is_degenerate(i, rows):
                raise ValueError("all points coincide up to rounding")
            return activations.points(i, rows)

    everywhere = list(range(len(layers)))
    # Which layers' points axes are fitted on, and which they then show.
    bases = {"layer": [([i], [i]) for i in everywhere], "all": [(everywhere, everywhere)]}
    found: list[Array] = []
    shares: list[Array] = []
    for fit_on, show in bases.get(basis) or [([layers.index(basis)], everywhere)]:
        x = np.concatenate([points(i, fitted) for i in fit_on])
        with at_layer(hook, layers[fit_on[0]], layers):
            # A layout that is found step by step begins at the one of the layer before.
            estimator = reduction.estimator(found[-1] if reduction.iterative and found else None)
            if fit_on == show and not reduction.supervised:
                found += np.split(np.asarray(estimator.fit_transform(x)), len(fit_on))
            else:
                estimator.fit(x, np.tile(labels, len(fit_on)))
                found += [np.asarray(estimator.transform(points(i, shown))) for i in show]
        if reduction.supervised:
            # What an axis holds of the points that it was fitted on is not what it shows.
            x = np.concatenate([points(i, shown) for i in fit_on])
            shares.append(np.asarray(estimator.transform(x)).var(0) / x.var(0).sum())
        elif hasattr(estimator, "explained_variance_ratio_"):
            shares.append(np.asarray(estimator.explained_variance_ratio_))

    components = np.array(found, dtype=np.float64)
    explained = np.array(shares) if shares else None
    name = REDUCTIONS.name_of(reduction).replace("_", " ")
    if basis != "layer":
        axes = (f"{name} 1", f"{name} 2")
        return Frames(shown, components, explained, components[:, :, :2], axes)
    # The first axis of two groups' difference is the same question at every layer, and no sign.
    fixed = 1 if reduction.supervised and len(number) == 2 else 0
    layout = components[:, :, :2] - components[:, :, :2].mean(1, keepdims=True)
    layout[:, :, fixed:] = aligned(layout[:, :, fixed:])
    spread = np.sqrt((layout**2).sum(2).mean(1))[:, None, None]
    layout /= np.where(spread > 0, spread, 1)
    axes = (f"{name} 1", f"{name} 2") if fixed else ("axis 1", "axis 2")
    return Frames(
        shown,
        components,
        explained,
        layout,
        (f"{axes[0]}, in units of the points' spread", axes[1]),
    )


def halves(prompts: PromptSet, prompt_of_row: Rows, reduction: Reduction) -> tuple[Rows, Rows]:
    """Return the samples that a reduction is fitted on, and those that it shows.

    They are all the same unless it is fitted on the groups. Then every other prompt of a group is
    shown, so that both halves reach over the whole of a group that has an order, and the i-th
    prompts of two groups stay together.
    """
    rows = np.arange(len(prompt_of_row))
    if not reduction.supervised:
        return rows, rows
    place = np.empty(len(prompts), np.intp)
    for group in prompts.group_names:
        members = prompts.members(group)
        place[members] = np.arange(len(members))
    is_shown = place[prompt_of_row] % 2 == 1
    return rows[~is_shown], rows[is_shown]
