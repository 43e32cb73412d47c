"""What a capture will read, planned from structure and tokens before any weight is loaded."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.data.activations import Activations, Values
from interp.data.positions import Pooling, Position
from interp.data.prompts import PromptSet
from interp.forward.selected_tokens import SelectedTokens, select_tokens
from interp.hooks import HOOKS, AttentionTap, HookPoint, MissingSite, Tap
from interp.models import ModelSource, Readout

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.language_model import LanguageModel

# The difference, relative to their size, that rounding causes between activations of the same text
# in different batches: a few 1e-7 after a few float32 layers, more in deep models.
_RESOLUTION = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be read, in a form that is stored and needs no model.

    Attributes:
        samples: the table of samples, as in `Activations`.
        layers: the numbers of the layers that are read, out of `n_layers`.
        layer_names: their names in figures: "attn 0" where steps have names, else "layer 0".
        n_layers: how many layers the site has.
        attention_kernel: the attention implementation of the forward pass.
        unembedding: what reads the vocabulary, "lm_head (GPT2LMHeadModel)"; "" where nothing does.
        read_as: the modules whose output is read through it, as in `Readout`.
        space: the name of the space that the points lie in, as `HookPoint.space` returns it.
        notice: a remark on the site in this model, for the figures; mostly "".
        lengths: the number of tokens of each prompt, without special ones, [prompt].
        duplicate_of: the first prompt with the same tokens up to the last one that is read, of
            which the same are read: in a causal model both have the same values, [prompt].
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
        """Return values float32 [layer, sample, *unit] with their labels."""
        readout = Readout(source, self.unembedding, self.read_as) if self.unembedding else None
        resolution = _RESOLUTION[source.dtype]
        return Activations(values, self.layers, self.samples.copy(), resolution, readout)


@dataclass(frozen=True, eq=False)
class CapturePlan:
    """A plan, and what a forward pass needs to carry it out.

    Attributes:
        plan: what will be read.
        source: the model, with the attention kernel that the position needs.
        revision: identifies its weights.
        hook: the site.
        taps: the tensor to read for each layer.
        stack: "auto", "encoder" or "decoder".
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
    """Plan what to read: layers, tokens and samples. An equal request is planned once.

    Raises:
        ConfigError: an unknown layer or site, a prompt that is too long or has no token, or a
            position that a prompt does not have.
    """
    return plan_capture(source, prompts, hook, position).plan


def plan_capture(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position
) -> CapturePlan:
    """Plan what to read, and how. An equal request is planned once.

    Raises:
        ConfigError: as `plan`.
    """
    return _cached_capture_plan(source, source.revision, prompts, hook, position)


def with_kernel(source: ModelSource, position: Position) -> ModelSource:
    """Return the model with the attention kernel that a position needs.

    Raises:
        ConfigError: another kernel is configured.
    """
    if position.pooling != "attention":
        return source
    if source.attention not in ("auto", "eager"):
        raise ConfigError(
            "model.attention: position=attention_mean reads attention probabilities, which "
            f"only the eager kernel returns, not {source.attention}"
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
    read_as = hook.read_as(model)
    return CapturePlan(
        plan=Plan(
            samples=samples,
            layers=layers,
            layer_names=tuple(
                tap.name or f"layer {layer}" for layer, tap in zip(layers, taps_read, strict=True)
            ),
            n_layers=len(taps),
            attention_kernel=model.attention_kernel,
            unembedding=source.unembedding if read_as else "",
            read_as=read_as,
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
    return select_tokens(source.skeleton(), prompts, position)


def _taps(hook: HookPoint, model: "LanguageModel") -> Mapping[int, Tap | AttentionTap]:
    try:
        return hook.taps(model)
    except MissingSite as missing:
        raise ConfigError(f"{missing}; there are {', '.join(_sites(model, hook.stack))}") from None


def _sites(model: "LanguageModel", stack: str) -> Iterator[str]:
    """Yield the sites that a model has, without those that need further settings."""
    for name in HOOKS:
        with suppress(ConfigError):
            HOOKS.build({"name": name, "stack": stack}).taps(model)
            yield name
