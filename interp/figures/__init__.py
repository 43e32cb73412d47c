"""Every matplotlib line: one palette, one style, figures that one would print."""

from interp.figures.animations import gif, player
from interp.figures.curves import Statistic, similarity_over_layers, statistics_over_layers
from interp.figures.doses import DoseBand, DoseCurve, dose_curves
from interp.figures.heatmaps import (
    calibrated_scores,
    component_heatmap,
    head_heatmap,
    layer_matrix,
    pair_tables,
)
from interp.figures.histograms import null_distributions
from interp.figures.layouts import Layout, layout_frames, layout_panels
from interp.figures.spectra import (
    SpectrumBand,
    correlation_matrix,
    embedding_pair,
    singular_vectors,
    spectra,
    spectra_over_layers,
    spectra_together,
    vocabulary_projection,
)
from interp.figures.style import pixels, save

__all__ = [
    "DoseBand",
    "DoseCurve",
    "Layout",
    "SpectrumBand",
    "Statistic",
    "calibrated_scores",
    "component_heatmap",
    "correlation_matrix",
    "dose_curves",
    "embedding_pair",
    "gif",
    "head_heatmap",
    "layer_matrix",
    "layout_frames",
    "layout_panels",
    "null_distributions",
    "pair_tables",
    "pixels",
    "player",
    "save",
    "similarity_over_layers",
    "singular_vectors",
    "spectra",
    "spectra_over_layers",
    "spectra_together",
    "statistics_over_layers",
    "vocabulary_projection",
]
