"""The similarity of every pair of layers of two models, matched pairs framed."""

import numpy as np
from matplotlib.figure import Figure

from interp.plotting.heatmaps import Cells, Frames, draw_layer_matrix
from interp.plotting.labels import Labels

from .alignment import LayerAlignment


def alignment_heatmap(found: LayerAlignment, alpha: float, title: str, subtitle: str) -> Figure:
    """Draw the similarity of every pair of layers [a, b]; pairs that are not significant hatched.

    Args:
        found: the alignment.
        alpha: the corrected p below which a pair is significant.
        title: of the figure.
        subtitle: the line below it.
    """
    first, second = found.layers
    return draw_layer_matrix(
        Cells(
            [str(layer) for layer in first],
            [str(layer) for layer in second],
            found.scores,
            "correlation over the vocabulary",
            significant=found.p_corrected < alpha,
            faint_label=f"p ≥ {alpha:g}, corrected for all pairs",
        ),
        Labels(title, subtitle, f"layer of {found.titles[1]}", f"layer of {found.titles[0]}"),
        Frames(np.column_stack([found.rows, found.columns]), "matched, for the largest sum"),
        larger_is_closer=True,
        lowest=min(0.0, float(found.scores.min())),
    )
