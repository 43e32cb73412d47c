"""What a block's two parts add to the residual stream, and the norms that are theirs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from interp.hooks.hook import HOOKS, LayeredHookPoint, MissingSite, Tap

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@HOOKS.register("attn_out")
@dataclass(frozen=True, kw_only=True)
class AttentionOut(LayeredHookPoint):
    """What attention adds to the residual stream, [d], a factor of the model's own left out."""

    site: ClassVar[str] = "attn_out"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block whose attention is told.

        Raises:
            MissingSite: no block has any.
        """
        return _taps(model, self, "attn_out")


@HOOKS.register("ln1")
@dataclass(frozen=True, kw_only=True)
class AttentionNorm(LayeredHookPoint):
    """The output of attention's norm, [d]: the one in front of it.

    Where there is none it is the norm of the sum behind attention (BERT), or of what attention
    gives (OLMo 2).
    """

    site: ClassVar[str] = "ln1"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block that has one.

        Raises:
            MissingSite: no block has one.
        """
        return _taps(model, self, "ln1")


@HOOKS.register("mlp_out")
@dataclass(frozen=True, kw_only=True)
class MlpOut(LayeredHookPoint):
    """What the MLP adds to the residual stream, [d], a factor of the model's own left out."""

    site: ClassVar[str] = "mlp_out"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block whose MLP is told.

        Raises:
            MissingSite: no block has any.
        """
        return _taps(model, self, "mlp_out")


@HOOKS.register("ln2")
@dataclass(frozen=True, kw_only=True)
class MlpNorm(LayeredHookPoint):
    """The output of the MLP's norm, [d]: the one in front of it.

    Where there is none it is the norm of the sum behind the MLP (BERT), or of what the MLP gives
    (OLMo 2). Where attention and MLP share one it is `ln1`.
    """

    site: ClassVar[str] = "ln2"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block that has one.

        Raises:
            MissingSite: no block has one.
        """
        return _taps(model, self, "ln2")


def _taps(
    model: "LanguageModel",
    hook: LayeredHookPoint,
    what: Literal["attn_out", "mlp_out", "ln1", "ln2"],
) -> dict[int, Tap]:
    """Return the outputs of those modules of the blocks that are meant.

    Raises:
        MissingSite: no block has one.
    """
    outlets = [getattr(sites, what) for sites in model.sites(hook.stack)]
    found = {i: Tap(outlet.path, "output", i) for i, outlet in enumerate(outlets) if outlet}
    if not found:
        raise MissingSite(f"hook: no {what}: no block of {model.title} has one")
    return found
