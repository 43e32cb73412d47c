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

    Layers are numbered as in `hidden_states`: 0 is what enters the first block, i what leaves block
    i. The final norm is recomputed at every layer, the last one too, so that layers compare; a
    post-norm model has none, and the unembedding follows at once. Where a position pools tokens,
    their residual vectors are pooled, and the pooled vector is read through norm and unembedding.

    What is kept are the residual vectors; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logit_lens"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block, and one for what leaves the last block, before the final norm."""
        blocks = model.stack(self.stack_of(model)).blocks
        last = len(blocks)
        entering = {i: Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(blocks)}
        return {**entering, last: Tap(blocks[-1], "output", last - 1)}

    def read_as(self, model: "LanguageModel") -> tuple[str, ...]:
        """Return the last block: every layer is read as if it were what leaves it."""
        return (model.stack(self.stack_of(model)).blocks[-1],)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the stack that the head reads; a ConfigError where it is not the one chosen."""
        return _read_by_head(self, model)

    def space(self, model: "LanguageModel") -> str:
        """Name the vocabulary."""
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

    What is kept are the last hidden states; `Activations.points` turns them into logits.
    """

    site: ClassVar[str] = "logits"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return the one tap: the stack's own output, after its final norm."""
        stack = model.stack(self.stack_of(model))
        return {0: Tap(stack.root, "output", len(stack.blocks) - 1)}

    def read_as(self, model: "LanguageModel") -> tuple[str, ...]:
        """Return the modules whose output is what is read."""
        stack = model.stack(self.stack_of(model))
        # OPT with its head runs the owner alone, and DeBERTa takes no notice of the owner's output.
        return (stack.root, stack.owner)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the stack that the head reads; a ConfigError where it is not the one chosen."""
        return _read_by_head(self, model)

    def space(self, model: "LanguageModel") -> str:
        """Name the vocabulary."""
        return _vocabulary(model)

    def in_vocabulary(self) -> HookPoint:
        """Return itself."""
        return self


def _vocabulary(model: "LanguageModel") -> str:
    words = json.dumps(model.tokenizer.get_vocab(), sort_keys=True).encode()
    digest = hashlib.sha256(words).hexdigest()[:8]
    return f"a vocabulary of {model.module.config.vocab_size} words ({digest})"


def _read_by_head(hook: LogitLens | Logits, model: "LanguageModel") -> str:
    if hook.stack == "encoder" and model.read_by_head == "decoder":
        raise ConfigError(
            f"hook.stack: the unembedding of {model.title} reads its decoder; use "
            f"hook.stack=decoder with hook={hook.site}, not encoder"
        )
    return model.read_by_head if hook.stack == "auto" else hook.stack
