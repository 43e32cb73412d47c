"""Where prompts come from: the protocol, and the registry of its kinds."""

from typing import Protocol

from interp.prompts.prompt_set import PromptSet
from interp.registry import Registry


class PromptSource(Protocol):
    """Where prompts come from."""

    def load(self) -> PromptSet:
        """Return the prompts; a ConfigError says what is wrong with them."""
        ...


PROMPTS: Registry[PromptSource] = Registry("prompts")
