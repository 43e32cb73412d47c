"""The tokens at both ends of a direction, and whether they are of the words' own kind."""

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary
from interp.models.words import RandomTokens, Words

if TYPE_CHECKING:
    import pandas as pd

# Directions onto which the vocabulary is projected at once: 50,000 words take 26 MB.
_DIRECTIONS_PER_CHUNK = 128


@dataclass(frozen=True, eq=False)
class KindTest:
    """How many tokens at an end of the direction are of the words' own kind.

    Attributes:
        kind: "digits", "letters" or "punctuation"; "" if the words are of several kinds or none.
        count: tokens of that kind, at the end that has more of them.
        expected: the mean count over the random sets, each at its own end with more of them.
        p: (b + 1) / (B + 1) for b of B random sets with at least that count.
    """

    kind: str = ""
    count: int = 0
    expected: float = 0.0
    p: float = 1.0


@dataclass(frozen=True, eq=False)
class ExtremeTokens:
    """The tokens at the ends of a direction, without the words themselves.

    Attributes:
        projections: of every id, relative to the words' mean, [id].
        of_words: of the words, [word].
        low: the ids of lowest projection, the lowest first.
        high: the ids of highest projection, the highest first.
        low_labels: the texts of `low`.
        high_labels: the texts of `high`.
        kinds: the kind of each id, [id]; "" for most.
        kind_test: whether more of them than by chance are of the words' own kind.
    """

    projections: Array
    of_words: Array
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    low_labels: tuple[str, ...]
    high_labels: tuple[str, ...]
    kinds: NDArray[np.object_]
    kind_test: KindTest

    def table(self) -> "pd.DataFrame":
        """Return the tokens of both ends, one row per token."""
        import pandas as pd

        rows = [
            (end, rank, label, self.projections[number], self.kinds[number])
            for end, ids, labels in (
                ("low", self.low, self.low_labels),
                ("high", self.high, self.high_labels),
            )
            for rank, (number, label) in enumerate(zip(ids, labels, strict=True), 1)
        ]
        return pd.DataFrame(rows, columns=["end", "rank", "token", "projection", "kind"])


def extreme_tokens(
    matrix: NDArray[np.float32],
    words: Words,
    vocabulary: Vocabulary,
    axis: Array,
    random_axes: Array,
    random_tokens: RandomTokens,
    top: int,
) -> ExtremeTokens:
    """Project the vocabulary on a direction, and on that of each random set of tokens.

    The directions of the random sets are the null of how many tokens of one kind lie at an end. A
    set's own tokens are left out of its ends as the words are.

    Args:
        matrix: the embedding, [id, d].
        words: the words.
        vocabulary: what the ids stand for.
        axis: the direction, [d].
        random_axes: that of each random set, [set, d].
        random_tokens: the random sets.
        top: tokens per end.
    """
    kinds = np.array([token_kind(text) for text in vocabulary.texts], dtype=object)
    top = min(top, int(vocabulary.is_word.sum()) - len(words.ids))
    of_words = words.points(matrix, words.ids) @ axis
    projections = matrix.astype(np.float64) @ axis
    low, high = _ends(projections, vocabulary.is_word, words.ids, top)
    kind_test = KindTest()
    kinds_of_words = {str(kinds[number]) for number in words.ids}
    if len(kinds_of_words) == 1 and "" not in kinds_of_words:
        kind = kinds_of_words.pop()
        is_kind = kinds == kind
        count = max(int(is_kind[low].sum()), int(is_kind[high].sum()))
        counts = _random_counts(
            matrix, is_kind, vocabulary.is_word, random_axes, random_tokens.ids, top
        )
        p = float(((counts >= count).sum() + 1) / (len(counts) + 1))
        kind_test = KindTest(kind, count, float(counts.mean()), p)
    return ExtremeTokens(
        projections=projections - of_words.mean(),
        of_words=of_words - of_words.mean(),
        low=low,
        high=high,
        low_labels=tuple(vocabulary.texts[number] for number in low),
        high_labels=tuple(vocabulary.texts[number] for number in high),
        kinds=kinds,
        kind_test=kind_test,
    )


def _ends(
    projections: Array, is_word: NDArray[np.bool_], left_out: NDArray[np.intp], top: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the ids of the lowest and of the highest projections [id], the furthest first."""
    allowed = is_word.copy()
    allowed[left_out] = False
    low = np.argpartition(np.where(allowed, projections, np.inf), top - 1)[:top]
    high = np.argpartition(np.where(allowed, -projections, np.inf), top - 1)[:top]
    return low[np.argsort(projections[low])], high[np.argsort(-projections[high])]


def _random_counts(
    matrix: NDArray[np.float32],
    is_kind: NDArray[np.bool_],
    is_word: NDArray[np.bool_],
    axes: Array,
    ids: NDArray[np.intp],
    top: int,
) -> NDArray[np.intp]:
    """Count the tokens of a kind at the end of each random set's axis that has more, [set]."""
    from tqdm import tqdm

    counts = []
    chunks = range(0, len(axes), _DIRECTIONS_PER_CHUNK)
    for start in tqdm(chunks, "projecting", delay=2, disable=None):
        scores = matrix @ axes[start : start + _DIRECTIONS_PER_CHUNK].T.astype(np.float32)
        for projections, left_out in zip(scores.T, ids[start:], strict=False):
            ends = _ends(projections, is_word, left_out, top)
            counts.append(max(is_kind[end].sum() for end in ends))
    return np.array(counts, dtype=np.intp)


def token_kind(text: str) -> str:
    """Return the kind of a token by its characters: digits, letters, punctuation, or "".

    A letter is a single one of an alphabet. How the tokenizer marks its place in a word does not
    count.

    >>> token_kind("␣1999"), token_kind("##b"), token_kind("ab")
    ('digits', 'letters', '')
    """
    characters = text.removeprefix("␣").removeprefix("##")
    if not characters:
        return ""
    if characters.isdecimal():
        return "digits"
    if len(characters) == 1 and unicodedata.category(characters) in ("Lu", "Ll"):
        return "letters"
    if all(unicodedata.category(character)[0] in "PS" for character in characters):
        return "punctuation"
    return ""
