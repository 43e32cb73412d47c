"""What a capture will read, settled from structure and tokens before any weight is loaded."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations, Values
from interp.data.positions import Pooling, Position, Tokens
from interp.data.prompts import PromptSet
from interp.hooks import HOOKS, AttentionTap, HookPoint, MissingSite, Tap
from interp.hooks.vocabulary import LogitLens, Logits
from interp.models import ModelSource, Readout

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.language_model import LanguageModel

# The difference, relative to their size, that rounding makes between activations of the same text
# in different batches: a few 1e-7 after a few float32 layers, more in deep models.
_RESOLUTION = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be read, as it can be told without a model at hand.

    Attributes:
        samples: the table of samples, as `Activations` carries it.
        layers: the layer numbers, out of `n_layers`.
        layer_names: what figures call them: "attn 0" where steps have names, or else "layer 0".
        n_layers: how many layers the site has.
        attention_kernel: the attention implementation of the forward pass.
        unembedding: what reads the vocabulary, "lm_head (GPT2LMHeadModel)"; "" where nothing does.
        read_as: the modules whose output is read through it, as in `Readout`.
        space: the name of the space that the points lie in, as `HookPoint.space` gives it.
        notice: what a reader should know of the site in this model; mostly "".
        lengths: the number of each prompt's own tokens, special ones left out [prompt].
        duplicate_of: the first prompt of which the same tokens are read, after the same ones: all that a
            causal model knows of them [prompt].
    """

    samples: "pd.DataFrame"
    layers: tuple[int, ...]
    layer_names: tuple[str, ...]
    n_layers: int
    attention_kernel: str
    unembedding: str
    read_as: tuple[str, ...]
    space: str
    notice: str
    lengths: NDArray[np.int64]
    duplicate_of: NDArray[np.int64]

    def label(self, values: Values, source: ModelSource) -> Activations:
        """Return values that were read, [layer, sample, *unit], with their labels."""
        readout = Readout(source, self.unembedding, self.read_as) if self.unembedding else None
        resolution = _RESOLUTION[source.dtype]
        return Activations(values, self.layers, self.samples.copy(), resolution, readout)


@dataclass(frozen=True, eq=False)
class SelectedTokens:
    """TokenizedBatch prompts, and which of their tokens are read.

    Attributes:
        ids: the token ids of all prompts, one after the other; in half the bytes that PyTorch asks
            for, since a million prompts have many.
        prompt_starts: where each prompt begins among them, and the last one ends [prompt + 1].
        tokens: the token indices of all samples, one after the other.
        sample_starts: where each sample begins among them, and the last one ends [sample + 1].
        first_samples: the first sample of each prompt, and how many there are [prompt + 1].
        words: the text of each sample.
        own_lengths: the number of tokens of each prompt that are no special ones [prompt].
    """

    ids: NDArray[np.int32]
    prompt_starts: NDArray[np.int64]
    tokens: NDArray[np.int64]
    sample_starts: NDArray[np.int64]
    first_samples: NDArray[np.int64]
    words: list[str]
    own_lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.prompt_starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each prompt."""
        return np.diff(self.prompt_starts)

    @cached_property
    def last_read(self) -> NDArray[np.int64]:
        """The index of the last token of each prompt that is read."""
        last = np.maximum.reduceat(self.tokens, self.sample_starts[:-1])
        return np.asarray(np.maximum.reduceat(last, self.first_samples[:-1]))

    def duplicate_of(self) -> NDArray[np.int64]:
        """Return `Plan.duplicate_of`."""
        first: dict[bytes, int] = {}
        found = np.empty(len(self), np.int64)
        for number in range(len(self)):
            start, end = self.first_samples[number : number + 2]
            starts = self.sample_starts[start : end + 1]
            parts = (
                self.prompt(number)[: self.last_read[number] + 1],
                starts - starts[0],
                self.tokens[starts[0] : starts[-1]],
            )
            digest = hashlib.sha256(b"|".join(part.tobytes() for part in parts)).digest()
            found[number] = first.setdefault(digest, number)
        return found

    def prompt(self, number: int) -> NDArray[np.int64]:
        """Return the token ids of a prompt."""
        own = slice(self.prompt_starts[number], self.prompt_starts[number + 1])
        return self.ids[own].astype(np.int64)


@dataclass(frozen=True, eq=False)
class CapturePlan:
    """A plan, and all that a forward pass needs to carry it out.

    Attributes:
        plan: what will be read.
        source: the model, with the attention kernel that the position needs.
        revision: what tells its weights from all others.
        hook: where it is read.
        taps: the tensor to read for each layer.
        stack: the choice of encoder or decoder.
        pooling: how the tokens of one sample become one vector.
        selected: the tokens, and which of them are read.
        width: the number of dimensions of the residual stream.
    """

    plan: Plan
    source: ModelSource
    revision: str
    hook: HookPoint
    taps: tuple[Tap | AttentionTap, ...]
    stack: str
    pooling: Pooling
    selected: SelectedTokens
    width: int


def plan(source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position) -> Plan:
    """Settle what to read: layers, tokens and samples; an equal request is settled once.

    Raises:
        ConfigError: an unknown layer or site, a prompt that is too long or without a token, a
            position that a prompt does not have.
    """
    return plan_capture(source, prompts, hook, position).plan


def plan_capture(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position
) -> CapturePlan:
    """Settle what to read, and how; an equal request is settled once.

    Raises:
        ConfigError: as `plan`.
    """
    return _cached_capture_plan(source, source.revision, prompts, hook, position)


def with_kernel(source: ModelSource, position: Position) -> ModelSource:
    """Return the model with the attention kernel that a position needs.

    Raises:
        ConfigError: another one is asked for.
    """
    if position.pooling != "attention":
        return source
    if source.attention not in ("auto", "eager"):
        raise ConfigError(
            "model.attention: position=attention_mean reads attention probabilities, which the "
            f"eager kernel alone returns, not {source.attention}"
        )
    return replace(source, attention="eager")


@lru_cache(maxsize=4)
def _cached_capture_plan(
    source: ModelSource, revision: str, prompts: PromptSet, hook: HookPoint, position: Position
) -> CapturePlan:
    import pandas as pd

    source = with_kernel(source, position)
    model = source.skeleton()
    taps = _taps(hook, model)
    layers = hook.chosen(list(taps))
    if position.pooling == "attention" and any(taps[layer].block < 0 for layer in layers):
        raise ConfigError(f"hook: position=attention_mean: {hook.label} belongs to no block")
    selected = _selected(source, revision, prompts, position)
    prompt_of = np.repeat(np.arange(len(prompts)), np.diff(selected.first_samples))
    samples = pd.DataFrame(
        {
            "prompt": prompt_of,
            "group": np.array(prompts.groups, dtype=object)[prompt_of],
            "token": selected.words,
            "position": selected.tokens[selected.sample_starts[1:] - 1],
            "n_tokens": np.diff(selected.sample_starts),
        }
    )
    taps_read = tuple(taps[layer] for layer in layers)
    return CapturePlan(
        plan=Plan(
            samples=samples,
            layers=layers,
            layer_names=tuple(
                tap.name or f"layer {layer}" for layer, tap in zip(layers, taps_read, strict=True)
            ),
            n_layers=len(taps),
            attention_kernel=model.attention_kernel,
            unembedding=source.unembedding if isinstance(hook, LogitLens | Logits) else "",
            read_as=hook.read_as(model) if isinstance(hook, LogitLens | Logits) else (),
            space=hook.space(model),
            notice=hook.notice(model),
            lengths=selected.own_lengths,
            duplicate_of=selected.duplicate_of(),
        ),
        source=source,
        revision=revision,
        hook=hook,
        taps=taps_read,
        stack=hook.stack_of(model),
        pooling=position.pooling,
        selected=selected,
        width=model.width,
    )


@lru_cache(maxsize=2)
def _selected(
    source: ModelSource, revision: str, prompts: PromptSet, position: Position
) -> SelectedTokens:
    """Tokenise the prompts and choose their tokens, some thousands at a time."""
    model = source.skeleton()
    limit = model.context_length
    words: dict[str, str] = {}
    word_of: list[str] = []
    own_lengths: list[NDArray[np.int64]] = []
    ids: list[NDArray[np.int32]] = []
    read: list[NDArray[np.int64]] = []
    lengths: dict[str, list[int]] = {"prompts": [], "samples": [], "of_prompt": []}
    start = 0
    for chunk in model.tokenized_in_chunks(prompts.texts):
        tokens: list[int] = []
        for i, prompt in enumerate(chunk, start):
            _check_length(prompt, model.title, limit)
            try:
                samples = position(prompt, prompts.targets[i])
            except ConfigError as error:
                raise ConfigError(f"position: {error}") from error
            lengths["prompts"].append(len(prompt.ids))
            lengths["of_prompt"].append(len(samples))
            for sample in samples:
                tokens += sample
                lengths["samples"].append(len(sample))
                first, last = prompt.offsets[sample[0], 0], prompt.offsets[sample[-1], 1]
                word = prompt.text[first:last].strip()
                # Of a million words most are the same few.
                word_of.append(words.setdefault(word, word))
        start += len(chunk)
        ids.append(chunk.ids.astype(np.int32))
        own_lengths.append(np.add.reduceat(~chunk.special, chunk.starts[:-1], dtype=np.int64))
        read.append(np.array(tokens, np.int64))
    return SelectedTokens(
        ids=np.concatenate(ids),
        prompt_starts=_starts(lengths["prompts"]),
        tokens=np.concatenate(read),
        sample_starts=_starts(lengths["samples"]),
        first_samples=_starts(lengths["of_prompt"]),
        words=word_of,
        own_lengths=np.concatenate(own_lengths),
    )


def _starts(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _taps(hook: HookPoint, model: "LanguageModel") -> Mapping[int, Tap | AttentionTap]:
    try:
        return hook.taps(model)
    except MissingSite as missing:
        raise ConfigError(f"{missing}; there are {', '.join(_sites(model, hook.stack))}") from None


def _sites(model: "LanguageModel", stack: str) -> Iterator[str]:
    """Yield the sites that a model has, of those that need no more than their name."""
    for name in HOOKS:
        with suppress(ConfigError):
            HOOKS.build({"name": name, "stack": stack}).taps(model)
            yield name


def _check_length(prompt: Tokens, title: str, limit: float) -> None:
    if not prompt.of_text:
        raise ConfigError(f"prompts: {prompt.text!r} has no token of its own in {title}")
    if len(prompt.ids) > limit:
        raise ConfigError(
            f"prompts: {prompt.text[:40]!r}… is {len(prompt.ids)} tokens long; {title} reads at "
            f"most {limit:.0f}"
        )
