"""What is to be read, and the hashes under which the store keeps it."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from interp.core.source_code import Definition, code_hash
from interp.core.versions import versions
from interp.data.positions import POSITIONS, Position, described
from interp.data.prompts import PromptSet
from interp.hooks import HOOKS, HookPoint
from interp.models import ModelSource

# The code that decides what every request reads, and the libraries that decide the values.
_READING = Definition("interp.cache.requests", "activations")
_LIBRARIES = ("torch", "transformers", "tokenizers")


@dataclass(frozen=True)
class Request:
    """What is to be read: of which model, of which prompts, where, and at which tokens."""

    source: ModelSource
    prompts: PromptSet
    hook: HookPoint
    position: Position

    @cached_property
    def of_model(self) -> str:
        """A hash of the weights, of the forward pass, and of the prompts."""
        source = self.source
        weights = (type(source).__name__, source.revision, source.dtype, source.attention)
        code = code_hash([_READING, source])
        return _digest(weights, self.prompts.content_hash, code, _libraries())

    @cached_property
    def key(self) -> str:
        """A hash of all that decides what will be read."""
        return _digest(self.of_model, self._site, self._layers, self._tokens)

    @cached_property
    def values(self) -> str:
        """A hash of all that decides the values, whichever layers are asked for."""
        return _digest(self.of_model, self._site, self._tokens)

    @property
    def _site(self) -> list[object]:
        fields = vars(self.hook)
        settings = {name: value for name, value in fields.items() if name != "layers"}
        return [HOOKS.name_of(self.hook), settings, code_hash([self.hook])]

    @property
    def _layers(self) -> object:
        return getattr(self.hook, "layers", "all")

    @property
    def _tokens(self) -> list[object]:
        return [POSITIONS.name_of(self.position), vars(self.position), code_hash([self.position])]

    def provenance(self) -> dict[str, object]:
        """Return how the values are computed, as `interp store` shows it."""
        return {
            "title": self.source.title,
            "revision": self.source.revision,
            "dtype": self.source.dtype,
            "site": self.hook.label,
            "position": described(self.position),
            "prompts": f"{len(self.prompts)} prompts ({self.prompts.content_hash[:8]})",
            **_libraries(),
        }


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=list).encode()).hexdigest()


def _libraries() -> dict[str, str]:
    return {name: versions()[name] for name in _LIBRARIES}
