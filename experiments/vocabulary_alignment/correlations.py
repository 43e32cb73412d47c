"""Correlations of vectors of two models over the vocabulary that they share.

A vector w of a model's residual stream stands for its logits w @ U.T, one per word. Pearson's r of
two such rows, of two models, needs only the d × d product of both unembeddings, so that memory does
not grow with the vocabulary: logits are never computed.
"""

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

# Words whose unembeddings are multiplied at once.
_WORDS_PER_CHUNK = 8192


def shared_product(first: NDArray[np.float32], second: NDArray[np.float32]) -> Array:
    """Return U_a.T @ U_b [d_a, d_b] of two unembeddings of the same words, around their means.

    Args:
        first: [word, d_a].
        second: [word, d_b].
    """
    means = first.mean(0, dtype=np.float64), second.mean(0, dtype=np.float64)
    product = np.zeros((first.shape[1], second.shape[1]))
    for start in range(0, len(first), _WORDS_PER_CHUNK):
        a, b = (
            (matrix[start : start + _WORDS_PER_CHUNK] - mean).astype(np.float32)
            for matrix, mean in zip((first, second), means, strict=True)
        )
        product += a.T @ b
    return product


def normalised(vectors: Array, gram: Array) -> Array:
    """Return vectors [..., n, d] scaled so that their centred logits have unit length.

    Args:
        vectors: [..., n, d].
        gram: U.T @ U [d, d] of the model's own unembedding, from `shared_product`.
    """
    squares = np.einsum("...nd,...nd->...n", vectors @ gram, vectors)
    lengths = np.sqrt(np.maximum(squares, 0))[..., None]
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def best_matches(first: Array, second: Array, product: Array) -> Array:
    """Return the mean largest correlation of each layer's rows with any row of another's, [a, b].

    For each row of the first model's layer the largest correlation with any row of the second's,
    averaged over the first's rows.

    Args:
        first: [a, n, d_a], normalised.
        second: [b, m, d_b], normalised.
        product: of both unembeddings, [d_a, d_b], from `shared_product`.
    """
    a, n, _ = first.shape
    b = len(second)
    projected = (first.reshape(a * n, -1) @ product).astype(np.float32)
    found = np.empty((a, b))
    for layer, rows in enumerate(second.astype(np.float32)):
        found[:, layer] = (projected @ rows.T).max(1).reshape(a, n).mean(1)
    return found


def mean_row_correlations(first: Array, second: Array, product: Array) -> Array:
    """Return the mean correlation of the i-th rows of a layer of each model, [a, b].

    Args:
        first: [a, n, d_a], normalised.
        second: [b, n, d_b], normalised.
        product: of both unembeddings, [d_a, d_b], from `shared_product`.
    """
    return np.asarray(np.einsum("and,bnd->ab", first @ product, second) / first.shape[1])


def assignment(scores: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Return the one-to-one matching of layers with the largest sum of scores, and that sum.

    The Hungarian algorithm (Kuhn, 1955); layers of the deeper model that are left have no partner.

    >>> rows, columns, total = assignment(np.array([[0.9, 0.8], [0.8, 0.1]]))
    >>> columns, total
    (array([1, 0]), 1.6)

    Args:
        scores: [a, b].

    Returns:
        indices of rows, ascending, and of columns, [min(a, b)] each, and the sum.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(scores, maximize=True)
    return rows, columns, float(scores[rows, columns].sum())
