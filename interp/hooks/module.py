"""Any module, by its path."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from interp.core.errors import ConfigError, nearest
from interp.hooks.hook import HOOKS, LayeredHookPoint, Tap

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@HOOKS.register("module")
@dataclass(frozen=True, kw_only=True)
class Module(LayeredHookPoint):
    """The output of any module, by its path in the Hugging Face model.

    Attributes:
        path: the path, with `{layer}` for the layer's number: "h.{layer}.mlp.c_fc". A path without
            it is a single layer 0.
    """

    path: str
    site: ClassVar[str] = "module"
    may_repeat: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """The path."""
        return self.path

    def space(self, model: "LanguageModel") -> str:
        """Return "": a module's width is not known before it runs."""
        return ""

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap for each layer for which the path exists, which need not be every layer.

        Raises:
            ConfigError: the model has no such module; the message names the nearest one.
        """
        first, *rest = (re.escape(part) for part in self.path.split("{layer}"))
        pattern = first + "".join(
            (r"(?P<layer>\d+)" if i == 0 else "(?P=layer)") + part for i, part in enumerate(rest)
        )
        stack = model.stacks.get(self.stack)
        blocks = stack.blocks if stack else ()
        paths = [path for path, _ in model.module.named_modules() if path]
        found = {}
        for path in paths:
            if match := re.fullmatch(pattern, path):
                owners = [i for i, block in enumerate(blocks) if f"{path}.".startswith(f"{block}.")]
                layer = int(match["layer"]) if rest else 0
                found[layer] = Tap(path, "output", owners[0] if owners else -1)
        if not found:
            wanted = self.path.replace("{layer}", "0")
            guess = nearest(wanted, paths).partition(" (known")[0]
            raise ConfigError(f"hook.path: {model.title} has no module {wanted!r}{guess}")
        return dict(sorted(found.items()))
