"""The alignment of two models' layers as a finding, tables and a tested series."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.result import Result, Series
from interp.stats.tested_series import TestedSeries

from .alignment import AlignmentTest, LayerAlignment

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Wording:
    """What was compared, as sentences name it.

    Attributes:
        subject: "MLP outputs".
        sample: how much was compared: "128 of 1536 neurons per layer, each with its best match".
    """

    subject: str
    sample: str


def alignment_result(found: LayerAlignment, wording: Wording, alpha: float) -> Result:
    """Report which layers are matched, and whether they are more similar than under both nulls.

    Args:
        found: the alignment.
        wording: what was compared.
        alpha: the p below which the matching, and the corrected p below which a pair of layers,
            counts as significant.
    """
    from .figures import alignment_heatmap

    layers = [layer for layer, _ in found.matches]
    n = len(layers)
    title = _title(found, wording, alpha)
    subtitle = f"{found.n_words:,} shared words · {wording.sample}"
    return Result(
        tested=(
            TestedSeries(
                "matched_correlation",
                "correlation with the matched layer",
                tuple(layers),
                found.matched_scores,
                p_corrected=found.p_corrected[found.rows, found.columns],
                direction="greater",
                alpha=alpha,
                n_permutations=found.n_permutations,
            ),
        ),
        series={"matched_layer": Series.over(layers, [other for _, other in found.matches])},
        scalars={
            "mean_matched_correlation": float(found.matched_scores.sum() / n),
            "assignment_p": found.matching_p,
            "matched_with_own_number": found.same_number / n,
            "matched_with_own_number_p": found.same_number_p,
        },
        tables={"summary": _matched_layers(found), "pairs": _pairs(found)},
        figures={"alignment": alignment_heatmap(found, alpha, title, subtitle)},
        finding=_finding(found, wording, alpha, title),
        null=f"{found.tests[0].name} of one model; {found.tests[1].name}",
    )


def _title(found: LayerAlignment, wording: Wording, alpha: float) -> str:
    """Return the answer in one clause."""
    subject = f"{wording.subject} of {found.titles[0]} and {found.titles[1]}"
    if 1 / (found.n_permutations + 1) >= alpha:
        return f"{subject}: too few permutations for significance"
    return f"{subject} are {'' if found.matching_p < alpha else 'no '}more similar than chance"


def _finding(found: LayerAlignment, wording: Wording, alpha: float, title: str) -> str:
    n = len(found.matches)
    nulls = ", ".join(f"with {test.name} {_null_mean(test, n)}" for test in found.tests)
    significant = int((found.p_corrected < alpha).sum())
    matches = ", ".join(f"{one} with {other}" for one, other in found.matches)
    return (
        f"{title} (p < {alpha:g} against both nulls): matched layers have a mean correlation of "
        f"{found.matched_scores.sum() / n:.3f}, {nulls} ({found.n_permutations} permutations per "
        f"null; {found.n_words} shared words; {wording.sample}). {significant} of "
        f"{found.scores.size} pairs of layers correlate more than under both nulls (p < {alpha:g}, "
        f"corrected for all pairs). {found.same_number} of {n} layers are matched with the layer "
        f"of the same number (p = {found.same_number_p:.2g} against random matchings): {matches}."
    )


def _null_mean(test: AlignmentTest, layers: int) -> str:
    """Return the null's mean correlation of matched layers, its 95% band and p."""
    null = test.matching
    mean, low, high = (
        value[0] / layers for value in (null.null_mean, null.null_low, null.null_high)
    )
    return f"{mean:.3f} [{low:.3f}, {high:.3f}] (p = {null.p[0]:.2g})"


def _matched_layers(found: LayerAlignment) -> "pd.DataFrame":
    """Return one row per matched layer of the first model."""
    import pandas as pd

    return pd.DataFrame(
        {
            "layer": [one for one, _ in found.matches],
            "matched with": [other for _, other in found.matches],
            "correlation": found.matched_scores,
            "p (corrected)": found.p_corrected[found.rows, found.columns],
        }
    )


def _pairs(found: LayerAlignment) -> "pd.DataFrame":
    """Return one row per pair of layers, with the mean of each null."""
    import pandas as pd

    first, second = found.layers
    return pd.DataFrame(
        {
            "layer": np.repeat(first, len(second)),
            "reference layer": np.tile(second, len(first)),
            "correlation": found.scores.ravel(),
            **{test.name: test.pairs.null_mean for test in found.tests},
            "p_corrected": found.p_corrected.ravel(),
        }
    )
