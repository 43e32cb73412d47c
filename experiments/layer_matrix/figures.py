"""The figure of `layer_matrix`."""

import numpy as np
from matplotlib.figure import Figure

from interp.plotting.heatmaps import Cells, Frames, draw_layer_matrix
from interp.plotting.labels import Labels

from .measures import LayerPairs
from .report import Comparison, describe_matches


def heatmap(found: LayerPairs, words: Comparison) -> Figure:
    """Draw the value of every pair of layers, and frame the best match of each row."""
    title = describe_matches(found, words)
    if found.calibration.smallest_p >= words.alpha:
        title = "Too few prompts or permutations to test pairs of layers"
    cells = Cells(
        [str(row) for row in found.rows],
        [str(column) for column in found.columns],
        found.similarity,
        words.metric.label,
        found.significant,
        f"p ≥ {words.alpha:g}, corrected over {len(found.pairs)} pairs",
    )
    labels = Labels(
        title,
        words.setting,
        xlabel=f"layer of {words.reference or words.model} ({words.hook})",
        ylabel=f"layer of {words.model} ({words.hook})",
    )
    best = np.column_stack([np.arange(len(found.rows)), found.best])
    return draw_layer_matrix(
        cells,
        labels,
        Frames(best, "highest score of a row"),
        larger_is_closer=words.metric.larger_is_closer,
    )
