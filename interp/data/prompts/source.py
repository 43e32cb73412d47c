"""Where prompts come from: the protocol, and the registry of its kinds."""

from typing import Protocol

from interp.core.registry import Registry
from interp.data.prompts.prompt_set import PromptSet


class PromptSource(Protocol):
    """Where prompts come from."""

    def load(self) -> PromptSet:
        """Return the prompts; a ConfigError says what is wrong with them."""
        ...


PROMPTS: Registry[PromptSource] = Registry("prompts", "interp.prompts")
