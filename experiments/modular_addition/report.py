"""A model of modular addition in numbers, tables and sentences, each compared with chance."""

import math
from typing import TYPE_CHECKING

import numpy as np

from .measurements import Measurements
from .neurons import FOLLOWS
from .predictions import NEW
from .titles import listed

if TYPE_CHECKING:
    import pandas as pd


def scalars(found: Measurements) -> dict[str, float]:
    """Return the summary's values by the names that MLflow has for them."""
    values = {_scalar_name(name): float(value) for name, value, _ in _rows(found)}
    return values | {"key_frequencies": float(len(found.keys))}


def tables(found: Measurements) -> "dict[str, pd.DataFrame]":
    """Return the summary, the frequencies, heads, neurons and singular vectors, and the history."""
    import pandas as pd

    n_frequencies = len(found.predictions.order) // 2
    neurons = found.neurons
    found_tables = {
        "singular_vectors": _vector_table(found),
        "heads": pd.DataFrame(
            {"frequency": np.arange(1, n_frequencies + 1)}
            | {f"share_head_{head}": share for head, share in enumerate(found.head_shares)}
        ),
        "neurons": pd.DataFrame(
            {
                "neuron": np.arange(len(neurons.frequency)),
                "frequency": neurons.frequency,
                "explained": neurons.explained,
                "by_chance": neurons.null.mean(0),
                "standard_deviation": neurons.standard_deviation,
            }
        ),
        "summary": pd.DataFrame(_rows(found), columns=["", "value", "by chance"]),
        "frequencies": _frequency_table(found),
    }
    return found_tables | ({"training": found.history.table} if found.history else {})


def _rows(found: Measurements) -> list[tuple[str, float, float]]:
    """Return the rows of the summary: the name, the value, and the value expected by chance."""
    predictions, logits = found.predictions, found.logits
    modulus = predictions.pairs.arithmetic.modulus
    rows: list[tuple[str, float, float]] = []
    for name, subset in predictions.subsets.items():
        rows.append((f"accuracy, {name}", predictions.correct[subset].mean(), 1 / modulus))
        rows.append((f"loss, {name} (nats)", predictions.loss[subset].mean(), math.log(modulus)))
    for name, of in found.keys_by_matrix.items():
        if of.keys:
            share = of.share_at_keys
            rows.append(
                (f"power of {name} at its key frequencies", share, found.chance_shares[name])
            )
    following = (found.neurons.following, found.neurons.following_by_chance)
    rows.append(("neurons that follow a frequency", *following))
    rows.append(("logits' variance explained", logits.waves.explained, logits.null.mean()))
    if found.keys:
        at_keys, at_others = logits.ablated, logits.by_chance
        name = f"excluded loss, {predictions.excluded_subset} (nats)"
        restricted = (at_keys.restricted, at_others.restricted)
        rows.append(("restricted loss, all pairs (nats)", *restricted))
        rows.append((name, at_keys.excluded, at_others.excluded))
    return rows


def _scalar_name(row: str) -> str:
    plain = row.removesuffix(" (nats)").replace("'", "").replace(",", "").replace("%", "")
    return plain.replace(" ", "_")


def _frequency_table(found: Measurements) -> "pd.DataFrame":
    import pandas as pd

    neurons, waves = found.neurons, found.logits.waves
    count = len(waves.coefficients)
    frequencies = np.arange(1, count + 1)
    columns: dict[str, object] = {"frequency": frequencies}
    for name, of in found.keys_by_matrix.items():
        columns |= {f"share_{name}": of.share, f"p_{name}": of.p}
        columns[f"key_{name}"] = np.isin(frequencies, of.keys)
    following = neurons.frequency[neurons.explained >= FOLLOWS]
    columns["neurons"] = np.bincount(following, minlength=count + 1)[1:]
    columns["logit_coefficient"] = waves.coefficients
    columns["logit_share"] = waves.shares
    return pd.DataFrame(columns)


def _vector_table(found: Measurements) -> "pd.DataFrame":
    import pandas as pd

    vectors = found.singular_vectors
    return pd.DataFrame(
        {
            "vector": np.arange(1, len(vectors.values) + 1),
            "singular_value": vectors.values,
            "null_high": np.quantile(vectors.null, 0.975, axis=0),
            "frequency": vectors.frequencies,
            "share_of_its_power": vectors.shares,
            "p": vectors.p,
            "is_wave": vectors.is_wave,
        }
    )


def finding(found: Measurements) -> str:
    """Return what was found, in sentences."""
    sentences = [
        *_accuracy(found),
        _key_frequencies(found),
        _singular_vectors(found),
        _neurons_and_logits(found),
    ]
    if found.keys:
        sentences.append(_losses(found))
    if found.predictions.pairs.arithmetic.operation == "multiplication":
        sentences.append(
            f"Frequencies are those of exponents of {found.predictions.order[1]}, whose powers are "
            "the numbers other than 0; pairs with 0 are left out."
        )
    return " ".join(sentences)


def _accuracy(found: Measurements) -> list[str]:
    predictions = found.predictions
    correct = ", ".join(
        f"{predictions.correct[subset].sum():,} of {subset.sum():,} {name}"
        for name, subset in predictions.subsets.items()
    )
    sentences = [f"Correct: {correct}."]
    if NEW in predictions.subsets:
        sentences.append("New test pairs (a, b) are those whose (b, a) was not trained on either.")
    if predictions.is_trained and not predictions.split_is_known:
        sentences.append("Which pairs it was trained on is not known.")
    return sentences


def _key_frequencies(found: Measurements) -> str:
    if not found.keys:
        return (
            "No key frequency: none of W_logit holds more power than the strongest where numbers "
            "are permuted (p = 0.001)."
        )
    of = found.keys_by_matrix
    return (
        f"Key frequencies: {listed(found.keys)}, with {of['W_logit'].share_at_keys:.1%} of the "
        f"power of W_logit (as many strongest of permuted numbers: "
        f"{found.chance_shares['W_logit']:.1%}; each p = 0.001). In W_E: {listed(of['W_E'].keys)}; "
        f"in W_neur: {listed(of['W_neur'].keys)}."
    )


def _singular_vectors(found: Measurements) -> str:
    waves = found.singular_vectors.wave_frequencies
    if not waves:
        return "No leading singular vector of W_E is a wave over the numbers."
    agree = set(waves) == set(found.keys_by_matrix["W_E"].keys)
    return (
        f"{found.singular_vectors.is_wave.sum()} singular vectors of W_E are waves, at frequencies "
        f"{listed(waves)}: {'the same' if agree else 'not the same'} as by its Fourier basis."
    )


def _neurons_and_logits(found: Measurements) -> str:
    neurons, logits = found.neurons, found.logits
    return (
        f"{neurons.following:.1%} of neurons follow one frequency, to {FOLLOWS:.0%} of their "
        f"variance or more (by chance {neurons.following_by_chance:.1%}); waves "
        f"{found.predictions.pairs.arithmetic.wave} explain {logits.waves.explained:.1%} of the "
        f"logits' variance (by chance {logits.null.mean():.1%})."
    )


def _losses(found: Measurements) -> str:
    at_keys, at_others = found.logits.ablated, found.logits.by_chance
    guess = math.log(found.predictions.pairs.arithmetic.modulus)
    return (
        f"Restricted to the key frequencies the loss of all pairs is {at_keys.restricted:.2g} nats "
        f"(to as many others: {at_others.restricted:.2g}); with them excluded that of "
        f"{found.predictions.excluded_subset.replace('training', 'the training')} is "
        f"{at_keys.excluded:.2g} (as many others: {at_others.excluded:.2g}); a guess has "
        f"{guess:.2g}."
    )
