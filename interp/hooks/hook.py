"""The hook point: it turns a model's structure into taps, one per layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.core.registry import Registry
from interp.hooks import units

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class Tap:
    """One tensor of the forward pass: the input or the output of a module.

    Attributes:
        path: the module; "" is the model itself.
        side: whether its input or its output is read.
        block: the number of the block whose attention weighs this tensor in attention-weighted
            pooling; -1 where it belongs to no block.
        name: the layer's name in figures; "" where its number suffices.
        channels: the indices of the channels that are read, in the shape of a token's unit, [head,
            d_head] or [neuron]; None for all of them.
        projects: whether each row of the unit is multiplied by the rows of the module's own matrix
            at its channels, as the output projection does with a head's output.
    """

    path: str
    side: Literal["input", "output"]
    block: int
    name: str = ""
    channels: NDArray[np.int64] | None = None
    projects: bool = False


@dataclass(frozen=True)
class AttentionTap:
    """An argument, an intermediate value or the output of a block's attention function.

    Attributes:
        what: "query", "key" and "value" as attention is called with them; "scores", "pattern" or
            "output".
        path: the block.
        block: its number.
        heads: the indices of the heads, or of the key and value heads; None for all.
        name: the layer's name in figures; "" where its number suffices.
    """

    what: Literal["query", "key", "value", "output", "scores", "pattern"]
    path: str
    block: int
    heads: tuple[int, ...] | None = None
    name: str = ""


class MissingSite(ConfigError):  # noqa: N818 — named after what is missing
    """The model has no such site."""


@contextmanager
def missing(site: str) -> Iterator[None]:
    """Turn a ConfigError about the model's structure into `MissingSite` for the site."""
    try:
        yield
    except ConfigError as reason:
        raise MissingSite(f"hook: no {site}: {reason}") from reason


@dataclass(frozen=True, kw_only=True)
class HookPoint(ABC):
    """A site of the model.

    Attributes:
        site: its name in figures and runs.
        may_be_minus_infinity: whether its values may hold −∞, as masked attention scores do.
        is_hidden_state: whether its layers are entries of Hugging Face's `hidden_states`; the
            forward pass compares them once with the model's own.
        may_repeat: whether the module that is read may run several times in one pass.
        stack: "encoder" or "decoder" where the model has both; "auto" takes the encoder.
    """

    site: ClassVar[str]
    may_be_minus_infinity: ClassVar[bool] = False
    is_hidden_state: ClassVar[bool] = False
    may_repeat: ClassVar[bool] = False
    stack: str = "auto"

    @abstractmethod
    def taps(self, model: "LanguageModel") -> Mapping[int, Tap | AttentionTap]:
        """Return the tap of each layer that the site has, in increasing order.

        Raises:
            MissingSite: the model has no such site.
        """

    @property
    def label(self) -> str:
        """The site's name in figures."""
        return self.site

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the heads or neurons that are read; empty for all of them."""
        return ()

    def chosen(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return those of the site's layers that are read: all, where none can be chosen."""
        return tuple(layers)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the choice of stack that the site is read from."""
        return self.stack

    def space(self, model: "LanguageModel") -> str:
        """Return the name of the space that the points lie in; "" where it is not known yet.

        Points of two models can be compared axis by axis where the names are equal.
        """
        return f"{model.width} dimensions"

    def notice(self, model: "LanguageModel") -> str:
        """Return a remark on the site in this model, for the figures; "" if there is none."""
        return ""

    def read_as(self, model: "LanguageModel") -> tuple[str, ...]:
        """Return the modules whose output the values replace to be read as logits.

        Empty where the values are not read in the vocabulary; see `interp.models.Readout`.
        """
        return ()

    def comparable_states(self, states: Sequence[State]) -> list[State | None]:
        """Return the entry of the model's own `hidden_states` that each layer equals.

        Args:
            states: the entries, in the model's order.

        Returns:
            One entry per layer of the site; None for a layer that equals none of them. Empty where
            the site is not read from `hidden_states`.
        """
        return []

    def in_vocabulary(self) -> "HookPoint":
        """Return the hook point that reads the same layers as logits over the vocabulary.

        Raises:
            ConfigError: the site is not the residual stream.
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
        object.__setattr__(self, "layers", units.validated("layers", self.layers))

    def chosen(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return those of the site's layers that are read, in increasing order.

        Raises:
            ConfigError: a layer that the site does not have.
        """
        if self.layers == "all":
            return tuple(layers)
        found = set()
        for layer in self.layers:
            if layer not in layers and not -len(layers) <= layer < 0:
                raise ConfigError(
                    f"hook.layers: no layer {layer}; {self.label} has {_listed(layers)}"
                )
            found.add(layer if layer in layers else layers[layer])
        return tuple(sorted(found))


def _listed(layers: Sequence[int]) -> str:
    if list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layers {', '.join(map(str, layers))}"


HOOKS: Registry[HookPoint] = Registry("hook", "interp.hooks")
