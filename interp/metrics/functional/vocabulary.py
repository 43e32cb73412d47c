"""Measures between distributions over a vocabulary: tables over all pairs of logits.

Vocabularies are large, so that every table is summed over chunks of words; nothing the size of the
logits is made beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from interp.metrics.functional.points import Array

_WORDS_A_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Distributions:
    """Distributions over a vocabulary, kept as logits [n, v] and their log-normalisers [n, 1]."""

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
    """Return KL(pᵢ ‖ qⱼ) in nats for every pair; [n1, n2]."""
    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        log_p = p.log_of(chunk)
        probability = np.exp(log_p)
        table += (probability * log_p).sum(1, keepdims=True) - probability @ q.log_of(chunk).T
    return np.maximum(table, 0)


def jensen_shannon_table(p: Distributions, q: Distributions) -> Array:
    """Return the Jensen-Shannon divergence in nats for every pair, in [0, ln 2]; [n1, n2]."""
    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        log_p, log_q = p.log_of(chunk), q.log_of(chunk)
        of_p, of_q = np.exp(log_p), np.exp(log_q)
        within_p, within_q = (of_p * log_p).sum(1), (of_q * log_q).sum(1)
        for i, probability in enumerate(of_p):
            mixture = (probability + of_q) / 2
            # The smallest positive number stands in for 0 in 0 log 0 = 0.
            logs = np.log(np.maximum(mixture, np.finfo(float).tiny))
            table[i] += (within_p[i] + within_q) / 2 - np.einsum("jw,jw->j", mixture, logs)
    return np.clip(table, 0, np.log(2))


def total_variation_table(p: Distributions, q: Distributions) -> Array:
    """Return the total variation distance Σ |pᵢ - qⱼ| / 2 for every pair, in [0, 1]; [n1, n2]."""
    from scipy.spatial.distance import cdist

    table = np.zeros((len(p.logits), len(q.logits)))
    for chunk in p.chunks:
        table += cdist(np.exp(p.log_of(chunk)), np.exp(q.log_of(chunk)), "cityblock") / 2
    return np.minimum(table, 1)


def pearson_table(x: Array, y: Array) -> Array:
    """Return the Pearson correlation of logits xᵢ and yⱼ over words, for every pair; [n1, n2].

    Raises:
        ValueError: logits that are all equal, which correlate with nothing.
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
        raise ValueError("the logits of a point are all equal, so that they correlate with nothing")
    return np.clip(products / np.sqrt(squares_x * squares_y), -1, 1)


def top_words(logits: Array, k: int) -> Array:
    """Return the ids of the k words of largest logit for each point; [n, k]."""
    return np.stack([np.argpartition(-row, k - 1)[:k] for row in logits])


def overlap_table(x: Array, y: Array) -> Array:
    """Return the share of ids that sets x [n1, k] and y [n2, k] have in common; [n1, n2]."""
    known, of_set = np.unique(np.concatenate([x, y]), return_inverse=True)
    members = np.zeros((len(x) + len(y), len(known)))
    np.put_along_axis(members, of_set.reshape(-1, x.shape[1]), 1.0, axis=1)
    return np.asarray(members[: len(x)] @ members[len(x) :].T / x.shape[1])


def _chunks(words: int) -> Iterator[slice]:
    for start in range(0, words, _WORDS_A_CHUNK):
        yield slice(start, start + _WORDS_A_CHUNK)
