"""Prompt sets, and where they come from."""

from interp.data.prompts.contexts import WordsInContexts
from interp.data.prompts.dataset import Dataset
from interp.data.prompts.generated import Counting, MinimalPairs, NumberSequences
from interp.data.prompts.prompt_set import PromptSet, Span, from_marked, parse_marked
from interp.data.prompts.source import PROMPTS, PromptSource
from interp.data.prompts.written import Inline, PromptFile

__all__ = [
    "PROMPTS",
    "Counting",
    "Dataset",
    "Inline",
    "MinimalPairs",
    "NumberSequences",
    "PromptFile",
    "PromptSet",
    "PromptSource",
    "Span",
    "WordsInContexts",
    "from_marked",
    "parse_marked",
]
