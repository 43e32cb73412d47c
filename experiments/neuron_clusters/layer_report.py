"""Sentences, series and tables of `neuron_clusters` over layers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.captions import Caption, values_with_p
from interp.results.result import Series
from interp.stats.observations import ObservationGroups
from interp.stats.tested_series import TestedSeries

from .contrast import Contrast
from .criterion import Criterion
from .layer_tests import LayerTests

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared, and how it is called in sentences, tables and figures.

    Attributes:
        sentences: the sentences of both groups.
        tested: the same averaged for tests, one row per observation.
        shared: what sentences of one observation have in common.
        criterion: what makes a neuron significant.
        caption: the model, the hook and the layers in words.
    """

    sentences: Contrast
    tested: Contrast
    shared: ObservationGroups
    criterion: Criterion
    caption: Caption

    @property
    def groups(self) -> tuple[str, str]:
        """The names of both groups."""
        return self.sentences.groups

    @property
    def permuted(self) -> str:
        """What the null permutes."""
        if self.tested.are_pairs:
            return "groups exchanged within pairs of sentences"
        return "groups permuted among sentences"


def quantity_labels(criterion: Criterion) -> dict[str, str]:
    """Return the label of each quantity of `LayerTests`."""
    return {
        "significant": "significant neurons",
        "effect_size": f"mean |{criterion.effect}| over neurons",
        "probe_accuracy": "accuracy of a linear probe, held out",
    }


def describe_sizes(sentences: Contrast, tested: Contrast, shared: ObservationGroups) -> str:
    """Return how many sentences there are, and what the tests count where that differs."""
    if not shared.name:
        return sentences.description
    return f"{sentences.description}, tested by {shared.label} (n = {tested.n_observations})"


def describe_observations(comparison: Comparison) -> str:
    """Return what counts as one observation, where that is not a sentence; "" where it is."""
    if not comparison.shared.name:
        return ""
    counted = comparison.shared.describe(comparison.tested.n_observations)
    return (
        f"Tests count {counted}: sentences that share it are averaged, as they are no independent "
        "evidence for other words."
    )


def describe_significance(found: LayerTests, comparison: Comparison) -> str:
    """Return at which layers neurons distinguish the groups."""
    one, other = comparison.groups
    alpha, caption = comparison.criterion.alpha, comparison.caption
    if found.share_unchanged >= alpha:
        return f"{caption.group_phrase}: too few sentences or permutations to reach p < {alpha:g}"
    # By the effect size: the number of significant neurons is bounded by all neurons, and reaches
    # that bound under permutations too where neurons are few or alike.
    significant = found.tests["effect_size"].p_corrected < alpha
    return f"Neurons distinguish {one} from {other} at {caption.name_layers(significant)}"


def describe_finding(found: LayerTests, comparison: Comparison) -> str:
    """Return at which layers neurons distinguish the groups, and the numbers at the strongest."""
    criterion, caption, top = comparison.criterion, comparison.caption, found.strongest
    count, size, accuracy = found.tests.values()
    has_test = found.neurons[top].has_test
    # Dependent neurons become significant together: mostly none, and now and then very many.
    wide = count.null_high[top] > 0.1 * len(has_test)
    because = ", wide because neurons depend on each other" * bool(wide)
    mean_d = f"mean |{criterion.effect}|"
    return (
        f"{describe_significance(found, comparison)} ({mean_d} over neurons, p < "
        f"{criterion.alpha:g}, corrected over {caption.unit}s). Most neurons are significant at "
        f"{caption.names[top]}: {found.significant[top, 0]:.0f} of {has_test.sum()} "
        f"({criterion}), null {count.null_low[top]:.0f} to {count.null_high[top]:.0f} (95% of "
        f"permutations{because}), corrected p = {count.p_corrected[top]:.2g}; {mean_d} "
        f"{found.effect_size[top, 0]:.2f}, null {size.null_mean[top]:.2f}, corrected p = "
        f"{size.p_corrected[top]:.2g}. There a linear probe classifies "
        f"{found.probe_accuracy[top, 0]:.0%} of held-out sentences correctly, null "
        f"{accuracy.null_mean[top]:.0%}, corrected p = {accuracy.p_corrected[top]:.2g}."
    )


def tested_series(found: LayerTests, comparison: Comparison) -> tuple[TestedSeries, ...]:
    """Return the number of significant neurons, their effect size and the probe's accuracy."""
    labels = quantity_labels(comparison.criterion)
    return tuple(
        TestedSeries.from_test(
            name,
            labels[name],
            comparison.caption.layers,
            values[:, 0],
            found.tests[name],
            direction="greater",
            alpha=comparison.criterion.alpha,
            n_permutations=found.n_permutations,
        )
        for name, values in found.quantities.items()
    )


def untested_series(found: LayerTests, comparison: Comparison) -> dict[str, Series]:
    """Return the share of neurons that are significant."""
    n_neurons = len(found.neurons[0].p)
    share = found.significant[:, 0] / n_neurons
    return {"significant_share": Series.over(comparison.caption.layers, share)}


def scalars(found: LayerTests) -> dict[str, float]:
    """Return the numbers at the strongest layer, and the best accuracy."""
    top = found.strongest
    return {
        "most_significant": float(found.significant[top, 0]),
        "most_significant_p": float(found.tests["significant"].p_corrected[top]),
        "best_probe_accuracy": float(found.probe_accuracy[:, 0].max()),
    }


def summary(found: LayerTests, comparison: Comparison) -> "pd.DataFrame":
    """Return one row per layer: each quantity with its corrected p."""
    import pandas as pd

    caption = comparison.caption
    count, size, accuracy = found.tests.values()
    with_p = zip(found.significant[:, 0], count.p_corrected, strict=True)
    return pd.DataFrame(
        {
            caption.unit: caption.ticks or caption.layers,
            "tested neurons": np.array([tests.has_test.sum() for tests in found.neurons]),
            "significant": [f"{n:.0f} (p {p:.2g})" for n, p in with_p],
            f"mean |{comparison.criterion.effect}|": values_with_p(found.effect_size[:, 0], size),
            "probe accuracy": values_with_p(found.probe_accuracy[:, 0], accuracy),
        }
    )
