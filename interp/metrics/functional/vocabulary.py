"""Divergences of distributions over a vocabulary, for all pairs of rows of logits.

Every table is summed over chunks of words, so that no further array of the size of the logits is
needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from interp.metrics.functional.points import Array

_WORDS_A_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Distributions:
    """Distributions over a vocabulary.

    Attributes:
        logits: [n, v].
        normalisers: the logarithm of the sum of their exponentials, [n, 1].
    """

    logits: Array
    normalisers: Array

    @classmethod
    def of(cls, logits: Array) -> "Distributions":
        """Return the softmax of logits [n, v]."""
        highest = logits.max(1, keepdims=True)
        total = np.zeros_like(highest)
        for chunk in _chunks(logits.shape[1]):
            total += np.exp(logits[:, chunk] - highest).sum(1, keepdims=True)
        return cls(logits, highest + np.log(total))

    def log_of(self, chunk: slice) -> Array:
        """Return the log-probabilities of a chunk of words, [n, words]."""
        return np.asarray(self.logits[:, chunk] - self.normalisers)

    @property
    def chunks(self) -> Iterator[slice]:
        """The chunks of the vocabulary."""
        return _chunks(self.logits.shape[1])


def kl_table(p: Distributions, q: Distributions) -> Array:
    """Return KL(pᵢ ‖ qⱼ) (Kullback and Leibler, 1951) in nats for every pair, [n1, n2]."""
    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        log_p = p.log_of(chunk)
        probability = np.exp(log_p)
        table += (probability * log_p).sum(1, keepdims=True) - probability @ q.log_of(chunk).T
    return np.maximum(table, 0)


def jensen_shannon_table(p: Distributions, q: Distributions) -> Array:
    """Return the Jensen-Shannon divergence (Lin, 1991) in nats for every pair, [n1, n2]."""
    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        log_p, log_q = p.log_of(chunk), q.log_of(chunk)
        of_p, of_q = np.exp(log_p), np.exp(log_q)
        within_p, within_q = (of_p * log_p).sum(1), (of_q * log_q).sum(1)
        for i, probability in enumerate(of_p):
            mixture = (probability + of_q) / 2
            # The smallest positive number replaces 0, since 0 log 0 = 0.
            logs = np.log(np.maximum(mixture, np.finfo(float).tiny))
            table[i] += (within_p[i] + within_q) / 2 - np.einsum("jw,jw->j", mixture, logs)
    return np.clip(table, 0, np.log(2))


def total_variation_table(p: Distributions, q: Distributions) -> Array:
    """Return the total variation distance Σ |pᵢ - qⱼ| / 2 in [0, 1] for every pair, [n1, n2].

    >>> p, q = (Distributions.of(np.array([x])) for x in ([0.0, 0.0], [0.0, -1000.0]))
    >>> total_variation_table(p, q)
    array([[0.5]])
    """
    from scipy.spatial.distance import cdist

    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        table += cdist(np.exp(p.log_of(chunk)), np.exp(q.log_of(chunk)), "cityblock") / 2
    return np.minimum(table, 1)


def pearson_table(x: Array, y: Array) -> Array:
    """Return the Pearson correlation of logits x [n1, v] and y [n2, v] over words, [n1, n2].

    Raises:
        ValueError: the logits of a row are all equal.
    """
    mean_x, mean_y = x.mean(1, keepdims=True), y.mean(1, keepdims=True)
    products = np.zeros((len(x), len(y)))
    squares_x, squares_y = np.zeros((len(x), 1)), np.zeros(len(y))
    for chunk in _chunks(x.shape[1]):
        part_x, part_y = x[:, chunk] - mean_x, y[:, chunk] - mean_y
        products += part_x @ part_y.T
        squares_x += (part_x**2).sum(1, keepdims=True)
        squares_y += (part_y**2).sum(1)
    if not (squares_x.all() and squares_y.all()):
        raise ValueError("the logits of a point are all equal, so their correlation is undefined")
    return np.clip(products / np.sqrt(squares_x * squares_y), -1, 1)


def top_words(logits: Array, k: int) -> Array:
    """Return the ids of the k words of largest logit of each row [n, v], in no order, [n, k]."""
    return np.stack([np.argpartition(-row, k - 1)[:k] for row in logits])


def overlap_table(x: Array, y: Array) -> Array:
    """Return the share of ids that sets x [n1, k] and y [n2, k] have in common, [n1, n2].

    >>> overlap_table(np.array([[1, 2]]), np.array([[2, 3], [2, 1]]))
    array([[0.5, 1. ]])
    """
    known, of_set = np.unique(np.concatenate([x, y]), return_inverse=True)
    members = np.zeros((len(x) + len(y), len(known)))
    np.put_along_axis(members, of_set.reshape(-1, x.shape[1]), 1.0, axis=1)
    return np.asarray(members[: len(x)] @ members[len(x) :].T / x.shape[1])


def _chunks(words: int) -> Iterator[slice]:
    for start in range(0, words, _WORDS_A_CHUNK):
        yield slice(start, start + _WORDS_A_CHUNK)
