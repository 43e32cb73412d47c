"""What a hook point is: it turns a model's structure into taps, one a layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.core.registry import Registry
from interp.hooks import units

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Tap:
    """One tensor of the forward pass: what enters or leaves a module.

    Attributes:
        path: the module; "" is the model itself.
        side: its input, or its output.
        block: the block whose attention belongs to this tensor, for attention-weighted pooling;
            -1 where the tensor belongs to none.
        name: what figures call the layer; "" where its number says it all.
        channels: which channels of the tensor are read, in the shape of a token's unit: [head,
            d_head], [neuron]; None for all of them.
        projects: whether each row of the unit goes through the rows of the module's own matrix that
            it stands at, as a head's output goes into the stream.
    """

    path: str
    side: Literal["input", "output"]
    block: int
    name: str = ""
    channels: NDArray[np.int64] | None = None
    projects: bool = False


@dataclass(frozen=True)
class AttentionTap:
    """What attention is handed in a block, returns, or works out on the way.

    Attributes:
        what: "query", "key" and "value" as they are handed on, "output", "scores" or "pattern".
        path: the block.
        block: its number.
        heads: which of the heads, or of the heads' different keys and values; None for all.
        name: what figures call the layer; "" where its number says it all.
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
    """Say of whatever cannot be told of the model's structure that it lacks the site for it."""
    try:
        yield
    except ConfigError as reason:
        raise MissingSite(f"hook: no {site}: {reason}") from reason


@dataclass(frozen=True, kw_only=True)
class HookPoint(ABC):
    """A site of the model; `stack` chooses encoder or decoder where the model has both.

    Attributes:
        site: the name that figures and runs show.
    """

    site: ClassVar[str]
    stack: str = "auto"

    @abstractmethod
    def taps(self, model: "LanguageModel") -> Mapping[int, Tap | AttentionTap]:
        """Return the tap of each layer that the site has, in increasing order.

        Raises:
            MissingSite: the model has no such site.
        """

    @property
    def label(self) -> str:
        """How figures call the site."""
        return self.site

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the heads or neurons that are read; empty for all of them."""
        return ()

    def chosen(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return the layers to read of those that there are: all, where none can be chosen."""
        return tuple(layers)

    def stack_of(self, model: "LanguageModel") -> str:
        """Return the choice of stack that the site is read from."""
        return self.stack

    def space(self, model: "LanguageModel") -> str:
        """Name the space that the points lie in; "" where only reading would tell.

        Points of two models may be held against each other, axis by axis, where the names agree.
        """
        return f"{model.width} dimensions"

    def notice(self, model: "LanguageModel") -> str:
        """Say what a reader should know of how the site stands in this model; "" if nothing."""
        return ""

    def in_vocabulary(self) -> "HookPoint":
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
        object.__setattr__(self, "layers", units.checked("layers", self.layers))

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


HOOKS: Registry[HookPoint] = Registry("hook", "interp.hooks")
