"""Which neurons of a layer tell the groups apart, how strongly, and what one does in sentences."""

from typing import TYPE_CHECKING

import numpy as np

from interp.results.captions import Reading
from interp.results.result import Result
from interp.stats.two_sample import d_interval

from .contrast import Contrast
from .criterion import Criterion, p_in_words
from .over_layers import Tuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IN_TABLE, _IN_FIGURE = 50, 20

# With fewer in a group the t distribution is a poor one for activations that are not normal.
_FEW = 10


def tuned(
    contrast: Contrast,
    sentences: Contrast,
    tuning: tuple[Tuning, ...],
    i: int,
    neuron: int | None,
    criterion: Criterion,
    reading: Reading,
) -> Result:
    """Show the test of every neuron at one layer, and one neuron over sentences.

    Args:
        contrast: an observation a row, as they were tested.
        sentences: the sentences that these are the averages of.
        tuning: the test at each layer.
        i: the index of the layer shown.
        neuron: the index of the neuron shown; None for the one of the largest statistic.
        criterion: what makes a neuron significant.
        reading: the words for what was read.
    """
    import pandas as pd

    from . import neuron_figures

    points, found, where = contrast.points(i), tuning[i], reading.names[i]
    names = contrast.neurons
    has_test = np.isfinite(found.p)
    untested = int((~has_test).sum())
    gap = (
        f"{untested} of {len(names)} neurons {'do' if untested != 1 else 'does'} not vary there "
        "beyond rounding, and cannot be tested"
    )
    if not has_test.any():
        shown = 0 if neuron is None else neuron
        return Result(
            figures={"neuron": one_neuron(sentences, i, shown, "it has no test", where, reading)},
            finding=f"{gap}.",
        )
    # By p, which goes with the statistic where all neurons have the same degrees of freedom.
    order = np.lexsort((-np.abs(found.statistic), found.p))[: has_test.sum()]
    top = order[:_IN_TABLE]
    low, high = d_interval(found.d[top], *contrast.sizes, paired=criterion.is_paired)
    one, other = contrast.groups
    means = points[contrast.in_first][:, top].mean(0), points[~contrast.in_first][:, top].mean(0)
    layer = reading.layers[i]
    table = pd.DataFrame(
        {
            "layer": layer,
            "neuron": [names[j] for j in top],
            f"mean {one}": means[0],
            f"mean {other}": means[1],
            "difference": means[0] - means[1],
            criterion.statistic: found.statistic[top],
            "p": found.p[top],
            "p corrected": found.p_corrected[top],
            criterion.effect: found.d[top],
            "low": low,
            "high": high,
        }
    )
    best = _of_neuron(found, int(order[0]), contrast, criterion)
    shown = int(order[0]) if neuron is None else neuron
    of_shown = (
        _of_neuron(found, shown, contrast, criterion) if has_test[shown] else "it has no test"
    )
    few = min(_IN_FIGURE, len(top))
    count = int(found.significant.sum())
    forest = neuron_figures.effect_sizes(
        [names[j] for j in top[:few]],
        found.d[top[:few]],
        low[:few],
        high[:few],
        found.significant[top[:few]],
        title=f"The largest effects of {where}: {few} neurons, chosen by their p, which "
        "overstates them",
        subtitle=reading.told(where, str(criterion)),
        xlabel=f"Cohen's {criterion.effect}, with its 95% interval{criterion.assumes}",
        ylabel="neuron",
        groups=contrast.groups,
    )
    every = _statistics(contrast, tuning, criterion, reading.layers, reading.names, reading)
    alone = _statistics(contrast, (found,), criterion, (layer,), (where,), reading)
    finding = (
        f"Significant at {where}: {count} of {has_test.sum()} neurons that were tested. The "
        f"furthest is neuron {names[order[0]]}: {best}."
    )
    if not criterion.is_paired and min(contrast.sizes) < _FEW:
        finding += (
            f" With {min(contrast.sizes)} sentences in a group its p rests on normal activations, "
            "which neurons' are not; trust what stands beside the null."
        )
    return Result(
        tables={"neurons": table},
        figures={
            "t_values": alone[layer],
            "effect_sizes": forest,
            "neuron": one_neuron(sentences, i, shown, of_shown, where, reading),
        },
        images={"t_values": every},
        finding=finding + f" {gap}." * bool(untested),
    )


def one_neuron(
    contrast: Contrast, i: int, neuron: int, said: str, where: str, reading: Reading
) -> "Figure":
    """Draw one neuron over sentences, and what is said of it."""
    from . import neuron_figures

    places, names = contrast.places
    return neuron_figures.sentence_values(
        contrast.points(i)[:, neuron],
        contrast.in_first,
        places,
        names,
        title=f"Neuron {contrast.neurons[neuron]} of {where}: {said}",
        subtitle=reading.told(),
        ylabel="activation",
        xlabel=contrast.places_are,
        groups=contrast.groups,
    )


def _of_neuron(found: Tuning, j: int, contrast: Contrast, criterion: Criterion) -> str:
    statistic, d = float(found.statistic[j]), found.d[j]
    low, high = d_interval(np.array([d]), *contrast.sizes, paired=criterion.is_paired)
    one, other = contrast.groups
    verdict = f"larger for {one if statistic > 0 else other}"
    if not found.significant[j]:
        verdict = f"does not tell {one} from {other}"
    return (
        f"{verdict} ({criterion.statistic} = {statistic:.3g}, {criterion.effect} = {d:.3g} "
        f"[{low[0]:.3g}, {high[0]:.3g}], corrected {p_in_words(float(found.p_corrected[j]))})"
    )


def _statistics(
    contrast: Contrast,
    tuning: tuple[Tuning, ...],
    criterion: Criterion,
    layers: tuple[int, ...],
    names: tuple[str, ...],
    reading: Reading,
) -> "dict[int, Figure]":
    from . import neuron_figures

    one, other = contrast.groups
    counts = [(int(found.significant.sum()), np.isfinite(found.p).sum()) for found in tuning]
    return neuron_figures.neuron_statistics(
        layers,
        np.array([found.statistic for found in tuning]),
        np.array([found.significant for found in tuning]),
        contrast.neurons,
        titles=[
            f"{count} of {tested} neurons of {where} tell {one} from {other}"
            for (count, tested), where in zip(counts, names, strict=True)
        ],
        subtitle=reading.told(str(criterion)),
        ylabel=f"{criterion.statistic} of a neuron",
        groups=contrast.groups,
    )
