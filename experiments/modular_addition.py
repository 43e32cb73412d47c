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
from experiments.modular.observed import Observed, observed
from experiments.modular.training_told import training_figure
from experiments.modular.weights_in_frequencies import key_frequencies_of
from experiments.modular.weights_told import Leading, leading, said, weights_told
from interp.analysis import ANALYSES
from interp.capture import capture
from interp.geometry.fourier import KeyFrequencies
from interp.hooks import Pattern
from interp.models import LanguageModel, ModelSource
from interp.models.modular import ModularArithmeticForCausalLM, ModularCheckpoint
from interp.modular_arithmetic import SIGNS
from interp.positions import All
from interp.prompts import PromptSource, from_marked
from interp.registry import ConfigError
from interp.result import Result


@ANALYSES.register("modular_addition")
@dataclass(frozen=True)
class ModularAddition:
    """Attention, weights, neurons and logits of a transformer that does arithmetic modulo p.

    Attributes:
        a: the first number of the prompt whose attention is drawn.
        b: its second number.
    """

    a: int = 17
    b: int = 45

    def check(self, prompt_source: PromptSource, source: ModelSource) -> None:
        """Refuse other models, and prompts that are not of the model's arithmetic and pairs.

        Raises:
            ConfigError: saying which prompts would be.
        """
        prompts = prompts_for(source, prompt_source)
        _ = prompts.pairs().arithmetic.order
        for name, number in (("a", self.a), ("b", self.b)):
            if not 0 <= number < prompts.modulus:
                raise ConfigError(
                    f"analysis.{name} must be a number from 0 to {prompts.modulus - 1}, not "
                    f"{number}"
                )
        known = config_of(source).trained_on if _is_trained(source) else {}
        given = asdict(prompts)
        differing = {key: known[key] for key in given if key in known and known[key] != given[key]}
        if differing:
            wanted = " ".join(f"prompts.{key}={value}" for key, value in differing.items())
            raise ConfigError(f"prompts: {source.title} was trained on other pairs; add {wanted}")

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
        )
        keys = key_frequencies_of(seen.weights, np.arange(len(seen.order)), rng)
        model_keys = keys["W_logit"].keys
        spectrum = leading(seen.weights.embedding, rng)
        neurons, logits = neurons_of(seen, rng), logits_of(seen, model_keys, rng)
        told = f"{source.title} · {pairs.arithmetic}"
        axis = ""
        if pairs.arithmetic.operation == "multiplication":
            axis = f" · numbers in the order of the powers of {seen.order[1]}"
        one_tokens = (str(self.a), str(self.b), "=")
        prompt = from_marked({"one": [" ".join(one_tokens)]})
        # [layer, query, head, key] of the one block.
        one = capture(source, prompt, Pattern(), All(), 1).values[0].swapaxes(0, 1)
        return Result.merged(
            [
                attention_told(seen, one, one_tokens, told=told, axis=axis),
                weights_told(seen, keys, spectrum, told=told, axis=axis),
                neurons_told(seen, neurons, model_keys, told=told, axis=axis),
                logits_told(seen, logits, model_keys, told=told),
                _over_training(source, model_keys, told),
                _summary(seen, keys, spectrum, neurons, logits),
            ]
        )


def _is_trained(source: ModelSource) -> bool:
    return isinstance(source, ModularCheckpoint) and not source.untrained


def _over_training(source: ModelSource, keys: tuple[int, ...], told: str) -> Result:
    """Return the curves of the training that made the weights, where they were kept."""
    history = source.training() if isinstance(source, ModularCheckpoint) else pd.DataFrame()
    if history.empty:
        return Result()
    return Result(
        tables={"training": history}, figures={"training": training_figure(history, keys, told)}
    )


def _summary(
    seen: Observed,
    keys: dict[str, KeyFrequencies],
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
        held = key.share[[k - 1 for k in key.keys]].sum()
        rows.append(
            (f"power of {name} at its key frequencies", held, len(key.keys) / len(key.share))
        )
    rows += [
        (f"neurons explained above {FOLLOWS:.0%}", neurons.following, neurons.following_by_chance),
        ("logits' variance explained", logits.waves.explained, logits.null.mean()),
        ("restricted loss (nats)", logits.ablated.restricted, logits.by_chance.restricted),
        ("excluded loss (nats)", logits.ablated.excluded, logits.by_chance.excluded),
    ]
    summary = pd.DataFrame(rows, columns=["", "value", "by chance"])
    scalars = {_key(name): float(value) for name, value, _ in rows}
    return Result(
        scalars={**scalars, "key_frequencies": float(len(keys["W_logit"].keys))},
        tables={"summary": summary, "frequencies": _frequencies(keys, neurons, logits)},
        finding=_finding(seen, keys, spectrum, neurons, logits),
    )


def _key(name: str) -> str:
    """Return how MLflow calls a row of the summary."""
    plain = name.removesuffix(" (nats)").replace("'", "").replace(",", "").replace("%", "")
    return plain.replace(" ", "_")


def _frequencies(keys: dict[str, KeyFrequencies], neurons: Neurons, logits: Logits) -> pd.DataFrame:
    count = len(logits.waves.coefficients)
    following = neurons.frequency[neurons.explained > FOLLOWS]
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
    if not seen.knows_split:
        sentences.append("Which pairs it was trained on is not known.")
    if not model_keys:
        sentences.append(
            "No key frequency: none of W_logit holds more power than the strongest where numbers "
            "are shuffled (p = 0.001)."
        )
    else:
        share = keys["W_logit"].share[[k - 1 for k in model_keys]].sum()
        sentences.append(
            f"Key frequencies {said(model_keys)} hold {share:.1%} of the power of W_logit (each "
            "more than shuffled numbers give, p = 0.001); those of W_E are "
            f"{said(keys['W_E'].keys)}, of W_neur {said(keys['W_neur'].keys)}."
        )
    agree = "the same" if set(spectrum.found) == set(keys["W_E"].keys) else "not the same"
    sentences.append(
        f"{spectrum.waves.sum()} leading singular vectors of W_E are waves, at frequencies "
        f"{said(spectrum.found)}: {agree} as by its Fourier basis."
    )
    sign = "−" if arithmetic.sign < 0 else "+"
    sentences.append(
        f"One frequency explains more than {FOLLOWS:.0%} of {neurons.following:.1%} of neurons "
        f"(by chance {neurons.following_by_chance:.1%}); waves cos w(a {sign} b − c) explain "
        f"{logits.waves.explained:.1%} of the logits ({logits.null.mean():.1%})."
    )
    if model_keys:
        sentences.append(
            f"With the key frequencies alone the loss is {logits.ablated.restricted:.2g} nats (as "
            f"many others {logits.by_chance.restricted:.2g}), without them "
            f"{logits.ablated.excluded:.2g} ({logits.by_chance.excluded:.2g}); a guess has "
            f"{math.log(arithmetic.modulus):.2g}."
        )
    if arithmetic.operation == "multiplication":
        sentences.append(
            f"Under {SIGNS[arithmetic.operation]} frequencies are those of the numbers other than "
            f"0, in the order of the powers of {seen.order[1]}; pairs with 0 are left out."
        )
    return " ".join(sentences)
