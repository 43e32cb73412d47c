"""Where to read: each hook point turns a model's structure into taps, one a layer."""

from abc import ABC, abstractmethod
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
        block: the block whose attention belongs to this tensor, for attention-weighted pooling.
    """

    path: str
    side: Literal["input", "output"]
    block: int


@dataclass(frozen=True, kw_only=True)
class HookPoint(ABC):
    """A site of the model; `stack` chooses encoder or decoder where the model has both.

    Attributes:
        site: the name that figures and runs show.
    """

    site: ClassVar[str]
    stack: str = "auto"

    @abstractmethod
    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return the taps of all the site's layers, in the order in which the model runs them.

        Raises:
            ConfigError: the model has no such site.
        """

    def chosen(self, n_layers: int) -> tuple[int, ...]:
        """Return the layers to read out of `n_layers`: all of them, where none can be chosen."""
        return tuple(range(n_layers))


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

    def chosen(self, n_layers: int) -> tuple[int, ...]:
        """Return the layers to read, in increasing order.

        Raises:
            ConfigError: a layer that the site does not have.
        """
        if self.layers == "all":
            return tuple(range(n_layers))
        for layer in self.layers:
            if not -n_layers <= layer < n_layers:
                raise ConfigError(
                    f"hook.layers: no layer {layer}; {self.site} has layers 0 to {n_layers - 1}"
                )
        return tuple(sorted({layer % n_layers for layer in self.layers}))


HOOKS: Registry[HookPoint] = Registry("hook")


@HOOKS.register("embed")
@dataclass(frozen=True, kw_only=True)
class Embed(HookPoint):
    """The token embedding, before positions are added."""

    site: ClassVar[str] = "embed"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return the one tap."""
        return [Tap(model.embedding(model.stack(self.stack)), "output", 0)]


@HOOKS.register("resid_pre")
@dataclass(frozen=True, kw_only=True)
class ResidPre(LayeredHookPoint):
    """The residual stream as it enters each block."""

    site: ClassVar[str] = "resid_pre"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return a tap a block."""
        blocks = model.stack(self.stack).blocks
        return [Tap(path, "input", i) for i, path in enumerate(blocks)]


@HOOKS.register("resid_post")
@dataclass(frozen=True, kw_only=True)
class ResidPost(LayeredHookPoint):
    """The residual stream as it leaves each block."""

    site: ClassVar[str] = "resid_post"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return a tap a block."""
        blocks = model.stack(self.stack).blocks
        return [Tap(path, "output", i) for i, path in enumerate(blocks)]


@HOOKS.register("hidden_states")
@dataclass(frozen=True, kw_only=True)
class HiddenStates(LayeredHookPoint):
    """Hugging Face's `hidden_states`, entry by entry.

    Layer 0 is what enters the first block, layer i what leaves block i, and the last entry comes
    after the final norm where the model has one: it is not the last block's own output.
    """

    site: ClassVar[str] = "hidden_states"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return a tap a block, and one for the stack's own output."""
        stack = model.stack(self.stack)
        entering = [Tap(path, "input", max(i - 1, 0)) for i, path in enumerate(stack.blocks)]
        return [*entering, Tap(stack.root, "output", len(stack.blocks) - 1)]


@HOOKS.register("final_norm")
@dataclass(frozen=True, kw_only=True)
class FinalNorm(HookPoint):
    """The output of the norm between the last block and the unembedding."""

    site: ClassVar[str] = "final_norm"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return the one tap."""
        stack = model.stack(self.stack)
        return [Tap(model.final_norm(stack), "output", len(stack.blocks) - 1)]


@HOOKS.register("module")
@dataclass(frozen=True, kw_only=True)
class Module(LayeredHookPoint):
    """The output of any module, by its path in the Hugging Face model, as "h.{layer}.mlp.c_fc".

    A path without `{layer}` is a single layer 0.
    """

    path: str
    site: ClassVar[str] = "module"

    def taps(self, model: LanguageModel) -> list[Tap]:
        """Return a tap for each layer that the path exists for.

        Raises:
            ConfigError: the model has no such module; the nearest one is named.
        """
        paths = [path for path, _ in model.module.named_modules() if path]
        known = set(paths)
        found: list[Tap] = []
        while (path := self.path.replace("{layer}", str(len(found)))) in known:
            if path in (tap.path for tap in found):
                break
            found.append(Tap(path, "output", len(found)))
        if not found:
            guess = nearest(path, paths).partition(" (known")[0]
            raise ConfigError(f"hook.path: {model.title} has no module {path!r}{guess}")
        return found
