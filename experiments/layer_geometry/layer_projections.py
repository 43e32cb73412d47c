"""Projections of each layer's points to few dimensions, in axes that layers have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.reductions import REDUCTIONS, Reduction
from interp.runner.analysis import at_layer

from .procrustes import align_layers

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LayerProjections:
    """The points of each layer, reduced.

    Attributes:
        rows: the samples that are shown, [n].
        components: as the reduction gives them, [layer, n, k].
        explained: the share of the variance that each component holds, [layer, k], or [1, k] where
            all layers have the same axes. With a supervised reduction, of the points that are
            shown, not of those that it was fitted on. None where the reduction knows no share.
        layout: what is drawn, [layer, n, 2]: the first two components. Where each layer has axes
            of its own, they are rotated towards those of the layer before, so that they are no
            longer the components but directions in their plane. Points are then centred, in units
            of their root mean square distance from the centre, since norms may grow a hundredfold
            from layer to layer, and a layout of neighbours has no scale.
        axes: the names of the two axes.
    """

    rows: Rows
    components: Array
    explained: Array | None
    layout: Array
    axes: tuple[str, str]

    def share(self, i: int) -> float:
        """Return the share of the variance that the layout of the i-th layer shows.

        Raises:
            ValueError: the reduction knows no share of the variance.
        """
        if self.explained is None:
            raise ValueError("the reduction knows no share of the variance")
        return float(self.explained[i % len(self.explained), :2].sum())


def project_layers(
    activations: Activations,
    prompts: PromptSet,
    hook: HookPoint,
    reduction: Reduction,
    basis: Any,
) -> LayerProjections:
    """Reduce the points of each layer.

    A supervised reduction is fitted on one half of each group's prompts, and shows the other half.

    Args:
        activations: the points.
        prompts: their groups.
        hook: what errors call the layers by.
        reduction: to at least two components.
        basis: "layer", axes of each layer's own; "all", fitted on all layers together; or the
            number of the layer that they are fitted on.

    Raises:
        ConfigError: a layer at which all points coincide, or that cannot be reduced.
    """
    fitted, shown = fitted_and_shown(prompts, activations.samples["prompt"].to_numpy(), reduction)
    components, explained = _reduce(activations, prompts, hook, reduction, basis, (fitted, shown))
    name = REDUCTIONS.name_of(reduction).replace("_", " ")
    names = (f"{name} 1", f"{name} 2")
    if basis != "layer":
        return LayerProjections(shown, components, explained, components[:, :, :2], names)
    # The difference of two groups is the same axis at every layer, sign included: it stays.
    fixed = 1 if reduction.supervised and len(prompts.group_names) == 2 else 0
    layout = components[:, :, :2] - components[:, :, :2].mean(1, keepdims=True)
    layout[:, :, fixed:] = align_layers(layout[:, :, fixed:])
    spread = np.sqrt((layout**2).sum(2).mean(1))[:, None, None]
    layout /= np.where(spread > 0, spread, 1)
    first, second = names if fixed else ("axis 1", "axis 2")
    axes = (f"{first}, in units of the points' spread", second)
    return LayerProjections(shown, components, explained, layout, axes)


def _reduce(
    activations: Activations,
    prompts: PromptSet,
    hook: HookPoint,
    reduction: Reduction,
    basis: Any,
    rows: tuple[Rows, Rows],
) -> tuple[Array, Array | None]:
    """Return components [layer, n, k] of the shown rows, and their shares of the variance."""
    fitted, shown = rows
    layers, points = activations.layers, _points_of(activations, hook)
    number = {group: g for g, group in enumerate(prompts.group_names)}
    labels = activations.samples["group"].map(number).to_numpy()[fitted]
    found: list[Array] = []
    shares: list[Array] = []
    for fit_on, show in _bases(layers, basis):
        x = np.concatenate([points(i, fitted) for i in fit_on])
        with at_layer(hook, layers[fit_on[0]], layers):
            # An iterative layout starts from that of the layer before.
            estimator = reduction.estimator(found[-1] if reduction.iterative and found else None)
            if fit_on == show and not reduction.supervised:
                found += np.split(np.asarray(estimator.fit_transform(x)), len(fit_on))
            else:
                estimator.fit(x, np.tile(labels, len(fit_on)))
                found += [np.asarray(estimator.transform(points(i, shown))) for i in show]
        if reduction.supervised:
            # The share of the fitted points would be larger than that of the shown ones.
            x = np.concatenate([points(i, shown) for i in fit_on])
            shares.append(np.asarray(estimator.transform(x)).var(0) / x.var(0).sum())
        elif hasattr(estimator, "explained_variance_ratio_"):
            shares.append(np.asarray(estimator.explained_variance_ratio_))
    return np.array(found, dtype=np.float64), np.array(shares) if shares else None


def _bases(layers: tuple[int, ...], basis: Any) -> list[tuple[list[int], list[int]]]:
    """Return for each set of axes the layers that it is fitted on, and those that it shows."""
    everywhere = list(range(len(layers)))
    if basis == "layer":
        return [([i], [i]) for i in everywhere]
    return [(everywhere if basis == "all" else [layers.index(basis)], everywhere)]


def _points_of(activations: Activations, hook: HookPoint) -> Callable[[int, Rows], Array]:
    """Return what gives points of the i-th layer, and refuses those that coincide."""

    def points(i: int, rows: Rows) -> Array:
        with at_layer(hook, activations.layers[i], activations.layers):
            if activations.is_degenerate(i, rows):
                raise ValueError("all points coincide up to rounding")
            return activations.points(i, rows)

    return points


def fitted_and_shown(
    prompts: PromptSet, prompt_of_row: Rows, reduction: Reduction
) -> tuple[Rows, Rows]:
    """Return the samples that a reduction is fitted on, and those that it shows.

    They are all samples unless the reduction is fitted on the groups. Then every other prompt of a
    group is shown, so that both halves cover the whole range of a group that has an order, and the
    i-th prompts of two groups stay together.
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
