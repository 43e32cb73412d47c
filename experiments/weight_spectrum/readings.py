"""What directions stand for in the vocabulary, and whether their tokens are alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary

# Directions that the vocabulary is projected on at once: 50,000 words take 26 MB.
_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class TopTokens:
    """The tokens at both ends of directions, the furthest first.

    Attributes:
        high: [direction, k].
        low: [direction, k].
        coherence: how alike the tokens of an end are, of the end whose tokens are more so,
            [direction].
    """

    high: NDArray[np.intp]
    low: NDArray[np.intp]
    coherence: Array


def top_tokens(
    matrix: NDArray[np.float32], vocabulary: Vocabulary, directions: Array, k: int, progress: str
) -> TopTokens:
    """Find the k words of largest projection at both ends of each direction.

    Coherence is the mean cosine of two of an end's tokens, around the mean of all words: topic
    coherence (Aletras and Stevenson, 2013) in the matrix that the direction is read in.

    Args:
        matrix: an embedding, [id, d].
        vocabulary: what its rows stand for.
        directions: [direction, d].
        k: at least 2.
        progress: what a progress bar calls it.
    """
    from tqdm import tqdm

    words = np.flatnonzero(vocabulary.is_word)
    rows = matrix[words] - matrix[words].mean(0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1)
    ends: tuple[list[NDArray[np.intp]], ...] = ([], [])
    coherence = []
    starts = range(0, len(directions), _AT_ONCE)
    for start in tqdm(starts, progress, delay=2, disable=None):
        scores = directions[start : start + _AT_ONCE].astype(np.float32) @ rows.T
        alike = []
        for found, signed in zip(ends, (scores, -scores), strict=True):
            top = np.argpartition(signed, -k, axis=1)[:, -k:]
            order = np.argsort(-np.take_along_axis(signed, top, 1), axis=1)
            top = np.take_along_axis(top, order, 1)
            found.append(words[top])
            vectors = unit[top].astype(np.float64)
            # Of k unit vectors the squared length of the sum holds every pair twice.
            total = (vectors.sum(1) ** 2).sum(1) - (vectors**2).sum((1, 2))
            alike.append(total / (k * (k - 1)))
        coherence.append(np.maximum(*alike))
    high, low = (np.concatenate(found) for found in ends)
    return TopTokens(high, low, np.concatenate(coherence))
