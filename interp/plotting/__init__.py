"""Drawing functions that at least two questions use: one palette, one style."""

from interp.plotting.animations import gif, player
from interp.plotting.curves import ScorePanel, draw_similarity, draw_statistics
from interp.plotting.heatmaps import Cells, Frames, draw_heatmap, draw_layer_matrix
from interp.plotting.labels import Labels
from interp.plotting.layouts import Layout, draw_layout_panels, layout_frames
from interp.plotting.spectra import (
    SpectrumBand,
    spectra,
)
from interp.plotting.style import pixels, save

__all__ = [
    "Cells",
    "Frames",
    "Labels",
    "Layout",
    "ScorePanel",
    "SpectrumBand",
    "draw_heatmap",
    "draw_layer_matrix",
    "draw_layout_panels",
    "draw_similarity",
    "draw_statistics",
    "gif",
    "layout_frames",
    "pixels",
    "player",
    "save",
    "spectra",
]
