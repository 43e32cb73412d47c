"""The words that a model knows: their texts, and which of them a text can hold."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Places that tokenizers keep free: [unused7], <unused7>, <|reserved_special_token_7|>.
_KEPT_FREE = re.compile(r"^[\[<]\|?(unused|reserved)[^\]>]*[\]>]$", re.I)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Every id of an embedding, whether or not the tokenizer uses it.

    Attributes:
        texts: what each id stands for in a text, a leading space as "␣"; "" where it is unused.
        is_word: whether it is neither special nor unused, [id].
    """

    texts: tuple[str, ...]
    is_word: NDArray[np.bool_]

    @cached_property
    def spelled(self) -> dict[str, int]:
        """The id of each word as all tokenizers would spell it, "␣" where a word begins.

        WordPiece marks what goes on within a word ("##ing"), others what begins one.
        """
        # Where beginnings are marked "##" is a word like any other.
        marks_the_rest = not any(text.startswith("␣") for text in self.texts) and any(
            text.startswith("##") for text in self.texts
        )
        found: dict[str, int] = {}
        for i in np.flatnonzero(self.is_word):
            text = self.texts[i]
            if marks_the_rest:
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
            is_word[i] = i not in special and bool(token) and not _KEPT_FREE.match(token)
        return cls(tuple(texts), is_word)


def _text(tokenizer: "PreTrainedTokenizerBase", number: int, token: str) -> str:
    # Decoding a piece by itself loses the space before it, which the token writes as a sign.
    text = str(tokenizer.decode([number]))
    starts_a_word = token.startswith(("Ġ", "▁")) or text.startswith(" ")
    text = text.removeprefix(" ")
    # A line break is written as \n, and a control sign by its code.
    seen = "".join(s if s.isprintable() else s.encode("unicode_escape").decode() for s in text)
    return f"␣{seen}" if starts_a_word else seen
