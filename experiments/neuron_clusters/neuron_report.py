"""Sentences and tables of `neuron_clusters` on the neurons and sentences of one layer."""

from typing import TYPE_CHECKING

import numpy as np

from .criterion import Criterion, format_p
from .layer_report import Comparison
from .layer_tests import NeuronTests
from .ranking import MeanTest, RankedNeurons, d_interval

if TYPE_CHECKING:
    import pandas as pd

# With fewer sentences in a group, p by the t distribution depends on normal activations.
_MIN_GROUP_SIZE = 10


def describe_neurons(ranked: RankedNeurons, where: str, comparison: Comparison) -> str:
    """Return how many neurons of the layer are significant, and the one of the smallest p."""
    tests = ranked.tests
    n, n_tested = len(tests.p), int(tests.has_test.sum())
    sentences = []
    if n_tested:
        strongest = int(ranked.order[0])
        name = comparison.tested.neurons[strongest]
        sentences.append(
            f"Significant at {where}: {tests.significant.sum()} of {n_tested} tested neurons. The "
            f"strongest is neuron {name}: {describe_neuron(tests, strongest, comparison)}."
        )
        smallest = min(comparison.tested.sizes)
        if not comparison.criterion.is_paired and smallest < _MIN_GROUP_SIZE:
            sentences.append(
                f"With {smallest} sentences in a group its p depends on normal activations, which "
                "neurons do not have; rely on the comparison with the null."
            )
    if untested := n - n_tested:
        sentences.append(
            f"{untested} of {n} neurons {'do' if untested != 1 else 'does'} not vary there beyond "
            "rounding, and cannot be tested."
        )
    return " ".join(sentences)


def describe_neuron(tests: NeuronTests, j: int, comparison: Comparison) -> str:
    """Return for which group the neuron of index j is more active, with its test."""
    if not tests.has_test[j]:
        return "it has no test"
    criterion, (one, other) = comparison.criterion, comparison.groups
    statistic, d = float(tests.statistic[j]), tests.d[j]
    low, high = d_interval(np.array([d]), comparison.tested, criterion)
    significance = f"larger for {one if statistic > 0 else other}"
    if not tests.significant[j]:
        significance = f"does not distinguish {one} from {other}"
    return (
        f"{significance} ({criterion.statistic} = {statistic:.3g}, {criterion.effect} = {d:.3g} "
        f"[{low[0]:.3g}, {high[0]:.3g}], corrected {format_p(float(tests.p_corrected[j]))})"
    )


def describe_sentence_means(
    test: MeanTest | None, criterion: Criterion, groups: tuple[str, str]
) -> str:
    """Return for which group sentences' mean activation is larger."""
    if test is None:
        return "too few sentences to test"
    if np.isnan(test.p):
        return "it does not vary by more than rounding"
    one, other = groups
    significance = f"larger for {one if test.statistic > 0 else other}"
    if test.p >= criterion.alpha:
        significance = f"{one} and {other} do not differ"
    return f"{significance} ({criterion.statistic} = {test.statistic:.2g}, {format_p(test.p)})"


def scalars(test: MeanTest | None) -> dict[str, float]:
    """Return p of the test of sentences' means, where it is defined."""
    return {"sentence_mean_p": test.p} if test is not None and np.isfinite(test.p) else {}


def tables(ranked: RankedNeurons, i: int, comparison: Comparison) -> "dict[str, pd.DataFrame]":
    """Return the ranked neurons and the sentences of the layer of index i."""
    sentences = {"sentences": sentence_table(i, comparison)}
    if not len(ranked):
        return sentences
    layer = comparison.caption.layers[i]
    return {"neurons": neuron_table(ranked, layer, comparison), **sentences}


def neuron_table(ranked: RankedNeurons, layer: int, comparison: Comparison) -> "pd.DataFrame":
    """Return one row per ranked neuron: means, difference, test and effect."""
    import pandas as pd

    tests, order, criterion = ranked.tests, ranked.order, comparison.criterion
    names, (one, other) = comparison.tested.neurons, comparison.groups
    return pd.DataFrame(
        {
            "layer": layer,
            "neuron": [names[j] for j in order],
            f"mean {one}": ranked.mean_first,
            f"mean {other}": ranked.mean_second,
            "difference": ranked.mean_first - ranked.mean_second,
            criterion.statistic: tests.statistic[order],
            "p": tests.p[order],
            "p corrected": tests.p_corrected[order],
            criterion.effect: tests.d[order],
            "low": ranked.d_low,
            "high": ranked.d_high,
        }
    )


def sentence_table(i: int, comparison: Comparison) -> "pd.DataFrame":
    """Return one row per sentence, with its mean activation at the layer of index i."""
    import pandas as pd

    contrast, (one, other) = comparison.sentences, comparison.groups
    return pd.DataFrame(
        {
            "group": np.where(contrast.in_first, one, other),
            "observation": contrast.observation,
            "sentence": contrast.texts,
            "prompts": [len(averaged) for averaged in contrast.prompts_of_row],
            "mean activation": contrast.points(i).mean(1),
        }
    )
