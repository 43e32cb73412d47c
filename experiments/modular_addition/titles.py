"""The titles of the figures: what each shows, with its numbers."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from .measurements import Measurements
from .neurons import FOLLOWS


class Titles(TypedDict):
    """What stands above a figure.

    Attributes:
        title: what it shows.
        subtitle: of which model, and compared with what.
    """

    title: str
    subtitle: str


def titles(found: Measurements) -> dict[str, Titles]:
    """Return the titles of each figure, by its name."""
    return {
        **_attention_titles(found),
        **_weight_titles(found),
        **_singular_vector_titles(found),
        **_neuron_titles(found),
        "logits": Titles(
            title=f"Waves {found.predictions.pairs.arithmetic.wave} explain "
            f"{found.logits.waves.explained:.1%} of the logits' variance",
            subtitle=f"{found.subject} · where the answers are permuted "
            f"{found.logits.null.mean():.1%}",
        ),
    }


def listed(keys: tuple[int, ...]) -> str:
    """Return frequencies as text: "5, 10", or "none"."""
    return ", ".join(map(str, keys)) or "none"


def _attention_titles(found: Measurements) -> dict[str, Titles]:
    to_a, to_b, to_equals = found.predictions.mean_attention.T
    spread = found.predictions.attention_to_a.std((1, 2))
    most = int(spread.argmax())
    return {
        "attention": Titles(
            title=f"Mean attention of the heads: {_range(to_a)} to a, {_range(to_b)} to b and "
            f"{_range(to_equals)} to “=”",
            subtitle=f"{found.subject} · without a preference: a third each",
        ),
        "attention_to_a": Titles(
            title="Attention from “=” to a, by both numbers",
            subtitle=f"{found.subject} · the rest goes to b and “=”; standard deviation up to "
            f"{spread[most]:.2f} (head {most})",
        ),
    }


def _weight_titles(found: Measurements) -> dict[str, Titles]:
    n = len(found.predictions.order)
    strongest = ", ".join(
        f"{share.argmax() + 1} in head {head}" for head, share in enumerate(found.head_shares)
    )
    share = found.keys_by_matrix["W_logit"].share_at_keys
    return {
        "fourier_basis": Titles(
            title=f"Any function of {n} numbers is a sum of {n} waves",
            subtitle="the orthonormal Fourier basis: constant, and cosine and sine of each "
            "frequency",
        ),
        "frequencies": Titles(
            title=f"{share:.1%} of the power of W_logit is at its key frequencies, "
            f"{listed(found.keys)}"
            if found.keys
            else "No frequency of W_logit is significant",
            subtitle=f"{found.subject} · power without the constant",
        ),
        "heads": Titles(
            title=f"Strongest frequency that each head passes to the neurons: {strongest}",
            subtitle=f"{found.subject} · power of W_neur without the constant; key "
            "frequencies are the model's",
        ),
    }


def _singular_vector_titles(found: Measurements) -> dict[str, Titles]:
    vectors, of_embedding = found.singular_vectors, found.keys_by_matrix["W_E"].keys
    waves = vectors.wave_frequencies
    return {
        "singular_values": Titles(
            title=f"{vectors.is_wave.sum()} singular vectors that are waves hold "
            f"{vectors.variance:.0%} of W_E's variance"
            if waves
            else "No leading singular vector of W_E is a wave over the numbers",
            subtitle=f"{found.subject} · as many with permuted columns hold "
            f"{vectors.variance_by_chance:.0%}"
            if waves
            else found.subject,
        ),
        "singular_vectors": Titles(
            title=f"Singular vectors of W_E are waves over the numbers: frequencies {listed(waves)}"
            if waves
            else "Singular vectors of W_E are no waves over the numbers",
            subtitle=f"{found.subject} · key frequencies of W_E: {listed(of_embedding)}",
        ),
    }


def _neuron_titles(found: Measurements) -> dict[str, Titles]:
    neurons, parts = found.neurons, found.components
    which = "the strongest of each key frequency" if found.keys else "the strongest"
    return {
        "neurons": Titles(
            title="Neurons over both numbers, with their frequency and the variance that it "
            "explains",
            subtitle=f"{found.subject} · at “=”, {which}",
        ),
        "neuron_components": Titles(
            title=f"Components at the key frequencies hold {parts.share_at_keys[0]:.0%} of the "
            f"neurons' variance and {parts.share_at_keys[1]:.0%} of the logits'"
            if found.keys
            else "Two-dimensional Fourier components of neurons and logits",
            subtitle=f"{found.subject} · where the numbers are permuted "
            f"{parts.share_by_chance[0]:.1%} and {parts.share_by_chance[1]:.1%}"
            if found.keys
            else found.subject,
        ),
        "neuron_frequencies": Titles(
            title=f"{neurons.following:.0%} of neurons follow one frequency to {FOLLOWS:.0%} of "
            "their variance or more",
            subtitle=f"{found.subject} · where the numbers are permuted "
            f"{neurons.following_by_chance:.0%}",
        ),
    }


def _range(shares: NDArray[np.float64]) -> str:
    low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
    return low if low == high else f"{low} to {high}"
