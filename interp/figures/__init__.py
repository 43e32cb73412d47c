"""Every matplotlib line: one palette, one style, figures that one would print."""

from interp.figures.animations import gif, player
from interp.figures.clusters import (
    Partition,
    SilhouetteNull,
    cluster_centroids,
    cluster_layouts,
    cluster_matrices,
    cosine_histogram,
    silhouette_nulls,
)
from interp.figures.comparisons import RunCurve, RunPanel, runs_over_steps
from interp.figures.curves import Statistic, similarity_over_layers, statistics_over_layers
from interp.figures.doses import DoseBand, DoseCurve, dose_curves
from interp.figures.fourier import (
    PowerSpectrum,
    fourier_basis,
    neuron_fractions,
    power_spectra,
    singular_vectors_over_numbers,
    wave_coefficients,
)
from interp.figures.grids import attention_patterns, number_maps, product_spectrum
from interp.figures.heatmaps import (
    calibrated_scores,
    component_heatmap,
    head_heatmap,
    layer_matrix,
    pair_tables,
    values_of_runs,
)
from interp.figures.histograms import null_distributions
from interp.figures.layouts import Layout, layout_frames, layout_panels
from interp.figures.neurons import (
    activation_heatmap,
    activation_histograms,
    effect_sizes,
    neuron_statistics,
    sentence_values,
)
from interp.figures.rotations import Bundle, Estimate, estimates_over_steps, rotations
from interp.figures.spectra import (
    SpectrumBand,
    correlation_matrix,
    embedding_pair,
    singular_vectors,
    spectra,
    spectra_over_layers,
    vocabulary_projection,
)
from interp.figures.style import pixels, save
from interp.figures.training import (
    TrainingCurve,
    TrainingPanel,
    training_curves,
)

__all__ = [
    "Bundle",
    "DoseBand",
    "DoseCurve",
    "Estimate",
    "Layout",
    "Partition",
    "PowerSpectrum",
    "RunCurve",
    "RunPanel",
    "SilhouetteNull",
    "SpectrumBand",
    "Statistic",
    "TrainingCurve",
    "TrainingPanel",
    "activation_heatmap",
    "activation_histograms",
    "attention_patterns",
    "calibrated_scores",
    "cluster_centroids",
    "cluster_layouts",
    "cluster_matrices",
    "component_heatmap",
    "correlation_matrix",
    "cosine_histogram",
    "dose_curves",
    "effect_sizes",
    "embedding_pair",
    "estimates_over_steps",
    "fourier_basis",
    "gif",
    "head_heatmap",
    "layer_matrix",
    "layout_frames",
    "layout_panels",
    "neuron_fractions",
    "neuron_statistics",
    "null_distributions",
    "number_maps",
    "pair_tables",
    "pixels",
    "player",
    "power_spectra",
    "product_spectrum",
    "rotations",
    "runs_over_steps",
    "save",
    "sentence_values",
    "silhouette_nulls",
    "similarity_over_layers",
    "singular_vectors",
    "singular_vectors_over_numbers",
    "spectra",
    "spectra_over_layers",
    "statistics_over_layers",
    "training_curves",
    "values_of_runs",
    "vocabulary_projection",
    "wave_coefficients",
]
