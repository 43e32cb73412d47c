"""The MLP neuron by neuron: what goes into each, and what comes of it."""

from abc import ABC
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from interp.hooks import units
from interp.hooks.hook import HOOKS, LayeredHookPoint, MissingSite, Tap, missing

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel
    from interp.models.mlp_layout import MlpLayout, Part


@dataclass(frozen=True, kw_only=True)
class NeuronSite(LayeredHookPoint, ABC):
    """A site that has a number a neuron.

    Attributes:
        neurons: "all", one neuron, or a list; negative numbers count from the last.
    """

    neurons: Any = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "neurons", units.checked("neurons", self.neurons))

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the neurons that are read; empty for all of them."""
        return () if self.neurons == "all" else self.neurons

    @property
    def label(self) -> str:
        """The site, and which neurons where some are read."""
        return units.told(self.site, "neurons", self.units)

    def space(self, model: "LanguageModel") -> str:
        """Leave it open: a neuron of one model is no neuron of another."""
        return ""

    def layouts(self, model: "LanguageModel") -> "list[tuple[str, MlpLayout]]":
        """Return each block's path and the layout of its MLP.

        Raises:
            MissingSite: no neurons can be told.
        """
        from interp.models.mlp_layout import mlp_layouts
        from interp.models.tracing import of_each_kind, with_constant_weights

        with missing(self.site):
            empty = with_constant_weights(model)
            layouts = partial(mlp_layouts, empty, self.stack)
            found = of_each_kind(empty, self.stack, layouts)
        return list(zip(model.stack(self.stack).blocks, found, strict=True))

    def unclear(self, model: "LanguageModel", layout: "MlpLayout") -> MissingSite:
        """Return what is to be said where a gate does what its counterpart does, as with ReLU."""
        names = ", ".join(layout.parts)
        return MissingSite(
            f"hook: no {self.site}: which of {names} is the gate in {model.title} cannot be told "
            "from its structure"
        )

    def picked(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the channels of the chosen neurons, out of those from start to stop."""
        n = stop - start
        chosen = units.picked("neurons", self.neurons, n, f"neurons in {self.site}")
        return np.arange(start, stop) if chosen is None else start + np.array(chosen)


def _entering(layout: "MlpLayout") -> "tuple[Part | None, Part | None]":
    """Return what the activation function is applied to, and what its result is multiplied by."""
    parts = list(layout.parts.values())
    if len(parts) == 1:
        return parts[0], None
    gates = [part for part in parts if not part.is_linear]
    ups = [part for part in parts if part.is_linear]
    if len(gates) == len(ups) == 1:
        return gates[0], ups[0]
    return None, None


@HOOKS.register("mlp_pre")
@dataclass(frozen=True, kw_only=True)
class MlpPre(NeuronSite):
    """Each neuron before its activation function, [neuron]; of a gated MLP the gate."""

    site: ClassVar[str] = "mlp_pre"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block.

        Raises:
            MissingSite: no neurons can be told, or not which of a gated MLP's halves is the gate.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            gate, _ = _entering(layout)
            if gate is None:
                raise self.unclear(model, layout)
            channels = self.picked(gate.channels.start, gate.channels.stop)
            found[i] = Tap(f"{block}.{gate.call.path}", "output", i, channels=channels)
        return found


@HOOKS.register("mlp_pre_linear")
@dataclass(frozen=True, kw_only=True)
class MlpPreLinear(NeuronSite):
    """What each neuron's gate is multiplied by in a gated MLP, [neuron]: its "up" half."""

    site: ClassVar[str] = "mlp_pre_linear"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block.

        Raises:
            MissingSite: the MLP is not gated.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            _, up = _entering(layout)
            if len(layout.parts) == 1:
                raise MissingSite(f"hook: no {self.site}: the MLP of {model.title} has no gate")
            if up is None:
                raise self.unclear(model, layout)
            channels = self.picked(up.channels.start, up.channels.stop)
            found[i] = Tap(f"{block}.{up.call.path}", "output", i, channels=channels)
        return found


@HOOKS.register("mlp_post")
@dataclass(frozen=True, kw_only=True)
class MlpPost(NeuronSite):
    """Each neuron's activation, [neuron], as the output projection is given it."""

    site: ClassVar[str] = "mlp_post"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block.

        Raises:
            MissingSite: no neurons can be told.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            channels = self.picked(0, layout.output.given.shape[-1])
            found[i] = Tap(f"{block}.{layout.output.path}", "input", i, channels=channels)
        return found
