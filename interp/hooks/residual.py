"""The residual stream: the embeddings that enter it, its steps, and the final norm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from interp.core.errors import ConfigError
from interp.hooks.hook import HOOKS, HookPoint, LayeredHookPoint, MissingSite, State, Tap, missing
from interp.hooks.vocabulary import LogitLens

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@HOOKS.register("embed")
@dataclass(frozen=True, kw_only=True)
class Embed(HookPoint):
    """The token embedding, before positions are added."""

    site: ClassVar[str] = "embed"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return the one tap."""
        return {0: Tap(model.embedding(model.stack(self.stack)), "output", 0)}

    def space(self, model: "LanguageModel") -> str:
        """Return the embedding's width, which may differ from the residual stream's."""
        table = model.module.get_submodule(model.embedding(model.stack(self.stack)))
        return f"{table.weight.shape[-1]} dimensions"


@HOOKS.register("pos_embed")
@dataclass(frozen=True, kw_only=True)
class PosEmbed(HookPoint):
    """The position embedding, learned or fixed, that is added to the token embedding."""

    site: ClassVar[str] = "pos_embed"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return the one tap.

        Raises:
            MissingSite: positions enter in another way (rotary, relative, ALiBi).
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.position_embedding import position_embedding_path

        with missing(self.site):
            path = position_embedding_path(with_constant_weights(model), self.stack)
        if not path:
            raise MissingSite(
                f"hook: {model.title} has no pos_embed: it adds no position embedding to the token "
                "embedding"
            )
        return {0: Tap(path, "output", 0)}

    def space(self, model: "LanguageModel") -> str:
        """Return "": the width may differ from the residual stream's."""
        return ""


@HOOKS.register("resid_pre")
@dataclass(frozen=True, kw_only=True)
class ResidPre(LayeredHookPoint):
    """The residual stream as it enters each block."""

    site: ClassVar[str] = "resid_pre"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block."""
        blocks = model.stack(self.stack).blocks
        return {i: Tap(path, "input", i) for i, path in enumerate(blocks)}


@HOOKS.register("resid_mid")
@dataclass(frozen=True, kw_only=True)
class ResidMid(LayeredHookPoint):
    """The residual stream between each block's attention and its MLP.

    It is the input of the block's last residual step: in a post-norm model (BERT) the output of the
    attention's norm, in a decoder with cross-attention the stream after both attentions.
    """

    site: ClassVar[str] = "resid_mid"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block that has such a point.

        Raises:
            MissingSite: no block has one, as where attention and MLP run in parallel.
        """
        middles = model.middles(self.stack)
        if not middles:
            raise MissingSite(
                f"hook: {self.notice(model)}, as where attention and MLP run in parallel"
            )
        return {i: Tap(middle.path, middle.side, i) for i, middle in middles.items()}

    def notice(self, model: "LanguageModel") -> str:
        """Return which blocks have no such point."""
        return _without_middle(model, self.stack)


@HOOKS.register("stream")
@dataclass(frozen=True, kw_only=True)
class Stream(LayeredHookPoint):
    """The residual stream step by step: the input of the first block, then each block's two steps.

    Layer 0 is `resid_pre` of block 0, layer 2i + 1 `resid_mid` of block i and layer 2i + 2 its
    `resid_post`. A layer is named by what has just been added: "embed", "attn 0", "mlp 0", …, with
    "mixer 0" where there is no attention (Mamba). A block without `resid_mid` is one step,
    "block 0".
    """

    site: ClassVar[str] = "stream"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per step."""
        blocks = model.stack(self.stack).blocks
        middles = model.middles(self.stack)
        steps = [Tap(blocks[0], "input", 0, "embed")]
        for i, path in enumerate(blocks):
            if i in middles:
                steps.append(Tap(middles[i].path, middles[i].side, i, f"{middles[i].added} {i}"))
            steps.append(Tap(path, "output", i, f"mlp {i}" if i in middles else f"block {i}"))
        return dict(enumerate(steps))

    def notice(self, model: "LanguageModel") -> str:
        """Return which blocks are one step."""
        return _without_middle(model, self.stack)


def _without_middle(model: "LanguageModel", stack: str) -> str:
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

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block."""
        blocks = model.stack(self.stack).blocks
        return {i: Tap(path, "output", i) for i, path in enumerate(blocks)}


@HOOKS.register("hidden_states")
@dataclass(frozen=True, kw_only=True)
class HiddenStates(LayeredHookPoint):
    """Hugging Face's `hidden_states`, entry by entry.

    Layer 0 is the input of the first block, layer i the input of block i, and the last entry the
    output of the final norm where the model has one, not the last block's own output.

    Attributes:
        final_norm: whether the last entry is read after the final norm; else before it, which makes
            it comparable with the others.
    """

    site: ClassVar[str] = "hidden_states"
    is_hidden_state: ClassVar[bool] = True
    final_norm: bool = True

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block, and one for the stack's own output."""
        stack = model.stack(self.stack)
        last = len(stack.blocks)
        entering = {i: Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(stack.blocks)}
        path = stack.root if self.final_norm else stack.blocks[-1]
        return {**entering, last: Tap(path, "output", last - 1)}

    def notice(self, model: "LanguageModel") -> str:
        """Return on which side of the final norm the last layer is; "" where there is none."""
        from interp.models.constant_weights import with_constant_weights
        from interp.models.final_norm import final_norm_path

        try:
            path = final_norm_path(with_constant_weights(model), self.stack)
        except ConfigError:
            # A model that cannot be traced can still be read.
            return ""
        if not path:
            return ""
        return f"last layer {'after' if self.final_norm else 'before'} the final norm"

    def comparable_states(self, states: Sequence[State]) -> list[State | None]:
        """Return all entries, without the last where it is read before the final norm."""
        return [*states[:-1], states[-1] if self.final_norm else None] if states else []

    def in_vocabulary(self) -> HookPoint:
        """Return the logit lens at the same layers."""
        return LogitLens(layers=self.layers, stack=self.stack)


@HOOKS.register("final_norm")
@dataclass(frozen=True, kw_only=True)
class FinalNorm(HookPoint):
    """The output of the norm between the last block and the unembedding."""

    site: ClassVar[str] = "final_norm"
    is_hidden_state: ClassVar[bool] = True

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return the one tap.

        Raises:
            MissingSite: the model has none, as a post-norm model (BERT).
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.final_norm import final_norm_path

        path = final_norm_path(with_constant_weights(model), self.stack)
        if not path:
            raise MissingSite(
                f"hook: {model.title} has no final norm: the output of its last block is "
                "normalised within the block, as in BERT, or not at all"
            )
        return {0: Tap(path, "output", len(model.stack(self.stack).blocks) - 1)}

    def comparable_states(self, states: Sequence[State]) -> list[State | None]:
        """Return the last entry."""
        return list(states[-1:])
