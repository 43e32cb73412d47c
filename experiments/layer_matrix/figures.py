"""The figure of `layer_matrix`."""

import numpy as np
from matplotlib.figure import Figure

from interp import plotting
from interp.plotting import Cells, Frames, Labels

from .measures import LayerPairs
from .report import Comparison, describe_matches


def heatmap(found: LayerPairs, words: Comparison) -> Figure:
    """Draw the value of every pair of layers, and frame the best match of each row."""
    title = describe_matches(found, words)
    if found.calibration.smallest_p >= words.alpha:
        title = "Too few prompts or permutations for any pair of layers to be significant"
    cells = Cells(
        [str(layer) for layer in found.rows],
        [str(layer) for layer in found.columns],
        found.similarity,
        words.metric.label,
        found.significant,
        f"p ≥ {words.alpha:g}, corrected over {len(found.pairs)} pairs",
    )
    best = np.column_stack([np.arange(len(found.rows)), found.best])
    return plotting.draw_layer_matrix(
        cells,
        Labels(
            title,
            words.setting,
            f"layer of {words.reference or words.model} ({words.hook})",
            f"layer of {words.model} ({words.hook})",
        ),
        Frames(best, "highest score of a row"),
        larger_is_closer=words.metric.larger_is_closer,
    )
