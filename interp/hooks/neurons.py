"""The neurons of the MLP, before and after their activation function."""

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
    """A site with one number per neuron.

    Attributes:
        neurons: "all", one neuron, or a list; negative numbers count from the last.
    """

    neurons: Any = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "neurons", units.validated("neurons", self.neurons))

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the neurons that are read; empty for all of them."""
        return () if self.neurons == "all" else self.neurons

    @property
    def label(self) -> str:
        """The site, and the neurons where not all are read."""
        return units.label(self.site, "neurons", self.units)

    def space(self, model: "LanguageModel") -> str:
        """Return "": the neurons of two models do not correspond."""
        return ""

    def layouts(self, model: "LanguageModel") -> "list[tuple[str, MlpLayout]]":
        """Return each block's path and the layout of its MLP.

        Raises:
            MissingSite: the neurons cannot be identified.
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.mlp_layout import mlp_layouts
        from interp.models.tracing import trace_each_kind

        with missing(self.site):
            empty = with_constant_weights(model)
            layouts = partial(mlp_layouts, empty, self.stack)
            found = trace_each_kind(empty, self.stack, layouts)
        return list(zip(model.stack(self.stack).blocks, found, strict=True))

    def ambiguous_gate(self, model: "LanguageModel", layout: "MlpLayout") -> MissingSite:
        """Return the error for a gate that cannot be distinguished from its counterpart."""
        names = ", ".join(layout.parts)
        return MissingSite(
            f"hook: no {self.site}: the structure of {model.title} does not show which of {names} "
            "is the gate"
        )

    def channels(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the channels of the chosen neurons; all have the channels from start to stop."""
        n = stop - start
        chosen = units.indices("neurons", self.neurons, n, f"neurons in {self.site}")
        return np.arange(start, stop) if chosen is None else start + np.array(chosen)


def _entering(layout: "MlpLayout") -> "tuple[Part | None, Part | None]":
    """Return the input of the activation function, and the factor of its result in a gated MLP.

    None for both where the two cannot be distinguished.
    """
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
    """Each neuron before its activation function, [neuron]; in a gated MLP the gate."""

    site: ClassVar[str] = "mlp_pre"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block.

        Raises:
            MissingSite: the neurons, or the gate of a gated MLP, cannot be identified.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            gate, _ = _entering(layout)
            if gate is None:
                raise self.ambiguous_gate(model, layout)
            channels = self.channels(gate.channels.start, gate.channels.stop)
            found[i] = Tap(f"{block}.{gate.call.path}", "output", i, channels=channels)
        return found


@HOOKS.register("mlp_pre_linear")
@dataclass(frozen=True, kw_only=True)
class MlpPreLinear(NeuronSite):
    """The factor of each neuron's gate in a gated MLP, [neuron]: its "up" half."""

    site: ClassVar[str] = "mlp_pre_linear"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block.

        Raises:
            MissingSite: the MLP is not gated.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            _, up = _entering(layout)
            if len(layout.parts) == 1:
                raise MissingSite(f"hook: no {self.site}: the MLP of {model.title} has no gate")
            if up is None:
                raise self.ambiguous_gate(model, layout)
            channels = self.channels(up.channels.start, up.channels.stop)
            found[i] = Tap(f"{block}.{up.call.path}", "output", i, channels=channels)
        return found


@HOOKS.register("mlp_post")
@dataclass(frozen=True, kw_only=True)
class MlpPost(NeuronSite):
    """Each neuron's activation, [neuron]: the input of the output projection."""

    site: ClassVar[str] = "mlp_post"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block.

        Raises:
            MissingSite: the neurons cannot be identified.
        """
        found = {}
        for i, (block, layout) in enumerate(self.layouts(model)):
            channels = self.channels(0, layout.output.given.shape[-1])
            found[i] = Tap(f"{block}.{layout.output.path}", "input", i, channels=channels)
        return found
