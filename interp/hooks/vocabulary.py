"""The residual stream read in the vocabulary: the logit lens, and the model's own logits."""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from interp.core.errors import ConfigError
from interp.hooks.hook import HOOKS, HookPoint, LayeredHookPoint, Tap

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@HOOKS.register("logit_lens")
@dataclass(frozen=True, kw_only=True)
class LogitLens(LayeredHookPoint):
    """The residual stream through the final norm and the unembedding (nostalgebraist, 2020).

    Layers are numbered as in `hidden_states`: 0 is the input of the first block, i the output of
    the i-th block. The final norm is recomputed at every layer, including the last, so that layers
    can be compared; a post-norm model has none, and its unembedding is applied directly. Where a
    position pools tokens, their residual vectors are pooled, and the pooled vector is read through
    norm and unembedding.

    The residual vectors are kept; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logit_lens"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block, and one for the output of the last, before the final norm."""
        blocks = model.stack(self.stack_of(model)).blocks
        last = len(blocks)
        entering = {i: Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(blocks)}
        return {**entering, last: Tap(blocks[-1], "output", last - 1)}

    def read_as(self, model: "LanguageModel") -> tuple[str, ...]:
        """Return the last block: every layer is read as if it were its output."""
        return (model.stack(self.stack_of(model)).blocks[-1],)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the stack that the head reads; a ConfigError where another one is chosen."""
        return _read_by_head(self, model)

    def space(self, model: "LanguageModel") -> str:
        """Return the name of the vocabulary."""
        return _vocabulary(model)

    def in_vocabulary(self) -> HookPoint:
        """Return itself."""
        return self


@HOOKS.register("logits")
@dataclass(frozen=True, kw_only=True)
class Logits(HookPoint):
    """The model's own logits.

    Where a position pools tokens, their last hidden states are pooled, and the pooled vector is
    read through the unembedding: with a linear one, a mean over tokens is the mean of their logits.

    The last hidden states are kept; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logits"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return the one tap: the stack's own output, after its final norm."""
        stack = model.stack(self.stack_of(model))
        return {0: Tap(stack.root, "output", len(stack.blocks) - 1)}

    def read_as(self, model: "LanguageModel") -> tuple[str, ...]:
        """Return the modules whose output is the last hidden state."""
        stack = model.stack(self.stack_of(model))
        # OPT with its head runs the owner alone, and DeBERTa ignores the owner's output.
        return (stack.root, stack.owner)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the stack that the head reads; a ConfigError where another one is chosen."""
        return _read_by_head(self, model)

    def space(self, model: "LanguageModel") -> str:
        """Return the name of the vocabulary."""
        return _vocabulary(model)

    def in_vocabulary(self) -> HookPoint:
        """Return itself."""
        return self


def _vocabulary(model: "LanguageModel") -> str:
    words = json.dumps(model.tokenizer.get_vocab(), sort_keys=True).encode()
    content = hashlib.sha256(words).hexdigest()[:8]
    return f"a vocabulary of {model.module.config.vocab_size} words ({content})"


def _read_by_head(hook: LogitLens | Logits, model: "LanguageModel") -> str:
    if hook.stack == "encoder" and model.read_by_head == "decoder":
        raise ConfigError(
            f"hook.stack: the unembedding of {model.title} reads its decoder; use "
            f"hook.stack=decoder with hook={hook.site}, not encoder"
        )
    return model.read_by_head if hook.stack == "auto" else hook.stack
