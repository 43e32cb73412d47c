"""Tokenised prompts as four arrays, which take a few hundred bytes per prompt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.positions import Tokens


@dataclass(frozen=True, eq=False)
class TokenizedBatch:
    """The tokens of many prompts, one after the other; the i-th item is a view of the arrays.

    Attributes:
        texts: the prompts [n].
        ids: the token ids of all prompts [total].
        offsets: the [start, end) characters of each token in its own prompt [total, 2].
        special: whether the tokenizer added the token [total].
        starts: the start of each prompt's tokens, and the end of the last's [n + 1].
    """

    texts: Sequence[str]
    ids: NDArray[np.int64]
    offsets: NDArray[np.int32]
    special: NDArray[np.bool_]
    starts: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["TokenizedBatch"]) -> "TokenizedBatch":
        """Return the prompts of all parts, at least one, in one batch."""
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(
            tuple(text for part in parts for text in part.texts),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.special for part in parts]),
            np.concatenate([[0], np.cumsum(lengths)]),
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each prompt [n]."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> Tokens:
        i = range(len(self))[i]
        own = slice(self.starts[i], self.starts[i + 1])
        return Tokens(self.texts[i], self.ids[own], self.offsets[own], self.special[own])

    def __iter__(self) -> Iterator[Tokens]:
        return map(self.__getitem__, range(len(self)))
