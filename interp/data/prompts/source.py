"""The protocol of prompt sources, and their registry."""

from typing import Protocol

from interp.core.registry import Registry
from interp.data.prompts.prompt_set import PromptSet


class PromptSource(Protocol):
    """Where prompts come from."""

    def load(self) -> PromptSet:
        """Return the prompts.

        Raises:
            ConfigError: they cannot be read or are not valid.
        """
        ...


PROMPTS: Registry[PromptSource] = Registry("prompts", "interp.prompts")
