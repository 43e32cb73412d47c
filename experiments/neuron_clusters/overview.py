"""What the neurons of a layer hold of the sentences, before any of them is tested."""

import numpy as np

from interp.metrics.functional.points import Array
from interp.results.captions import Reading
from interp.results.result import Result

from .contrast import Contrast
from .criterion import Criterion, p_in_words


def overview(
    contrast: Contrast,
    tested: Contrast,
    i: int,
    order: Array,
    criterion: Criterion,
    reading: Reading,
) -> Result:
    """Draw the activations of one layer: each, by neuron, and by sentence.

    Args:
        contrast: the sentences.
        tested: what they are averaged to for tests, an observation a row.
        i: the index of the layer.
        order: what neurons are put in order by, from the largest; NaN come last, [neuron].
        criterion: the test of the sentences' means.
        reading: the words for what was read.
    """
    import pandas as pd

    from . import neuron_figures

    points, where = contrast.points(i), reading.names[i]
    one, other = contrast.groups
    by_order = np.argsort(-order, kind="stable")
    first, second = contrast.in_first, ~contrast.in_first
    told = reading.told(where)
    by_what = criterion.statistic if tested.can_be_tested else "difference of means"
    heatmap = neuron_figures.activation_heatmap(
        points[:, by_order],
        {one: int(first.sum()), other: int(second.sum())},
        title=f"Activations of {points.shape[1]} neurons in each sentence",
        subtitle=told,
        xlabel=f"neuron, by its {by_what}: larger for {one} on the left, for {other} on the right",
        label="activation; colours end at the 99th percentile",
    )
    means = {one: points[first].mean(0), other: points[second].mean(0)}
    histogram = neuron_figures.activation_histograms(
        means,
        title=f"Mean activation of each neuron over sentences with {one} and with {other}",
        subtitle=told,
        xlabel="mean activation of a neuron over sentences",
    )
    of_sentence = points.mean(1)
    verdict, scalars = _of_means(tested, tested.points(i).mean(1), criterion)
    places, names = contrast.places
    sentences = neuron_figures.sentence_values(
        of_sentence,
        first,
        places,
        names,
        title=f"Mean activation of a sentence, over all neurons: {verdict}",
        subtitle=told,
        ylabel="mean activation over neurons",
        xlabel=contrast.places_are,
        groups=contrast.groups,
    )
    return Result(
        scalars=scalars,
        tables={
            "sentences": pd.DataFrame(
                {
                    "group": np.where(first, one, other),
                    "observation": contrast.observation,
                    "sentence": contrast.texts,
                    "prompts": [len(merged) for merged in contrast.prompts_of_row],
                    "mean activation": of_sentence,
                }
            )
        },
        figures={"activations": heatmap, "mean_activation": histogram, "sentence_means": sentences},
    )


def _of_means(
    contrast: Contrast, of_sentence: Array, criterion: Criterion
) -> tuple[str, dict[str, float]]:
    """Say whether the sentences' means tell the groups apart: one test, with no correction."""
    if not contrast.can_be_tested:
        return "too few sentences to test", {}
    found = contrast.compared(of_sentence[:, None], criterion.test, contrast.in_first[None])
    statistic, p = float(found.statistic[0, 0]), float(found.p[0, 0])
    if np.isnan(p):
        return "it does not vary by more than rounding", {}
    one, other = contrast.groups
    larger = f"larger for {one if statistic > 0 else other}"
    verdict = larger if p < criterion.alpha else f"{one} and {other} do not differ"
    return f"{verdict} ({criterion.statistic} = {statistic:.2g}, {p_in_words(p)})", {
        "sentence_mean_p": p
    }
