"""The figure of `token_similarity`."""

import numpy as np
from matplotlib.figure import Figure

from interp import plotting
from interp.stats.calibration import Calibration

from .report import Comparison, describe_significance


def similarity_curve(found: Calibration, words: Comparison) -> Figure:
    """Draw the similarity of the two tokens over layers, with that of other pairs as its null."""
    title = f"{words.tokens[0]!r}: too few other pairs to be significant"
    if found.smallest_p < words.alpha:
        title = describe_significance(found, words)
    return plotting.similarity_over_layers(
        words.layers,
        found.observed,
        found.test,
        found.significant,
        found.score,
        np.empty((0, len(words.layers))),
        title=title,
        subtitle=words.setting,
        xlabel=f"layer ({words.hook})",
        ylabel=words.metric.label,
        null_label="95% of the null: other pairs of tokens",
        significant_label=f"p < {words.alpha:g}, corrected over layers",
        other_label=f"p ≥ {words.alpha:g}, corrected over layers",
        label=words.model,
        reference_label="",
    )
