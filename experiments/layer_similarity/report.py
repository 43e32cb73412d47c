"""Sentences and tables of `layer_similarity`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.metrics import Metric
from interp.results.result import Series
from interp.stats.calibration import Calibration, describe_layers

from .measures import ReferenceComparison

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What was compared, in the words that the finding, the tables and the figures share.

    Attributes:
        layers: that were compared.
        groups: the names of the two groups.
        counts: how many points each group has.
        units: what the points are: "prompts" or "tokens".
        model: the model's title.
        position: which tokens were read, in words.
        hook: the label of the hook point.
        metric: the similarity or distance.
        reduction: the name of the reduction; "" for none.
        reader: the model whose unembedding the points were read through; "" for none.
        permutations: how many permutations the null has.
        alpha: the corrected p below which a layer is significant.
        reference: the reference model's title; "" for none.
        seeds: how many seeds of the reference model were read.
    """

    layers: tuple[int, ...]
    groups: tuple[str, str]
    counts: tuple[int, int]
    units: str
    model: str
    position: str
    hook: str
    metric: Metric
    reduction: str
    reader: str
    permutations: int
    alpha: float
    reference: str = ""
    seeds: int = 0

    @property
    def both(self) -> str:
        """The groups in one phrase: "digits and words"."""
        return " and ".join(self.groups)

    @property
    def setting(self) -> str:
        """Where the points come from and how they were compared, on one line."""
        first, second = self.counts
        parts = (
            self.model,
            f"position: {self.position}",
            f"{first} and {second} {self.units}",
            self.reader and f"read through the {self.reader}",
            self.reduction,
            f"{self.permutations} permutations",
        )
        return " · ".join(part for part in parts if part)

    @property
    def permuted(self) -> str:
        """What the null permutes."""
        return "pairs of prompts permuted" if self.metric.paired else "group labels permuted"

    @property
    def depart(self) -> str:
        """The departure from the null that the test looks for."""
        return "are closer" if self.metric.paired else "differ more"

    @property
    def reference_label(self) -> str:
        """The reference model's title, with the number of its seeds where there are several."""
        return f"{self.reference}, {self.seeds} seeds" if self.seeds > 1 else self.reference


def describe_significance(found: Calibration, words: Comparison) -> str:
    """Return at which layers the groups depart from the null, as a clause."""
    where = describe_layers(words.layers, found.significant)
    return f"{words.both} {words.depart} than chance at {where}"


def describe_finding(
    found: Calibration, reference: ReferenceComparison | None, words: Comparison
) -> str:
    """Return where the similarity is significant, how large it is, and what a reference shows."""
    test, peak = found.test, int(found.excess.argmax())
    finding = (
        f"{describe_significance(found, words)} (p < {words.alpha:g}, corrected over layers). "
        f"The largest difference from the null in that direction is at layer "
        f"{words.layers[peak]}: {words.metric.label} {found.observed[peak]:.3f}, null "
        f"{test.null_mean[peak]:.3f} [{test.null_low[peak]:.3f}, {test.null_high[peak]:.3f}], "
        f"z = {test.z[peak]:.1f}, corrected p = {test.p_corrected[peak]:.3g}."
    )
    finding += found.describe_smallest_p(words.alpha)
    finding += found.describe_opposite_tail(words.layers, words.metric, words.alpha)
    if words.reader:
        finding += f" Read through the {words.reader}."
    if reference:
        finding += f" {_describe_reference(reference, words)}"
    return finding


def _describe_reference(found: ReferenceComparison, words: Comparison) -> str:
    if found.test is None:
        where = describe_layers(words.layers, found.significant)
        return f"In {words.reference} they {words.depart} than chance at {where}."
    if 1 / (words.seeds + 1) >= words.alpha:
        return (
            f"{words.seeds} seeds of {words.reference} are too few for p < {words.alpha:g}; set "
            f"reference_draws={math.floor(1 / words.alpha)} or more."
        )
    where = describe_layers(words.layers, found.test.p_corrected < words.alpha)
    return (
        f"The score lies {'above' if words.metric.paired else 'below'} that of "
        f"{words.reference_label}, at {where} (p < {words.alpha:g}, corrected over layers)."
    )


def scalars(
    found: Calibration, reference: ReferenceComparison | None, words: Comparison
) -> dict[str, float]:
    """Return the numbers at the layer furthest from the null, and counts of significant layers."""
    peak = int(found.excess.argmax())
    numbers = {
        "peak_layer": words.layers[peak],
        "peak_value": float(found.observed[peak]),
        "peak_excess": float(found.observed[peak] - found.test.null_mean[peak]),
        "peak_z": float(found.test.z[peak]),
        "peak_p_corrected": float(found.test.p_corrected[peak]),
        "peak_score": float(found.score[peak]),
        "significant_layers": int(found.significant.sum()),
    }
    if reference and reference.test:
        beyond = reference.test.p_corrected < words.alpha
        numbers["layers_beyond_reference"] = int(beyond.sum())
    return numbers


def tables(
    found: Calibration, reference: ReferenceComparison | None, words: Comparison
) -> "dict[str, pd.DataFrame]":
    """Return the summary, one row per layer, and the scores of each seed of the reference."""
    import pandas as pd

    label = words.metric.label
    summary = found.summary({"layer": words.layers}, label)
    if reference is None:
        return {"summary": summary}
    summary[f"{label} (reference, mean)"] = reference.mean_value
    summary["score (reference, median)"] = reference.median_score
    if reference.test:
        summary["p (compared with reference)"] = reference.test.p_corrected
    scores = pd.DataFrame(reference.scores, columns=[str(layer) for layer in words.layers])
    return {"summary": summary, "reference_scores": scores.rename_axis("seed").reset_index()}


def reference_series(
    reference: ReferenceComparison | None, layers: tuple[int, ...]
) -> dict[str, Series]:
    """Return the reference model's curves, which are logged with the model's own."""
    if reference is None:
        return {}
    curves = {
        "reference_value": reference.mean_value,
        "reference_score": reference.median_score,
    }
    if reference.test:
        curves["reference_score_low"] = reference.scores.min(0)
        curves["reference_score_high"] = reference.scores.max(0)
        curves["reference_p_corrected"] = reference.test.p_corrected
    return {name: Series.over(layers, values) for name, values in curves.items()}
