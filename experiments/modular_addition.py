"""How does a transformer add modulo p? By rotations at a few frequencies.

Opens a transformer of one block that has learned it: where its heads look, the frequencies of its
weights, of its neurons and of its logits, and what is left of its answers with these alone and
without them (Nanda et al., 2023, "Progress measures for grokking via mechanistic
interpretability").
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from experiments.modular.attention_told import attention_told
from experiments.modular.fitting import config_of, prompts_for
from experiments.modular.logits_told import Logits, logits_of, logits_told
from experiments.modular.neurons_told import FOLLOWS, Neurons, neurons_of, neurons_told
from experiments.modular.observed import NEW, Observed, observed
from experiments.modular.training_told import training_figure
from experiments.modular.weights_in_frequencies import by_chance, key_frequencies_of
from experiments.modular.weights_told import Leading, leading, said, weights_told
from interp.analysis import ANALYSES
from interp.capture import capture
from interp.geometry.fourier import KeyFrequencies
from interp.hooks import Pattern
from interp.models import LanguageModel, ModelSource
from interp.models.modular import ModularArithmeticForCausalLM, ModularCheckpoint
from interp.positions import All
from interp.prompts import PromptSource, from_marked
from interp.registry import ConfigError
from interp.result import Result


@ANALYSES.register("modular_addition")
@dataclass(frozen=True)
class ModularAddition:
    """Attention, weights, neurons and logits of a transformer that does arithmetic modulo p.

    Attributes:
        a: the first number of the prompt whose attention is drawn, modulo p.
        b: its second number, modulo p.
    """

    a: int = 17
    b: int = 45

    def check(self, prompt_source: PromptSource, source: ModelSource) -> None:
        """Refuse other models, and prompts that are not of the model's arithmetic and pairs.

        Raises:
            ConfigError: saying which prompts would be.
        """
        prompts = prompts_for(source, prompt_source)
        known = config_of(source).trained_on if _is_trained(source) else {}
        given = asdict(prompts)
        differing = {key: known[key] for key in given if key in known and known[key] != given[key]}
        if differing:
            wanted = " ".join(f"prompts.{key}={value}" for key, value in differing.items())
            raise ConfigError(
                f"prompts: {source.title} was trained on other pairs; add {wanted}, or train one "
                "on these: experiment=modular_addition_training"
            )

    def __call__(
        self,
        prompt_source: PromptSource,
        source: ModelSource,
        model: LanguageModel,
        rng: np.random.Generator,
    ) -> Result:
        """Open the model."""
        pairs = prompts_for(source, prompt_source).pairs()
        if not isinstance(model.head, ModularArithmeticForCausalLM):
            raise TypeError(f"{model.title} has no unembedding")
        seen = observed(
            model.head,
            pairs,
            knows_split=_is_trained(source) and bool(config_of(source).trained_on),
            is_trained=_is_trained(source),
        )
        keys = key_frequencies_of(seen.weights, np.arange(len(seen.order)), rng)
        chance = by_chance(seen.weights, keys, rng)
        model_keys = keys["W_logit"].keys
        spectrum = leading(seen.weights.embedding, rng)
        neurons, logits = neurons_of(seen, rng), logits_of(seen, model_keys, rng)
        told = f"{source.title} · {pairs.arithmetic}"
        place = "number"
        if pairs.arithmetic.operation == "multiplication":
            place = f"exponent of {seen.order[1]}"
        modulus = pairs.arithmetic.modulus
        one_tokens = (str(self.a % modulus), str(self.b % modulus), "=")
        prompt = from_marked({"one": [" ".join(one_tokens)]})
        # [layer, query, head, key] of the one block.
        one = capture(source, prompt, Pattern(), All(), 1).values[0].swapaxes(0, 1)
        return Result.merged(
            [
                attention_told(seen, one, one_tokens, told=told, place=place),
                weights_told(seen, keys, spectrum, told=told, place=place),
                neurons_told(seen, neurons, model_keys, rng, told=told, place=place),
                logits_told(seen, logits, model_keys, told=told),
                _over_training(source, model_keys, told, modulus),
                _summary(seen, keys, chance, spectrum, neurons, logits),
            ]
        )


def _is_trained(source: ModelSource) -> bool:
    return isinstance(source, ModularCheckpoint) and not source.untrained


def _over_training(source: ModelSource, keys: tuple[int, ...], told: str, modulus: int) -> Result:
    """Return the curves of the training that made the weights, where they were kept."""
    history = source.training() if isinstance(source, ModularCheckpoint) else pd.DataFrame()
    if history.empty:
        return Result()
    drawn = training_figure(history, keys, told, modulus)
    return Result(tables={"training": history}, figures={"training": drawn})


def _summary(
    seen: Observed,
    keys: dict[str, KeyFrequencies],
    chance: dict[str, float],
    spectrum: Leading,
    neurons: Neurons,
    logits: Logits,
) -> Result:
    """Return every number beside what chance gives, and what came out in words."""
    modulus = seen.pairs.arithmetic.modulus
    rows: list[tuple[str, float, float]] = []
    for name, part in seen.parts.items():
        rows.append((f"accuracy, {name}", seen.right[part].mean(), 1 / modulus))
        rows.append((f"loss, {name} (nats)", seen.loss[part].mean(), math.log(modulus)))
    for name, key in keys.items():
        if key.keys:
            rows.append((f"power of {name} at its key frequencies", key.held, chance[name]))
    rows += [
        ("neurons that follow a frequency", neurons.following, neurons.following_by_chance),
        ("logits' variance explained", logits.waves.explained, logits.null.mean()),
    ]
    if keys["W_logit"].keys:
        kept, left = logits.ablated, logits.by_chance
        excluded_of = "training pairs" if seen.knows_split else "all pairs"
        rows.append(("restricted loss, all pairs (nats)", kept.restricted, left.restricted))
        rows.append((f"excluded loss, {excluded_of} (nats)", kept.excluded, left.excluded))
    summary = pd.DataFrame(rows, columns=["", "value", "by chance"])
    scalars = {_key(name): float(value) for name, value, _ in rows}
    return Result(
        scalars={**scalars, "key_frequencies": float(len(keys["W_logit"].keys))},
        tables={"summary": summary, "frequencies": _frequencies(keys, neurons, logits)},
        finding=_finding(seen, keys, chance, spectrum, neurons, logits),
    )


def _key(name: str) -> str:
    """Return how MLflow calls a row of the summary."""
    plain = name.removesuffix(" (nats)").replace("'", "").replace(",", "").replace("%", "")
    return plain.replace(" ", "_")


def _frequencies(keys: dict[str, KeyFrequencies], neurons: Neurons, logits: Logits) -> pd.DataFrame:
    count = len(logits.waves.coefficients)
    following = neurons.frequency[neurons.explained >= FOLLOWS]
    columns: dict[str, object] = {"frequency": np.arange(1, count + 1)}
    for name, key in keys.items():
        columns |= {f"share_{name}": key.share, f"p_{name}": key.p}
        columns[f"key_{name}"] = np.isin(np.arange(1, count + 1), key.keys)
    columns["neurons"] = np.bincount(following, minlength=count + 1)[1:]
    columns["logit_coefficient"] = logits.waves.coefficients
    columns["logit_share"] = logits.waves.shares
    return pd.DataFrame(columns)


def _finding(
    seen: Observed,
    keys: dict[str, KeyFrequencies],
    chance: dict[str, float],
    spectrum: Leading,
    neurons: Neurons,
    logits: Logits,
) -> str:
    arithmetic = seen.pairs.arithmetic
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
            f"W_logit (as many strongest of shuffled numbers: {chance['W_logit']:.1%}; p = 0.001 "
            f"each). In W_E: {said(keys['W_E'].keys)}; in W_neur: {said(keys['W_neur'].keys)}."
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
