"""What a capture will read, settled from structure and tokens before any weight is loaded."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas as pd

from interp.hooks import HOOKS, AttentionTap, HookPoint, LogitLens, Logits, MissingSite, Tap
from interp.models import ModelSource, Readout
from interp.models.language_model import LanguageModel
from interp.positions import Pooling, Position, Sample, Tokens
from interp.prompts import PromptSet
from interp.registry import ConfigError


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a capture will read.

    Attributes:
        source: the model, with the attention kernel that the position needs.
        revision: what tells its weights from all others.
        tokens: the tokenised prompts.
        indices: the token indices of each sample.
        pooling: how the tokens of one sample become one vector.
        samples: the table of samples, as `Activations` carries it.
        taps: the tensor to read for each layer.
        layers: the layer numbers, out of `n_layers`.
        stack: the choice of encoder or decoder.
        attention_kernel: the attention implementation of the forward pass.
        readout: the way from what is read to logits, where the hook is in vocabulary space.
        space: the name of the space that the points lie in, as `HookPoint.space` gives it.
        notice: what a reader should know of the site in this model; mostly "".
    """

    source: ModelSource
    revision: str
    tokens: tuple[Tokens, ...]
    indices: tuple[Sample, ...]
    pooling: Pooling
    samples: pd.DataFrame
    taps: tuple[Tap | AttentionTap, ...]
    layers: tuple[int, ...]
    n_layers: int
    stack: str
    attention_kernel: str
    readout: Readout | None
    space: str
    notice: str

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What figures call the layers: "attn 0" where steps have names, or else "layer 0"."""
        named = zip(self.layers, self.taps, strict=True)
        return tuple(tap.name or f"layer {layer}" for layer, tap in named)

    @property
    def unembedding(self) -> str:
        """What reads the vocabulary: "lm_head (GPT2LMHeadModel)"; "" where the hook reads none."""
        return self.readout.name if self.readout else ""


def plan(source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position) -> Plan:
    """Settle what to read: layers, tokens and samples; an equal request is settled once.

    Raises:
        ConfigError: an unknown layer or site, a prompt that is too long or without a token, a
            position that a prompt does not have.
    """
    return _planned(source, source.revision, prompts, hook, position)


@lru_cache(maxsize=4)
def _planned(
    source: ModelSource, revision: str, prompts: PromptSet, hook: HookPoint, position: Position
) -> Plan:
    if position.pooling == "attention":
        if source.attention not in ("auto", "eager"):
            raise ConfigError(
                "model.attention: position=attention_mean reads attention probabilities, which "
                f"the eager kernel alone returns, not {source.attention}"
            )
        source = replace(source, attention="eager")
    model = source.skeleton()
    taps = _taps(hook, model)
    layers = hook.chosen(list(taps))
    if position.pooling == "attention" and any(taps[layer].block < 0 for layer in layers):
        raise ConfigError(f"hook: position=attention_mean: {hook.label} belongs to no block")
    tokens = model.tokenize(prompts.texts)
    indices: list[Sample] = []
    rows: list[dict[str, int | str]] = []
    for i, prompt in enumerate(tokens):
        _check_length(prompt, model)
        try:
            chosen = position(prompt, prompts.targets[i])
        except ConfigError as error:
            raise ConfigError(f"position: {error}") from error
        for sample in chosen:
            start, end = prompt.offsets[sample[0], 0], prompt.offsets[sample[-1], 1]
            indices.append(sample)
            rows.append(
                {
                    "prompt": i,
                    "group": prompts.groups[i],
                    "token": prompt.text[start:end].strip(),
                    "position": sample[-1],
                    "n_tokens": len(sample),
                }
            )
    return Plan(
        source=source,
        revision=revision,
        tokens=tuple(tokens),
        indices=tuple(indices),
        pooling=position.pooling,
        samples=pd.DataFrame(rows),
        taps=tuple(taps[layer] for layer in layers),
        layers=layers,
        n_layers=len(taps),
        stack=hook.stack_of(model),
        attention_kernel=model.attention_kernel,
        readout=_readout(source, hook, model),
        space=hook.space(model),
        notice=hook.notice(model),
    )


def _taps(hook: HookPoint, model: LanguageModel) -> Mapping[int, Tap | AttentionTap]:
    try:
        return hook.taps(model)
    except MissingSite as missing:
        raise ConfigError(f"{missing}; there are {', '.join(_sites(model, hook.stack))}") from None


def _sites(model: LanguageModel, stack: str) -> Iterator[str]:
    """Yield the sites that a model has, of those that need no more than their name."""
    for name in HOOKS:
        with suppress(ConfigError):
            HOOKS.build({"name": name, "stack": stack}).taps(model)
            yield name


def _readout(source: ModelSource, hook: HookPoint, model: LanguageModel) -> Readout | None:
    if not isinstance(hook, LogitLens | Logits):
        return None
    return Readout(source, source.unembedding, hook.read_as(model))


def _check_length(prompt: Tokens, model: LanguageModel) -> None:
    if not prompt.of_text:
        raise ConfigError(f"prompts: {prompt.text!r} has no token of its own in {model.title}")
    if len(prompt.ids) > model.context_length:
        raise ConfigError(
            f"prompts: {prompt.text[:40]!r}… is {len(prompt.ids)} tokens long; {model.title} reads "
            f"at most {model.context_length:.0f}"
        )
