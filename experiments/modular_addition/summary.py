"""A model in numbers and words: everything beside what chance gives."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.result import Result

from .fourier import KeyFrequencies
from .logits_report import Logits
from .neurons_report import FOLLOWS, Neurons
from .observed import NEW, Observed
from .weights_report import Leading, said

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Opened:
    """What was found in a model.

    Attributes:
        seen: the model over all pairs.
        keys: the key frequencies of each matrix.
        chance: the power that as many frequencies of shuffled numbers hold, of each matrix.
        spectrum: the singular vectors of W_E.
        neurons: what neurons are made of.
        logits: what logits are made of.
    """

    seen: Observed
    keys: dict[str, KeyFrequencies]
    chance: dict[str, float]
    spectrum: Leading
    neurons: Neurons
    logits: Logits


def summary(found: Opened) -> Result:
    """Return every number beside what chance gives, and what came out in words."""
    import pandas as pd

    seen, keys, neurons, logits = found.seen, found.keys, found.neurons, found.logits
    modulus = seen.pairs.arithmetic.modulus
    rows: list[tuple[str, float, float]] = []
    for name, part in seen.parts.items():
        rows.append((f"accuracy, {name}", seen.right[part].mean(), 1 / modulus))
        rows.append((f"loss, {name} (nats)", seen.loss[part].mean(), math.log(modulus)))
    for name, key in keys.items():
        if key.keys:
            rows.append((f"power of {name} at its key frequencies", key.held, found.chance[name]))
    rows += [
        ("neurons that follow a frequency", neurons.following, neurons.following_by_chance),
        ("logits' variance explained", logits.waves.explained, logits.null.mean()),
    ]
    if keys["W_logit"].keys:
        kept, left = logits.ablated, logits.by_chance
        excluded_of = "training pairs" if seen.knows_split else "all pairs"
        rows.append(("restricted loss, all pairs (nats)", kept.restricted, left.restricted))
        rows.append((f"excluded loss, {excluded_of} (nats)", kept.excluded, left.excluded))
    table = pd.DataFrame(rows, columns=["", "value", "by chance"])
    scalars = {_key(name): float(value) for name, value, _ in rows}
    return Result(
        scalars={**scalars, "key_frequencies": float(len(keys["W_logit"].keys))},
        tables={"summary": table, "frequencies": _frequencies(found)},
        finding=_finding(found),
    )


def _key(name: str) -> str:
    """Return how MLflow calls a row of the summary."""
    plain = name.removesuffix(" (nats)").replace("'", "").replace(",", "").replace("%", "")
    return plain.replace(" ", "_")


def _frequencies(found: Opened) -> "pd.DataFrame":
    import pandas as pd

    neurons, logits = found.neurons, found.logits
    count = len(logits.waves.coefficients)
    following = neurons.frequency[neurons.explained >= FOLLOWS]
    columns: dict[str, object] = {"frequency": np.arange(1, count + 1)}
    for name, key in found.keys.items():
        columns |= {f"share_{name}": key.share, f"p_{name}": key.p}
        columns[f"key_{name}"] = np.isin(np.arange(1, count + 1), key.keys)
    columns["neurons"] = np.bincount(following, minlength=count + 1)[1:]
    columns["logit_coefficient"] = logits.waves.coefficients
    columns["logit_share"] = logits.waves.shares
    return pd.DataFrame(columns)


def _finding(found: Opened) -> str:
    seen, keys, spectrum = found.seen, found.keys, found.spectrum
    neurons, logits, arithmetic = found.neurons, found.logits, found.seen.pairs.arithmetic
    right = ", ".join(
        f"{seen.right[part].sum():,} of {part.sum():,} {name}" for name, part in seen.parts.items()
    )
    model_keys = keys["W_logit"].keys
    sentences = [f"Right are {right}."]
    if NEW in seen.parts:
        sentences.append("New are test pairs (a, b) of which (b, a) was not trained on either.")
    if seen.is_trained and not seen.knows_split:
        sentences.append("Which pairs it was trained on is not known.")
    if not model_keys:
        sentences.append(
            "No key frequency: none of W_logit holds more power than the strongest where numbers "
            "are shuffled (p = 0.001)."
        )
    else:
        sentences.append(
            f"Key frequencies: {said(model_keys)}, with {keys['W_logit'].held:.1%} of the power of "
            f"W_logit (as many strongest of shuffled numbers: {found.chance['W_logit']:.1%}; each "
            f"p = 0.001). In W_E: {said(keys['W_E'].keys)}; in W_neur: {said(keys['W_neur'].keys)}."
        )
    if spectrum.found:
        agree = "the same" if set(spectrum.found) == set(keys["W_E"].keys) else "not the same"
        sentences.append(
            f"{spectrum.waves.sum()} singular vectors of W_E are waves, at frequencies "
            f"{said(spectrum.found)}: {agree} as by its Fourier basis."
        )
    else:
        sentences.append("No leading singular vector of W_E is a wave over the numbers.")
    sentences.append(
        f"{neurons.following:.1%} of neurons follow one frequency, to {FOLLOWS:.0%} of their "
        f"variance or more (by chance {neurons.following_by_chance:.1%}); waves {arithmetic.wave} "
        f"explain {logits.waves.explained:.1%} of the logits' variance "
        f"({logits.null.mean():.1%})."
    )
    if model_keys:
        sentences.append(
            f"With the key frequencies alone the loss of all pairs is "
            f"{logits.ablated.restricted:.2g} nats (with as many others "
            f"{logits.by_chance.restricted:.2g}), without them that of "
            f"{'the training' if seen.knows_split else 'all'} pairs is "
            f"{logits.ablated.excluded:.2g} ({logits.by_chance.excluded:.2g}); a guess has "
            f"{math.log(arithmetic.modulus):.2g}."
        )
    if arithmetic.operation == "multiplication":
        sentences.append(
            f"Frequencies are those of exponents of {seen.order[1]}, whose powers are the numbers "
            "other than 0; pairs with 0 are left out."
        )
    return " ".join(sentences)
