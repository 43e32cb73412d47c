"""Sentences and tables of `layer_matrix`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.metrics import Metric
from interp.results.result import Series
from interp.stats.tested_series import TestedSeries

from .measures import LayerPairs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What was compared, in the words that the finding, the tables and the figure share.

    Attributes:
        model: the model's title.
        reference: the reference model's title; "" where layers of one model are compared.
        position: which tokens were read, in words.
        prompts: how many prompts there are.
        hook: the label of the hook point.
        metric: the similarity or distance.
        reduction: the name of the reduction; "" for none.
        reader: the model whose unembedding the points were read through; "" for none.
        permutations: how many permutations the null has.
        alpha: the corrected p below which a pair is significant.
    """

    model: str
    reference: str
    position: str
    prompts: int
    hook: str
    metric: Metric
    reduction: str
    reader: str
    permutations: int
    alpha: float

    @property
    def permuted(self) -> str:
        """What the null permutes."""
        if self.metric.paired:
            return "pairs of prompts permuted"
        return "layers exchanged within prompts"

    @property
    def setting(self) -> str:
        """Where the points come from and how they were compared, on one line."""
        parts = (
            self.model,
            f"position: {self.position}",
            f"{self.prompts} prompts",
            self.reader and f"read through the {self.reader}",
            self.reduction,
            f"null: {self.permuted}, {self.permutations} permutations",
        )
        return " · ".join(part for part in parts if part)

    @property
    def departs(self) -> str:
        """The departure from the null that the test looks for."""
        return "above chance" if self.metric.paired else "apart"

    @property
    def of_reference(self) -> str:
        """Whose the columns are, behind a layer's number; "" within one model."""
        return f" of {self.reference}" if self.reference else ""


def describe_matches(found: LayerPairs, words: Comparison) -> str:
    """Return how many layers have a match in the reference, or a neighbour as their best match."""
    n = len(found.rows)
    if words.reference:
        return f"{found.matched} of {n} layers have a match {words.departs} in {words.reference}"
    return f"The best match of {found.neighbouring} of {n} layers is a neighbouring one"


def describe_finding(found: LayerPairs, words: Comparison) -> str:
    """Return how many pairs are significant, which has the highest score, and what matches what."""
    of, top = found.calibration, int(found.calibration.score.argmax())
    i, j = found.pairs[top]
    finding = (
        f"{int(of.significant.sum())} of {len(found.pairs)} pairs of layers are {words.departs} "
        f"(p < {words.alpha:g}, corrected over all pairs). The highest score is that of layer "
        f"{found.rows[i]} and layer {found.columns[j]}{words.of_reference}: {words.metric.label} "
        f"{of.observed[top]:.3f}, null {of.test.null_mean[top]:.3f}, score {of.score[top]:.2f}, "
        f"corrected p = {of.test.p_corrected[top]:.3g}."
    )
    return f"{finding} {describe_matches(found, words)}.{of.describe_smallest_p(words.alpha)}"


def best_matches(found: LayerPairs, words: Comparison) -> TestedSeries:
    """Return each layer's similarity to its best match.

    Its p is corrected over all pairs of layers; an uncorrected one would ignore that the best of
    several layers was chosen.
    """
    of, pair = found.calibration, found.best_pair
    return TestedSeries(
        "best_value",
        f"{words.metric.label}, to the most similar layer",
        found.rows,
        of.observed[pair],
        null_mean=of.test.null_mean[pair],
        null_low=of.test.null_low[pair],
        null_high=of.test.null_high[pair],
        p_corrected=of.test.p_corrected[pair],
        score=of.score[pair],
        direction=of.tail,
        alpha=words.alpha,
        n_permutations=words.permutations,
    )


def best_layers(found: LayerPairs) -> Series:
    """Return the number of each layer's best match."""
    return Series.over(found.rows, np.array(found.columns)[found.best])


def scalars(found: LayerPairs, words: Comparison) -> dict[str, float]:
    """Return counts of significant pairs and layers, and the highest score."""
    numbers: dict[str, float] = {"significant_pairs": int(found.calibration.significant.sum())}
    if words.metric.paired:
        numbers["matched_layers"] = found.matched
    numbers["closest_score"] = float(found.calibration.score.max())
    return numbers


def tables(found: LayerPairs, words: Comparison) -> "dict[str, pd.DataFrame]":
    """Return the pairs, one row each; the best match of each layer; and the matrix of values."""
    import pandas as pd

    rows, columns = found.rows, np.array(found.columns)
    numbers: dict[str, object] = {
        "layer": [rows[i] for i, _ in found.pairs],
        "other": [found.columns[j] for _, j in found.pairs],
    }
    pairs = found.calibration.summary(numbers, words.metric.label)
    best = pairs.iloc[found.best_pair].assign(layer=rows, other=columns[found.best])
    matrix = pd.DataFrame(found.similarity, rows, [str(column) for column in found.columns])
    return {
        "pairs": pairs,
        "summary": best.rename(columns={"other": f"best match{words.of_reference}"}),
        "matrix": matrix.rename_axis("layer").reset_index(),
    }
