"""The outputs of a block's attention and MLP, and their norms."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from interp.hooks.hook import HOOKS, LayeredHookPoint, MissingSite, Tap

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@HOOKS.register("attn_out")
@dataclass(frozen=True, kw_only=True)
class AttentionOut(LayeredHookPoint):
    """What attention adds to the residual stream, [d], before a factor that the model applies."""

    site: ClassVar[str] = "attn_out"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block whose attention is identified.

        Raises:
            MissingSite: no block has one.
        """
        return _taps(model, self, "attn_out")


@HOOKS.register("ln1")
@dataclass(frozen=True, kw_only=True)
class AttentionNorm(LayeredHookPoint):
    """The output of attention's norm, [d]: the norm of its input.

    Where there is none, it is the norm of the residual sum after attention (BERT), or of
    attention's output (OLMo 2).
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
    """What the MLP adds to the residual stream, [d], before a factor that the model applies."""

    site: ClassVar[str] = "mlp_out"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each block whose MLP is identified.

        Raises:
            MissingSite: no block has one.
        """
        return _taps(model, self, "mlp_out")


@HOOKS.register("ln2")
@dataclass(frozen=True, kw_only=True)
class MlpNorm(LayeredHookPoint):
    """The output of the MLP's norm, [d]: the norm of its input.

    Where there is none, it is the norm of the residual sum after the MLP (BERT), or of the MLP's
    output (OLMo 2). Where attention and MLP share a norm, it is that of `ln1`.
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
    """Return a tap for the output of one kind of module in each block that has it.

    Raises:
        MissingSite: no block has one.
    """
    outlets = [getattr(sites, what) for sites in model.sites(hook.stack)]
    found = {i: Tap(outlet.path, "output", i) for i, outlet in enumerate(outlets) if outlet}
    if not found:
        raise MissingSite(f"hook: no {what}: no block of {model.title} has one")
    return found
