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

# Directions that the vocabulary is projected on at once: 50,000 words take 26 MB.
_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Ends:
    """What lies at the ends of a direction, the words themselves left out.

    Attributes:
        projections: of every id, from the words' mean, [id].
        of_words: of the words, [word].
        low: the ids of lowest projection, the lowest first.
        high: the ids of highest projection, the highest first.
        low_labels, high_labels: their texts.
        kinds: what kind each id is of; "" for most.
        kind: the kind that all words are of, "" where they are of several or none.
        count: how many tokens of that kind lie at the end that has more of them.
        expected: how many do in a random draw, at its end that has more of them.
        p: the share of draws in whose place that many or more lie at an end.
    """

    projections: Array
    of_words: Array
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    low_labels: tuple[str, ...]
    high_labels: tuple[str, ...]
    kinds: NDArray[np.object_]
    kind: str
    count: int
    expected: float
    p: float

    def table(self) -> "pd.DataFrame":
        """Return the tokens of both ends, a row each."""
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

    def told(self) -> str:
        """Say how many of the words' own kind there are, where they are of one."""
        if not self.kind:
            return ""
        return (
            f"; of the {len(self.high)} at one end {self.count} are {self.kind} too (random draws "
            f"{self.expected:.1f}, p = {self.p:.2g})"
        )

    def verdict(self, alpha: float, draws: int) -> str:
        """Say whether there are more of the words' kind than chance has there."""
        if not self.kind or 1 / (draws + 1) >= alpha:
            return ""
        return f": {'more' if self.p < alpha else 'no more'} {self.kind} than by chance"


def ends(
    matrix: NDArray[np.float32],
    words: Words,
    vocabulary: Vocabulary,
    axis: Array,
    their_axes: Array,
    drawn: RandomTokens,
    top: int,
) -> Ends:
    """Project the vocabulary on a direction, and on that of each random draw.

    What the direction of any few tokens gathers at its ends is the null: a draw's own tokens are
    left out of its lists as the words are, and each has the end at which there are more.

    Args:
        matrix: the embedding, [id, d].
        words: the set.
        vocabulary: what the ids stand for.
        axis: the direction, [d].
        their_axes: that of each draw, [draw, d].
        drawn: the draws.
        top: how many tokens are looked at at each end.
    """
    from tqdm import tqdm

    kinds = np.array([kind_of(text) for text in vocabulary.texts], dtype=object)
    kinds_of_words = {str(kinds[number]) for number in words.ids}
    kind = kinds_of_words.pop() if len(kinds_of_words) == 1 else ""
    top = min(top, int(vocabulary.is_word.sum()) - len(words.ids))

    def extremes(projected: Array, left_out: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
        allowed = vocabulary.is_word.copy()
        allowed[left_out] = False
        low = np.argpartition(np.where(allowed, projected, np.inf), top - 1)[:top]
        high = np.argpartition(np.where(allowed, -projected, np.inf), top - 1)[:top]
        return low[np.argsort(projected[low])], high[np.argsort(-projected[high])]

    of_words = words.points(matrix, words.ids) @ axis
    projected = matrix.astype(np.float64) @ axis
    low, high = extremes(projected, words.ids)
    count, expected, p = 0, 0.0, 1.0
    if kind:
        is_kind = kinds == kind
        count = max(int(is_kind[low].sum()), int(is_kind[high].sum()))
        counts = []
        chunks = range(0, len(their_axes), _AT_ONCE)
        for start in tqdm(chunks, "projecting", delay=2, disable=None):
            scores = matrix @ their_axes[start : start + _AT_ONCE].T.astype(np.float32)
            for column, left_out in zip(scores.T, drawn.ids[start:], strict=False):
                counts.append(max(is_kind[end].sum() for end in extremes(column, left_out)))
        expected = float(np.mean(counts))
        p = float((np.sum(np.array(counts) >= count) + 1) / (len(counts) + 1))
    return Ends(
        projections=projected - of_words.mean(),
        of_words=of_words - of_words.mean(),
        low=low,
        high=high,
        low_labels=tuple(vocabulary.texts[number] for number in low),
        high_labels=tuple(vocabulary.texts[number] for number in high),
        kinds=kinds,
        kind=kind,
        count=count,
        expected=expected,
        p=p,
    )


def kind_of(text: str) -> str:
    """Return the kind of a token that its signs alone tell: digits, letters, punctuation; else "".

    A letter is a single one of an alphabet; how the tokenizer marks its place in a word does not
    count.
    """
    signs = text.removeprefix("␣").removeprefix("##")
    if not signs:
        return ""
    if signs.isdecimal():
        return "digits"
    if len(signs) == 1 and unicodedata.category(signs) in ("Lu", "Ll"):
        return "letters"
    if all(unicodedata.category(sign)[0] in "PS" for sign in signs):
        return "punctuation"
    return ""
