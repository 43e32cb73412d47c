"""At which layers do neurons tell the groups apart: how many, how strongly, how well together?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.order import folds
from interp.metrics.functional.points import Array
from interp.results.captions import Reading, beside, logged
from interp.results.primary_series import Headline
from interp.results.result import Result, Series
from interp.stats import permutation_tests, permutations
from interp.stats.two_sample import corrected

from .contrast import Contrast
from .criterion import Criterion
from .probe import probe_accuracy


@dataclass(frozen=True, eq=False)
class Tuning:
    """What the test says of every neuron of a layer, [neuron] each; NaN where it has no test.

    Attributes:
        statistic: positive where the first group is larger.
        p: two-sided.
        p_corrected: over the neurons of the layer.
        d: Cohen's d.
        significant: whether the corrected p is below the level.
    """

    statistic: Array
    p: Array
    p_corrected: Array
    d: Array
    significant: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measured:
    """The test of every neuron at every layer, and what chance makes of it.

    Attributes:
        tuning: of each layer.
        significant: the number of significant neurons, [layer, 1 + draw], the given labels first.
        effect_size: the mean of |d| over neurons, 0 where none has a test, [layer, 1 + draw].
        probe_accuracy: of a linear probe, [layer, 1 + draw].
        share_alike: the share of draws that divide the sentences as the given labels do.
    """

    tuning: tuple[Tuning, ...]
    significant: Array
    effect_size: Array
    probe_accuracy: Array
    share_alike: float

    @property
    def strongest(self) -> int:
        """The index of the layer with most significant neurons, of the largest effect if tied."""
        return int(np.lexsort((self.effect_size[:, 0], self.significant[:, 0]))[-1])


def measured(
    tested: Contrast,
    sentences: Contrast,
    layers: tuple[int, ...],
    criterion: Criterion,
    permutations: int,
    rng: np.random.Generator,
) -> Measured:
    """Test every neuron of every layer, under the given labels and under draws of others.

    The two sentences of a pair exchange their labels, and where there are no pairs labels are
    shuffled among sentences; at every layer alike. The probe reads every sentence, with the label
    of the observation that it was averaged into, and of its fold.

    Args:
        tested: an observation a row, at least two a group; pairs where the test is of pairs.
        sentences: the sentences that these are the averages of.
        layers: their numbers.
        criterion: what makes a neuron significant.
        permutations: draws of the null.
        rng: where draws and folds come from.
    """
    from tqdm import tqdm

    labels = _labellings(tested, permutations, rng)
    row = sentences.rows_in(tested)
    held_out = folds(tested.observation[row], rng)
    values = np.empty((3, len(layers), len(labels)))
    tuning = []
    for i in tqdm(range(len(layers)), "testing", unit="layer", delay=2, disable=None):
        points = tested.points(i)
        found = tested.compared(points, criterion.test, labels)
        p_corrected = corrected(found.p[0], criterion.correction)
        tuning.append(
            Tuning(
                found.statistic[0],
                found.p[0],
                p_corrected,
                found.d[0],
                p_corrected < criterion.alpha,
            )
        )
        has_test = np.isfinite(found.p[0])
        # What varies by rounding alone may vary with a group, by the length of its words.
        read = sentences.points(i)
        varying = read[:, read.std(0) > sentences.rounding(read)]
        values[:, i] = (
            criterion.significant(found.p[:, has_test]).sum(1),
            np.abs(found.d[:, has_test]).sum(1) / max(has_test.sum(), 1),
            probe_accuracy(varying, labels[:, row], held_out),
        )
    alike = (labels == labels[0]).all(1) | (labels != labels[0]).all(1)
    return Measured(tuple(tuning), values[0], values[1], values[2], float(alike.mean()))


def _labellings(contrast: Contrast, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which sentences are of the first group, the given ones first; [1 + b, sentence]."""
    if contrast.are_pairs:
        swapped = permutations.exchanges(int(contrast.observation.max()) + 1, draws, rng)
        return contrast.in_first ^ swapped[:, contrast.observation]
    rows = np.arange(len(contrast.in_first))
    return permutations.relabellings(rows, contrast.sizes[0], draws, rng)


def over_layers(
    found: Measured, contrast: Contrast, criterion: Criterion, reading: Reading
) -> Result:
    """Hold the number of significant neurons, their effect and a probe against chance, by layer.

    Args:
        found: what was measured.
        contrast: of which sentences.
        criterion: what makes a neuron significant.
        reading: the words for what was read.
    """
    import pandas as pd

    from interp import plotting
    from interp.plotting import Statistic

    layers, alpha, top = reading.layers, criterion.alpha, found.strongest
    panels = {
        "significant": ("significant neurons", found.significant),
        "effect_size": (f"mean |{criterion.effect}| over neurons", found.effect_size),
        "probe_accuracy": ("accuracy of a linear probe, held out", found.probe_accuracy),
    }
    tests = {
        name: permutation_tests.permutation_test(values[:, 0], values[:, 1:], "greater")
        for name, (_, values) in panels.items()
    }
    count, size, accuracy = tests.values()
    one, other = contrast.groups
    # The number of significant neurons cannot exceed all of them, and reaches that by chance too
    # where neurons are few or alike; their effect has no such end.
    verdict = f"Neurons tell {one} from {other} at {reading.where(size.p_corrected < alpha)}"
    if found.share_alike >= alpha:
        verdict = f"{reading.together}: too few sentences or draws to tell from chance"
    neurons = len(found.tuning[0].p)
    has_test = np.array([np.isfinite(tuning.p).sum() for tuning in found.tuning])
    # Dependent neurons are found by chance together: mostly none, and now and then very many.
    wide = count.null_high[top] > 0.1 * neurons
    finding = (
        f"{verdict} (mean |{criterion.effect}| over neurons, p < {alpha:g}, corrected over "
        f"{reading.unit}s). Most neurons at {reading.names[top]}: "
        f"{found.significant[top, 0]:.0f} of {has_test[top]} ({criterion}), by chance "
        f"{count.null_low[top]:.0f} to {count.null_high[top]:.0f} (95% of draws"
        f"{', wide because neurons depend on each other' * bool(wide)}), corrected p = "
        f"{count.p_corrected[top]:.2g}; "
        f"mean |{criterion.effect}| {found.effect_size[top, 0]:.2f}, by chance "
        f"{size.null_mean[top]:.2f}, corrected p = {size.p_corrected[top]:.2g}. There a linear "
        f"probe is right on {found.probe_accuracy[top, 0]:.0%} of held-out sentences, by chance "
        f"{accuracy.null_mean[top]:.0%}, corrected p = {accuracy.p_corrected[top]:.2g}."
    )
    shuffled = (
        "groups exchanged within pairs of sentences"
        if contrast.are_pairs
        else "groups shuffled among sentences"
    )
    curves = plotting.statistics_over_layers(
        layers,
        [Statistic(label, values[:, 0], tests[name]) for name, (label, values) in panels.items()],
        title=verdict,
        subtitle=reading.told(str(criterion), f"{found.significant.shape[1] - 1} draws"),
        xlabel=reading.xlabel,
        null_label=f"95% of the null: {shuffled}",
        alpha=alpha,
        layer_names=reading.ticks,
    )
    series: dict[str, Series] = {
        "significant_share": Series.over(layers, found.significant[:, 0] / neurons)
    }
    for name, (_, values) in panels.items():
        series |= logged(name, layers, values[:, 0], tests[name])
    return Result(
        series=series,
        scalars={
            "most_significant": float(found.significant[top, 0]),
            "most_significant_p": float(count.p_corrected[top]),
            "best_probe_accuracy": float(found.probe_accuracy[:, 0].max()),
        },
        tables={
            "summary": pd.DataFrame(
                {
                    reading.unit: reading.ticks or layers,
                    "tested neurons": has_test,
                    "significant": [
                        f"{n:.0f} (p {p:.2g})"
                        for n, p in zip(found.significant[:, 0], count.p_corrected, strict=True)
                    ],
                    f"mean |{criterion.effect}|": beside(found.effect_size[:, 0], size),
                    "probe accuracy": beside(found.probe_accuracy[:, 0], accuracy),
                }
            )
        },
        figures={"over_layers": curves},
        finding=finding,
        null=shuffled,
        headlines=tuple(
            Headline(name, label, f"{name}_", "greater", alpha)
            for name, (label, _) in panels.items()
        ),
    )
