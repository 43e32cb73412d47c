"""The tokens at both ends of directions, and how similar they are to each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary

# Directions onto which the vocabulary is projected at once: 50,000 words take 26 MB.
_DIRECTIONS_PER_CHUNK = 128


@dataclass(frozen=True, eq=False)
class TopTokens:
    """The tokens at both ends of directions, the furthest first.

    Attributes:
        high: ids, [direction, k].
        low: ids, [direction, k].
        coherence: the mean similarity of the tokens at an end, at the end where it is larger,
            [direction].
    """

    high: NDArray[np.intp]
    low: NDArray[np.intp]
    coherence: Array


def top_tokens(
    matrix: NDArray[np.float32], vocabulary: Vocabulary, directions: Array, k: int, progress: str
) -> TopTokens:
    """Find the k words of largest and of smallest projection on each direction.

    Coherence is the mean cosine of two tokens at an end, around the mean of all words: topic
    coherence (Aletras and Stevenson, 2013) in the matrix that the direction is read with.

    Args:
        matrix: an embedding, [id, d].
        vocabulary: what its rows stand for.
        directions: [direction, d].
        k: at least 2.
        progress: the title of the progress bar.
    """
    from tqdm import tqdm

    words = np.flatnonzero(vocabulary.is_word)
    rows = matrix[words] - matrix[words].mean(0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1)
    ends: tuple[list[NDArray[np.intp]], ...] = ([], [])
    coherence = []
    starts = range(0, len(directions), _DIRECTIONS_PER_CHUNK)
    for start in tqdm(starts, progress, delay=2, disable=None):
        chunk = directions[start : start + _DIRECTIONS_PER_CHUNK]
        scores = chunk.astype(np.float32) @ rows.T
        cosines = []
        for found, signed in zip(ends, (scores, -scores), strict=True):
            top = np.argpartition(signed, -k, axis=1)[:, -k:]
            order = np.argsort(-np.take_along_axis(signed, top, 1), axis=1)
            top = np.take_along_axis(top, order, 1)
            found.append(words[top])
            vectors = unit[top].astype(np.float64)
            # The squared length of the sum of k unit vectors contains every pair twice.
            total = (vectors.sum(1) ** 2).sum(1) - (vectors**2).sum((1, 2))
            cosines.append(total / (k * (k - 1)))
        coherence.append(np.maximum(*cosines))
    high, low = (np.concatenate(found) for found in ends)
    return TopTokens(high, low, np.concatenate(coherence))
