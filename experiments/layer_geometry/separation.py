"""Are the groups apart? Three measures in all dimensions, none of which the picture decides."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.data.order import units
from interp.data.prompts import PromptSet
from interp.metrics.functional import separation
from interp.metrics.functional.points import Array
from interp.results.captions import Reading, beside, logged
from interp.results.primary_series import Headline
from interp.results.result import Result, Series
from interp.stats import permutation_tests
from interp.stats.permutations import labellings, labellings_within

if TYPE_CHECKING:
    import pandas as pd

# As series are logged, and as figures call them.
_MEASURES = {
    "silhouette": "silhouette",
    "variance_between": "share of variance between groups",
    "centroid_accuracy": "nearest-centroid accuracy",
}


def separated(
    clouds: list[Array],
    samples: "pd.DataFrame",
    prompts: PromptSet,
    reading: Reading,
    permutations: int,
    alpha: float,
    rng: np.random.Generator,
) -> Result:
    """Hold how far the groups are apart against the same with their labels dealt out anew.

    Where all groups are of one size, labels are dealt out anew within each pair of i-th prompts: a
    shift that all pairs share would else be lost among what pairs differ by. Where pairs are too
    few for any p below `alpha`, or there are none, labels are shuffled among prompts, which holds
    for pairs too.

    Args:
        clouds: the points of each layer, [n, d] each.
        samples: prompt and group of each point; at least two groups of two prompts.
        prompts: what the prompts' pairs are.
        reading: the words for what was read.
        permutations: draws of the null.
        alpha: the corrected p below which a layer counts as significant.
        rng: where draws come from.
    """
    import pandas as pd
    from tqdm import tqdm

    from interp import plotting
    from interp.plotting import Statistic

    layers = reading.layers
    prompt_of_row = samples["prompt"].to_numpy()
    given = np.array([reading.groups.index(group) for group in samples["group"]])
    labels, shuffled = _dealt(given, prompt_of_row, prompts, permutations, alpha, rng)
    measured = np.empty((len(_MEASURES), len(layers), len(labels)))
    for i, x in enumerate(tqdm(clouds, "separating", unit="layer", delay=2, disable=None)):
        measured[:, i] = (
            separation.silhouette_of_points(x, labels),
            separation.variance_between(x, labels),
            separation.nearest_centroid_accuracy(x, labels, prompt_of_row),
        )
    tests = [
        permutation_tests.permutation_test(values[:, 0], values[:, 1:], "greater")
        for values in measured
    ]
    silhouette, _, accuracy = measured[:, :, 0]
    passes = tests[0].p_corrected < alpha
    top = int(silhouette.argmax())
    groups = reading.together
    verdict = f"{groups} are apart at {reading.where(passes)}"
    if _share_alike(labels) >= alpha:
        verdict = f"{groups}: too few prompts to tell from chance"
    finding = (
        f"{verdict} (silhouette, p < {alpha:g}, corrected over {reading.unit}s). Furthest at "
        f"{reading.names[top]}: silhouette {silhouette[top]:.2f}, chance "
        f"{tests[0].null_mean[top] + 0:.2f} [{tests[0].null_low[top]:.2f}, "
        f"{tests[0].null_high[top]:.2f}], corrected p = {tests[0].p_corrected[top]:.2g}; a "
        f"held-out prompt lies nearest to its own group's mean in {accuracy[top]:.0%} of cases "
        f"(chance {tests[2].null_mean[top]:.0%}, corrected p = {tests[2].p_corrected[top]:.2g})."
    )
    curves = plotting.statistics_over_layers(
        layers,
        [
            Statistic(label, values[:, 0], test)
            for label, values, test in zip(_MEASURES.values(), measured, tests, strict=True)
        ],
        title=verdict,
        subtitle=reading.told("all dimensions", f"{len(labels) - 1} draws"),
        xlabel=reading.xlabel,
        null_label=f"95% of the null: {shuffled}",
        alpha=alpha,
        layer_names=reading.ticks,
    )
    series: dict[str, Series] = {}
    for name, values, test in zip(_MEASURES, measured, tests, strict=True):
        series |= logged(name, layers, values[:, 0], test)
    return Result(
        series=series,
        scalars={
            "best_silhouette": float(silhouette[top]),
            "best_silhouette_p": float(tests[0].p_corrected[top]),
            "best_centroid_accuracy": float(accuracy.max()),
        },
        tables={
            "summary": pd.DataFrame(
                {
                    "silhouette": beside(silhouette, tests[0]),
                    "centroid accuracy": beside(accuracy, tests[2]),
                }
            )
        },
        figures={"separation": curves},
        finding=finding,
        null=shuffled,
        headlines=tuple(
            Headline(name, label, f"{name}_", "greater", alpha) for name, label in _MEASURES.items()
        ),
    )


def _dealt(
    given: NDArray[np.intp],
    prompt_of_row: NDArray[np.intp],
    prompts: PromptSet,
    permutations: int,
    alpha: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.intp], str]:
    """Return labels [1 + draw, row], the given ones first, and how they are dealt out."""
    unit, part = units(prompts)
    sets = len(np.unique(part))
    if sets > 1:
        labels = labellings_within(given, unit[prompt_of_row], permutations, rng)
        if _share_alike(labels) < alpha:
            within = "pairs" if sets == 2 else "sets"
            return labels, f"labels shuffled within {within} of prompts"
    labels = labellings(given, prompt_of_row, permutations, rng)
    return labels, "labels shuffled among prompts"


def _share_alike(labels: NDArray[np.intp]) -> float:
    """Return the share of labellings that divide the rows as the given one does."""
    # Groups by the row that each appears in first, whatever their numbers.
    first = np.array([np.unique(row, return_index=True)[1][row] for row in labels])
    return float((first == first[0]).all(1).mean())
