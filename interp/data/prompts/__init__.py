"""Prompt sets, and the registry of the sources that they come from.

The sources themselves stand in the modules of this package and are registered by entry points, so
that importing these types imports none of them.
"""

from interp.data.prompts.prompt_set import PromptSet, Span, from_marked, parse_marked
from interp.data.prompts.source import PROMPTS, PromptSource

__all__ = [
    "PROMPTS",
    "PromptSet",
    "PromptSource",
    "Span",
    "from_marked",
    "parse_marked",
]
