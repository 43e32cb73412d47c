"""Every matplotlib line: one palette, one style, figures that one would print."""

from interp.figures.curves import similarity_over_layers
from interp.figures.heatmaps import calibrated_scores, layer_matrix, pair_tables
from interp.figures.histograms import null_distributions
from interp.figures.style import pixels, save

__all__ = [
    "calibrated_scores",
    "layer_matrix",
    "null_distributions",
    "pair_tables",
    "pixels",
    "save",
    "similarity_over_layers",
]
