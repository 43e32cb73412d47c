"""The figure of `layer_matrix`."""

import numpy as np
from matplotlib.figure import Figure

from interp import plotting

from .measures import LayerPairs
from .report import Comparison, describe_matches


def heatmap(found: LayerPairs, words: Comparison) -> Figure:
    """Draw the value of every pair of layers, and frame the best match of each row."""
    title = describe_matches(found, words)
    if found.calibration.smallest_p >= words.alpha:
        title = "Too few prompts or permutations for any pair of layers to be significant"
    return plotting.layer_matrix(
        found.rows,
        found.columns,
        found.similarity,
        found.significant,
        np.column_stack([np.arange(len(found.rows)), found.best]),
        title=title,
        subtitle=words.setting,
        ylabel=f"layer of {words.model} ({words.hook})",
        xlabel=f"layer of {words.reference or words.model} ({words.hook})",
        framed_label="highest score of a row",
        label=words.metric.label,
        faint_label=f"p ≥ {words.alpha:g}, corrected over {len(found.pairs)} pairs",
        larger_is_closer=words.metric.larger_is_closer,
    )
