"""Prompt sets, and where they come from."""

from interp.prompts.contexts import WordsInContexts
from interp.prompts.dataset import Dataset
from interp.prompts.generated import Counting, MinimalPairs, NumberSequences
from interp.prompts.modular import ModularArithmetic
from interp.prompts.prompt_set import PromptSet, Span, from_marked, parse_marked
from interp.prompts.source import PROMPTS, PromptSource
from interp.prompts.written import Inline, PromptFile

__all__ = [
    "PROMPTS",
    "Counting",
    "Dataset",
    "Inline",
    "MinimalPairs",
    "ModularArithmetic",
    "NumberSequences",
    "PromptFile",
    "PromptSet",
    "PromptSource",
    "Span",
    "WordsInContexts",
    "from_marked",
    "parse_marked",
]
