"""What was measured of some words, and under which settings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.words import Words

from .extreme_tokens import ExtremeTokens
from .measures import WordSpectrum


@dataclass(frozen=True, eq=False)
class Findings:
    """What was measured, and of what.

    Attributes:
        name: of the set of words.
        words: the words.
        spectrum: theirs, compared with random tokens.
        extremes: the tokens at the ends of one component.
        is_word: which ids are neither special nor unused, [id].
        random_name: "random tokens of similar frequency rank".
        random_axes: the right singular vectors of one random set, [vector, d].
        matrix: "token embedding", or the unembedding's name.
        model: the model's title.
        pooling: of a word's several tokens.
        component: the one that the vocabulary is projected on, from 1.
        pair: the two words that are drawn against each other.
        n_random: random sets of tokens.
        alpha: the p below which a measure is significant.
    """

    name: str
    words: Words
    spectrum: WordSpectrum
    extremes: ExtremeTokens
    is_word: NDArray[np.bool_]
    random_name: str
    random_axes: Array
    matrix: str
    model: str
    pooling: str
    component: int
    pair: tuple[str, ...]
    n_random: int
    alpha: float

    @property
    def is_decidable(self) -> bool:
        """Whether so many random sets allow a p below alpha."""
        return 1 / (self.n_random + 1) < self.alpha
