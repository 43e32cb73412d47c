"""The vocabulary of a model: the text of each id, and which ids occur in texts."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Ids that tokenizers reserve: [unused7], <unused7>, <|reserved_special_token_7|>.
_RESERVED = re.compile(r"^[\[<]\|?(unused|reserved)[^\]>]*[\]>]$", re.I)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Every id of an embedding, whether or not the tokenizer uses it.

    Attributes:
        texts: the text of each id, with "␣" for a leading space; "" where it is unused.
        is_word: whether it is neither special nor unused, [id].
    """

    texts: tuple[str, ...]
    is_word: NDArray[np.bool_]

    @cached_property
    def spelled(self) -> dict[str, int]:
        """The id of each word in one spelling for all tokenizers, with "␣" at the start of a word.

        WordPiece marks the continuation of a word ("##ing"), other tokenizers its start.
        """
        # Where the start of a word is marked, "##" is ordinary text.
        marks_continuation = not any(text.startswith("␣") for text in self.texts) and any(
            text.startswith("##") for text in self.texts
        )
        found: dict[str, int] = {}
        for i in np.flatnonzero(self.is_word):
            text = self.texts[i]
            if marks_continuation:
                text = text.removeprefix("##") if text.startswith("##") else f"␣{text}"
            found.setdefault(text, int(i))
        return found

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerBase", size: int) -> "Vocabulary":
        """Read the vocabulary of a tokenizer, with the ids of an embedding of that size."""
        known = min(len(tokenizer), size)
        tokens = tokenizer.convert_ids_to_tokens(list(range(known)))
        special = set(tokenizer.all_special_ids)
        is_word = np.zeros(size, bool)
        texts = [""] * size
        for i, token in enumerate(tokens):
            if token is None:
                continue
            texts[i] = _text(tokenizer, i, token)
            is_word[i] = i not in special and bool(token) and not _RESERVED.match(token)
        return cls(tuple(texts), is_word)


def _text(tokenizer: "PreTrainedTokenizerBase", number: int, token: str) -> str:
    # Decoding a token by itself loses the space before it, which the token holds as a character.
    text = str(tokenizer.decode([number]))
    starts_a_word = token.startswith(("Ġ", "▁")) or text.startswith(" ")
    text = text.removeprefix(" ")
    # A line break is written as \n, and a control character by its code.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"␣{shown}" if starts_a_word else shown
