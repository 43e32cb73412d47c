"""Correlations of vectors of two models in the vocabulary that they share, which is never formed.

A vector w of a model's residual stream stands for its logits w @ U.T, one a word. Pearson's r of
two such rows, of two models, needs the d × d product of both unembeddings alone, so that memory
does not grow with the vocabulary.
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# Words whose unembeddings are multiplied at once.
_AT_ONCE = 8192


def shared_product(first: NDArray[np.float32], second: NDArray[np.float32]) -> Array:
    """Return U_a.T @ U_b [d_a, d_b] of two unembeddings of the same words, around their means.

    Args:
        first: [word, d_a].
        second: [word, d_b].
    """
    middle = first.mean(0, dtype=np.float64), second.mean(0, dtype=np.float64)
    product = np.zeros((first.shape[1], second.shape[1]))
    for start in range(0, len(first), _AT_ONCE):
        a, b = (
            (matrix[start : start + _AT_ONCE] - mean).astype(np.float32)
            for matrix, mean in zip((first, second), middle, strict=True)
        )
        product += a.T @ b
    return product


def normalised(vectors: Array, gram: Array) -> Array:
    """Return vectors [..., n, d] whose logits have unit length around their mean.

    Args:
        vectors: [..., n, d].
        gram: U.T @ U [d, d] of the model's own unembedding, as `shared_product` gives it.
    """
    squares = np.einsum("...nd,...nd->...n", vectors @ gram, vectors)
    lengths = np.sqrt(np.maximum(squares, 0))[..., None]
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def best_matches(first: Array, second: Array, product: Array) -> Array:
    """Return how well the rows of each layer of one model are found in each layer of another.

    The mean over the first's rows of the largest correlation with any of the second's, [a, b].

    Args:
        first: [a, n, d_a], normalised.
        second: [b, m, d_b], normalised.
        product: that of both unembeddings, [d_a, d_b].
    """
    a, n, _ = first.shape
    b = len(second)
    turned = (first.reshape(a * n, -1) @ product).astype(np.float32)
    found = np.empty((a, b))
    for layer, rows in enumerate(second.astype(np.float32)):
        found[:, layer] = (turned @ rows.T).max(1).reshape(a, n).mean(1)
    return found


def row_by_row(first: Array, second: Array, product: Array) -> Array:
    """Return the mean correlation of the i-th rows of a layer of each model, [a, b].

    Args:
        first: [a, n, d_a], normalised.
        second: [b, n, d_b], normalised.
        product: that of both unembeddings, [d_a, d_b].
    """
    return np.asarray(np.einsum("and,bnd->ab", first @ product, second) / first.shape[1])


def assignment(scores: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Return the pairs of layers, each used once, of the largest sum, and that sum.

    Args:
        scores: [a, b]; of the deeper model the layers that are left have no partner.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(scores, maximize=True)
    return rows, columns, float(scores[rows, columns].sum())
