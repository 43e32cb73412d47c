"""Where to read: each hook point turns a model's structure into taps, one a layer."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from interp.models import LanguageModel
from interp.registry import ConfigError, Registry, nearest


@dataclass(frozen=True)
class Tap:
    """One tensor of the forward pass: what enters or leaves a module.

    Attributes:
        path: the module; "" is the model itself.
        side: its input, or its output.
        block: the block whose attention belongs to this tensor, for attention-weighted pooling;
            -1 where the tensor belongs to none.
        name: what figures call the layer; "" where its number says it all.
    """

    path: str
    side: Literal["input", "output"]
    block: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class HookPoint(ABC):
    """A site of the model; `stack` chooses encoder or decoder where the model has both.

    Attributes:
        site: the name that figures and runs show.
    """

    site: ClassVar[str]
    stack: str = "auto"

    @abstractmethod
    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return the tap of each layer that the site has, in increasing order.

        Raises:
            ConfigError: the model has no such site.
        """

    @property
    def label(self) -> str:
        """How figures call the site."""
        return self.site

    def chosen(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return the layers to read of those that there are: all, where none can be chosen."""
        return tuple(layers)

    def stack_of(self, model: LanguageModel) -> str:
        """Return the choice of stack that the site is read from."""
        return self.stack

    def space(self, model: LanguageModel) -> str:
        """Name the space that the points lie in; "" where only reading would tell.

        Points of two models may be held against each other, axis by axis, where the names agree.
        """
        return f"{model.width} dimensions"

    def notice(self, model: LanguageModel) -> str:
        """Say what a reader should know of how the site stands in this model; "" if nothing."""
        return ""

    def in_vocabulary(self) -> "LogitLens | Logits":
        """Return the hook point that reads the same layers as logits over the vocabulary.

        Raises:
            ConfigError: what is read here is not the residual stream.
        """
        raise ConfigError(
            "hook: a metric in vocabulary space reads the residual stream through the "
            f"unembedding; use hook=logit_lens, not {HOOKS.name_of(self)}"
        )


@dataclass(frozen=True, kw_only=True)
class LayeredHookPoint(HookPoint, ABC):
    """A site that repeats over layers.

    Attributes:
        layers: "all", one layer, or a list; negative numbers count from the last.
    """

    layers: Any = "all"

    def __post_init__(self) -> None:
        layers = [self.layers] if isinstance(self.layers, int) else self.layers
        if layers == "all":
            return
        whole = isinstance(layers, (list, tuple)) and layers
        if not whole or not all(type(layer) is int for layer in layers):
            raise ConfigError(f"layers must be all, 3, or [0,3,-1], not {self.layers!r}")
        object.__setattr__(self, "layers", tuple(layers))

    def chosen(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return the layers to read of those that there are, in increasing order.

        Raises:
            ConfigError: a layer that the site does not have.
        """
        if self.layers == "all":
            return tuple(layers)
        found = set()
        for layer in self.layers:
            if layer not in layers and not -len(layers) <= layer < 0:
                raise ConfigError(
                    f"hook.layers: no layer {layer}; {self.label} has {_said(layers)}"
                )
            found.add(layer if layer in layers else layers[layer])
        return tuple(sorted(found))


def _said(layers: Sequence[int]) -> str:
    if list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layers {', '.join(map(str, layers))}"


HOOKS: Registry[HookPoint] = Registry("hook")


@HOOKS.register("embed")
@dataclass(frozen=True, kw_only=True)
class Embed(HookPoint):
    """The token embedding, before positions are added."""

    site: ClassVar[str] = "embed"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return the one tap."""
        return {0: Tap(model.embedding(model.stack(self.stack)), "output", 0)}

    def space(self, model: LanguageModel) -> str:
        """Name the embedding's width, which may be another than the residual stream's."""
        table = model.module.get_submodule(model.embedding(model.stack(self.stack)))
        return f"{table.weight.shape[-1]} dimensions"


@HOOKS.register("resid_pre")
@dataclass(frozen=True, kw_only=True)
class ResidPre(LayeredHookPoint):
    """The residual stream as it enters each block."""

    site: ClassVar[str] = "resid_pre"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap a block."""
        blocks = model.stack(self.stack).blocks
        return {i: Tap(path, "input", i) for i, path in enumerate(blocks)}


@HOOKS.register("resid_mid")
@dataclass(frozen=True, kw_only=True)
class ResidMid(LayeredHookPoint):
    """The residual stream between each block's attention and its MLP.

    It is what enters the block's last residual step: in a post-norm model (BERT) the output of the
    attention's norm, in a decoder with cross-attention what both attentions have added to.
    """

    site: ClassVar[str] = "resid_mid"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap for each block that has a middle.

        Raises:
            ConfigError: no block has one, as where attention and MLP run side by side.
        """
        middles = model.middles(self.stack)
        if not middles:
            raise ConfigError(
                f"hook: {self.notice(model)}, as where attention and MLP run side by side; use "
                "hook=resid_post, or hook=stream"
            )
        return {i: Tap(middle.path, middle.side, i) for i, middle in middles.items()}

    def notice(self, model: LanguageModel) -> str:
        """Say which blocks have no middle."""
        return _without_middle(model, self.stack)


@HOOKS.register("stream")
@dataclass(frozen=True, kw_only=True)
class Stream(LayeredHookPoint):
    """The residual stream step by step: what enters the first block, then each block's two steps.

    Layer 0 is `resid_pre` of block 0, layer 2i + 1 `resid_mid` of block i and layer 2i + 2 its
    `resid_post`. A layer is named by what has just been added: "embed", "attn 0", "mlp 0", …, with
    "mixer 0" where no attention is seen (Mamba). A block without a middle is one step, "block 0".
    """

    site: ClassVar[str] = "stream"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap a step."""
        blocks = model.stack(self.stack).blocks
        middles = model.middles(self.stack)
        steps = [Tap(blocks[0], "input", 0, "embed")]
        for i, path in enumerate(blocks):
            if i in middles:
                steps.append(Tap(middles[i].path, middles[i].side, i, f"{middles[i].added} {i}"))
            steps.append(Tap(path, "output", i, f"mlp {i}" if i in middles else f"block {i}"))
        return dict(enumerate(steps))

    def notice(self, model: LanguageModel) -> str:
        """Say which blocks are one step."""
        return _without_middle(model, self.stack)


def _without_middle(model: LanguageModel, stack: str) -> str:
    middles, n_blocks = model.middles(stack), len(model.stack(stack).blocks)
    whole = [i for i in range(n_blocks) if i not in middles]
    if not whole:
        return ""
    which = f" in blocks {', '.join(map(str, whole))}: each of them" if middles else ": each block"
    return f"{model.title} has no resid_mid{which} adds to the residual stream in one step"


@HOOKS.register("resid_post")
@dataclass(frozen=True, kw_only=True)
class ResidPost(LayeredHookPoint):
    """The residual stream as it leaves each block."""

    site: ClassVar[str] = "resid_post"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap a block."""
        blocks = model.stack(self.stack).blocks
        return {i: Tap(path, "output", i) for i, path in enumerate(blocks)}


@HOOKS.register("hidden_states")
@dataclass(frozen=True, kw_only=True)
class HiddenStates(LayeredHookPoint):
    """Hugging Face's `hidden_states`, entry by entry.

    Layer 0 is what enters the first block, layer i what leaves block i, and the last entry comes
    after the final norm where the model has one: it is not the last block's own output.
    """

    site: ClassVar[str] = "hidden_states"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap a block, and one for the stack's own output."""
        stack = model.stack(self.stack)
        last = len(stack.blocks)
        entering = {i: Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(stack.blocks)}
        return {**entering, last: Tap(stack.root, "output", last - 1)}

    def in_vocabulary(self) -> "LogitLens | Logits":
        """Return the logit lens at the same layers."""
        return LogitLens(layers=self.layers, stack=self.stack)


@HOOKS.register("logit_lens")
@dataclass(frozen=True, kw_only=True)
class LogitLens(LayeredHookPoint):
    """The residual stream through the final norm and the unembedding (nostalgebraist, 2020).

    Layers are numbered as in `hidden_states`: 0 is what enters the first block, i what leaves block
    i. The final norm is recomputed at every layer, the last one too, so that layers compare; a
    post-norm model has none, and the unembedding follows at once. Where a position pools tokens,
    their residual vectors are pooled, and the pooled vector is read through norm and unembedding.

    What is kept are the residual vectors; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logit_lens"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap a block, and one for what leaves the last block, before the final norm."""
        blocks = model.stack(self.stack_of(model)).blocks
        last = len(blocks)
        entering = {i: Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(blocks)}
        return {**entering, last: Tap(blocks[-1], "output", last - 1)}

    def read_as(self, model: LanguageModel) -> tuple[str, ...]:
        """Return the last block: every layer is read as if it were what leaves it."""
        return (model.stack(self.stack_of(model)).blocks[-1],)

    def stack_of(self, model: LanguageModel) -> str:
        """Return the stack that the head reads; a ConfigError where it is not the one chosen."""
        return _read_by_head(self, model)

    def space(self, model: LanguageModel) -> str:
        """Name the vocabulary."""
        return _vocabulary(model)

    def in_vocabulary(self) -> "LogitLens | Logits":
        """Return itself."""
        return self


@HOOKS.register("logits")
@dataclass(frozen=True, kw_only=True)
class Logits(HookPoint):
    """The model's own logits.

    Where a position pools tokens, their last hidden states are pooled, and the pooled vector is
    read through the unembedding: with a linear one, a mean over tokens is the mean of their logits.

    What is kept are the last hidden states; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logits"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return the one tap: the stack's own output, after its final norm."""
        stack = model.stack(self.stack_of(model))
        return {0: Tap(stack.root, "output", len(stack.blocks) - 1)}

    def read_as(self, model: LanguageModel) -> tuple[str, ...]:
        """Return the modules whose output is what is read."""
        stack = model.stack(self.stack_of(model))
        # OPT with its head runs the owner alone, and DeBERTa takes no notice of the owner's output.
        return (stack.root, stack.owner)

    def stack_of(self, model: LanguageModel) -> str:
        """Return the stack that the head reads; a ConfigError where it is not the one chosen."""
        return _read_by_head(self, model)

    def space(self, model: LanguageModel) -> str:
        """Name the vocabulary."""
        return _vocabulary(model)

    def in_vocabulary(self) -> "LogitLens | Logits":
        """Return itself."""
        return self


def _vocabulary(model: LanguageModel) -> str:
    words = json.dumps(model.tokenizer.get_vocab(), sort_keys=True).encode()
    digest = hashlib.sha256(words).hexdigest()[:8]
    return f"a vocabulary of {model.module.config.vocab_size} words ({digest})"


def _read_by_head(hook: LogitLens | Logits, model: LanguageModel) -> str:
    if hook.stack == "encoder" and model.read_by_head == "decoder":
        raise ConfigError(
            f"hook.stack: the unembedding of {model.title} reads its decoder; use "
            f"hook.stack=decoder with hook={hook.site}, not encoder"
        )
    return model.read_by_head if hook.stack == "auto" else hook.stack


@HOOKS.register("final_norm")
@dataclass(frozen=True, kw_only=True)
class FinalNorm(HookPoint):
    """The output of the norm between the last block and the unembedding."""

    site: ClassVar[str] = "final_norm"

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return the one tap."""
        stack = model.stack(self.stack)
        return {0: Tap(model.final_norm(stack), "output", len(stack.blocks) - 1)}


@HOOKS.register("module")
@dataclass(frozen=True, kw_only=True)
class Module(LayeredHookPoint):
    """The output of any module, by its path in the Hugging Face model, as "h.{layer}.mlp.c_fc".

    A path without `{layer}` is a single layer 0.
    """

    path: str
    site: ClassVar[str] = "module"

    @property
    def label(self) -> str:
        """The path: one module is not like another."""
        return self.path

    def space(self, model: LanguageModel) -> str:
        """Leave it open: a module's width does not show before it runs."""
        return ""

    def taps(self, model: LanguageModel) -> dict[int, Tap]:
        """Return a tap for each layer that the path exists for, which need not be all.

        Raises:
            ConfigError: the model has no such module; the nearest one is named.
        """
        first, *rest = (re.escape(part) for part in self.path.split("{layer}"))
        pattern = first + "".join(
            (r"(?P<layer>\d+)" if i == 0 else "(?P=layer)") + part for i, part in enumerate(rest)
        )
        stack = model.stacks.get(self.stack)
        blocks = stack.blocks if stack else ()
        paths = [path for path, _ in model.module.named_modules() if path]
        found = {}
        for path in paths:
            if match := re.fullmatch(pattern, path):
                owners = [i for i, block in enumerate(blocks) if f"{path}.".startswith(f"{block}.")]
                layer = int(match["layer"]) if rest else 0
                found[layer] = Tap(path, "output", owners[0] if owners else -1)
        if not found:
            wanted = self.path.replace("{layer}", "0")
            guess = nearest(wanted, paths).partition(" (known")[0]
            raise ConfigError(f"hook.path: {model.title} has no module {wanted!r}{guess}")
        return dict(sorted(found.items()))
