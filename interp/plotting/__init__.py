"""Every matplotlib line: one palette, one style, figures that one would print."""

from interp.plotting.animations import gif, player
from interp.plotting.curves import Statistic, similarity_over_layers, statistics_over_layers
from interp.plotting.heatmaps import (
    component_heatmap,
    head_heatmap,
    layer_matrix,
)
from interp.plotting.layouts import Layout, layout_frames, layout_panels
from interp.plotting.spectra import (
    SpectrumBand,
    correlation_matrix,
    embedding_pair,
    singular_vectors,
    spectra,
    spectra_over_layers,
    vocabulary_projection,
)
from interp.plotting.style import pixels, save

__all__ = [
    "Layout",
    "SpectrumBand",
    "Statistic",
    "component_heatmap",
    "correlation_matrix",
    "embedding_pair",
    "gif",
    "head_heatmap",
    "layer_matrix",
    "layout_frames",
    "layout_panels",
    "pixels",
    "player",
    "save",
    "similarity_over_layers",
    "singular_vectors",
    "spectra",
    "spectra_over_layers",
    "statistics_over_layers",
    "vocabulary_projection",
]
