"""The figures of a model of modular addition, drawn from what was measured of it."""

from typing import TYPE_CHECKING

import numpy as np

from interp import plotting
from interp.plotting.style import Array

from .attention_figures import AttentionPatterns, attention_patterns
from .fourier import component_names, fourier_basis
from .fourier_figures import (
    FourierBasis,
    PowerSpectrum,
    VectorsOverNumbers,
    basis_figure,
    power_spectra,
    singular_vectors_over_numbers,
)
from .logit_figures import WaveCoefficients, wave_coefficients
from .measurements import Measurements
from .neuron_figures import NeuronFractions, neuron_fractions
from .neurons import FOLLOWS
from .number_map_figures import NumberMaps, ProductSpectrum, number_maps, product_spectrum
from .titles import titles
from .training_figures import training_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_N_NEURONS = 8
_FEWEST_VECTORS, _MOST_VECTORS = 4, 10
_MATRICES = {
    "W_E": "W_E, the embedding",
    "W_neur": "W_neur = W_E W_V W_O W_in, all heads",
    "W_logit": "W_logit = W_out W_U",
}


def figures(found: Measurements) -> "dict[str, Figure]":
    """Draw all figures; the training only where its history is known."""
    drawn = {
        **_attention(found),
        **_weights(found),
        **_singular_vectors(found),
        **_neurons(found),
        "logits": _logits(found),
    }
    return drawn | ({"training": training_figure(found.history)} if found.history else {})


def _attention(found: Measurements) -> "dict[str, Figure]":
    words, predictions = titles(found), found.predictions
    tokens = found.example.tokens
    to_a = predictions.attention_to_a
    return {
        "attention": attention_patterns(
            AttentionPatterns(
                predictions.mean_attention,
                found.example.pattern.astype(np.float64),
                ("a", "b", "="),
                tokens,
                mean_name="from “=”, mean of all pairs",
                example_name=f"in “{' '.join(tokens)}”, rows attend to columns",
            ),
            **words["attention"],
        ),
        "attention_to_a": number_maps(
            NumberMaps(
                to_a,
                [f"head {head}" for head in range(len(to_a))],
                "attention to a",
                limits=(0.0, 1.0),
                xlabel=_axis("b", predictions.number_axis),
                ylabel=_axis("a", predictions.number_axis),
            ),
            **words["attention_to_a"],
        ),
    }


def _axis(number: str, axis: str) -> str:
    """Return the name of an axis of numbers: "a", or "a, as exponent of 3"."""
    return number if axis == "number" else f"{number}, as {axis}"


def _weights(found: Measurements) -> "dict[str, Figure]":
    words, n = titles(found), len(found.predictions.order)
    return {
        "fourier_basis": basis_figure(
            FourierBasis(
                fourier_basis(n), component_names(n), found.predictions.number_axis, "value"
            ),
            **words["fourier_basis"],
        ),
        "frequencies": power_spectra(
            [
                PowerSpectrum(_MATRICES[name], of.share, of.null_high, of.keys)
                for name, of in found.keys_by_matrix.items()
            ],
            null_label="the strongest where numbers are permuted, 99.9th percentile",
            **words["frequencies"],
        ),
        "heads": power_spectra(
            [
                PowerSpectrum(f"head {head}", share, np.nan, found.keys)
                for head, share in enumerate(found.head_shares)
            ],
            **words["heads"],
        ),
    }


def _singular_vectors(found: Measurements) -> "dict[str, Figure]":
    words, of = titles(found), found.singular_vectors
    shown = of.leading(_FEWEST_VECTORS, _MOST_VECTORS)
    return {
        "singular_values": plotting.spectra(
            "W_E",
            [
                _band("singular value", of.values, of.null),
                _band("share of variance, cumulative", of.cumulative, of.null_cumulative),
            ],
            band_label="its columns permuted, 95%",
            **words["singular_values"],
        ),
        "singular_vectors": singular_vectors_over_numbers(
            VectorsOverNumbers(
                of.vectors[:, shown],
                of.shares_by_frequency(shown),
                of.frequencies[shown],
                [f"singular vector {i + 1}" for i in shown],
                xlabel=found.predictions.number_axis,
                ylabel="entry of U",
            ),
            **words["singular_vectors"],
        ),
    }


def _band(label: str, values: Array, null: Array) -> plotting.SpectrumBand:
    low, high = np.quantile(null, (0.025, 0.975), axis=0)
    return plotting.SpectrumBand(label, values, null.mean(0), low, high)


def _neurons(found: Measurements) -> "dict[str, Figure]":
    words, of, predictions = titles(found), found.neurons, found.predictions
    strongest = of.strongest(found.keys, _N_NEURONS)
    maps = predictions.grouped.mlp_post[..., strongest].astype(np.float64)
    return {
        "neurons": number_maps(
            NumberMaps(
                np.moveaxis(maps, -1, 0),
                [
                    f"neuron {i}: frequency {of.frequency[i]}, {of.explained[i]:.0%}"
                    for i in strongest
                ],
                "activation",
                xlabel=_axis("b", predictions.number_axis),
                ylabel=_axis("a", predictions.number_axis),
            ),
            **words["neurons"],
        ),
        "neuron_components": product_spectrum(
            ProductSpectrum(
                found.components.sizes,
                ["neurons, root mean square", "logits, root mean square"],
                "component",
            ),
            **words["neuron_components"],
        ),
        "neuron_frequencies": neuron_fractions(
            NeuronFractions(
                of.frequency,
                of.explained,
                of.null,
                FOLLOWS,
                found.keys,
                n_frequencies=len(predictions.order) // 2,
                null_label=f"numbers permuted {len(of.null)} times",
            ),
            **words["neuron_frequencies"],
        ),
    }


def _logits(found: Measurements) -> "Figure":
    waves, wave = found.logits.waves, found.predictions.pairs.arithmetic.wave
    return wave_coefficients(
        WaveCoefficients(
            waves.coefficients,
            waves.shares,
            found.keys,
            coefficient_label=f"coefficient of {wave}, w = 2πk / {len(found.predictions.order)}",
            explained_label="fraction of the logits' variance within a pair",
        ),
        **titles(found)["logits"],
    )
