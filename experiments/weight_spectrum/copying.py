"""How much each head's OV circuit copies (Elhage et al., 2021)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

from .low_rank import copying_score, eigenvalues_through, positive_share
from .weights import ModelWeights, VocabularySpace

# Random heads that are scored at once.
_HEADS_PER_CHUNK = 50

# A copied word must be among so many top tokens (as in Wang et al., 2022).
_TOP_TOKENS = 5


@dataclass(frozen=True, eq=False)
class Copying:
    """How much each head's OV circuit copies; arrays are [layer, head].

    Attributes:
        score: Σ Re λ / Σ |λ| of its eigenvalues in vocabulary space.
        positive: the share of eigenvalues that are positive.
        p_adjusted: of the score, against random factors, adjusted for all heads (Benjamini and
            Hochberg, 1995).
        null_low: the 2.5th percentile of the scores of random factors.
        null_high: their 97.5th percentile.
        returned: the share of the words that the head returns among its top tokens.
        returned_for_others: how often it returns a word for another word of the list.
        top: how many top tokens count.
        n_random: how many random heads made the null.
    """

    score: Array
    positive: Array
    p_adjusted: Array
    null_low: float
    null_high: float
    returned: Array
    returned_for_others: Array
    top: int
    n_random: int


def score_copying(
    weights: ModelWeights,
    space: VocabularySpace,
    ids: NDArray[np.intp],
    n_random: int,
    rng: np.random.Generator,
) -> Copying:
    """Score every head.

    Random factors of the heads' shape pass through the same embedding and unembedding, so that the
    null contains what the vocabulary alone does to a product.

    Args:
        weights: the model's, with OV circuits.
        space: the model's embedding, unembedding and vocabulary.
        ids: the words that are to be returned, [word].
        n_random: random heads.
        rng: for the random heads.
    """
    from scipy.stats import false_discovery_control

    is_word = space.vocabulary.is_word
    through = space.unembedding[is_word].T.astype(np.float64) @ space.embedding[is_word]
    score, positive, returned = [], [], []
    for layer in weights.ov:
        left, right = layer.value.astype(np.float64), layer.output.astype(np.float64)
        eigenvalues = eigenvalues_through(left, through, right)
        score.append(copying_score(eigenvalues))
        positive.append(positive_share(eigenvalues))
        returned.append(
            [_returned(space, ids, a, b) for a, b in zip(left, right, strict=True)],
        )
    scores, shares = np.array(score), np.array(returned)
    _, d, k = weights.ov[0].value.shape
    null = _random_scores(through, d, k, n_random, rng)
    at_least = (null >= scores.reshape(-1, 1)).sum(1)
    p_adjusted = false_discovery_control((at_least + 1) / (n_random + 1))
    low, high = np.quantile(null, [0.025, 0.975])
    return Copying(
        scores,
        np.array(positive),
        p_adjusted.reshape(scores.shape),
        float(low),
        float(high),
        shares[..., 0],
        shares[..., 1],
        _TOP_TOKENS,
        n_random,
    )


def _random_scores(
    through: Array, d: int, k: int, n_random: int, rng: np.random.Generator
) -> Array:
    """Return the copying scores of random factors [d, k] and [k, d], [head]."""
    return np.concatenate(
        [
            copying_score(
                eigenvalues_through(rng.normal(size=(n, d, k)), through, rng.normal(size=(n, k, d)))
            )
            for n in _chunk_sizes(n_random)
        ]
    )


def _chunk_sizes(count: int) -> Iterator[int]:
    for start in range(0, count, _HEADS_PER_CHUNK):
        yield min(_HEADS_PER_CHUNK, count - start)


def _returned(
    space: VocabularySpace, ids: NDArray[np.intp], value: Array, output: Array
) -> tuple[float, float]:
    """Return the share of words that a head returns, and how often for another word.

    Words pass the OV circuit as their embeddings, biases left out.

    Args:
        space: the model's embedding, unembedding and vocabulary.
        ids: the words, [word].
        value: [d, d_head].
        output: [d_head, d].
    """
    written = (space.embedding[ids].astype(np.float64) @ value) @ output
    allowed = np.where(space.vocabulary.is_word, 0, -np.inf).astype(np.float32)
    logits = written.astype(np.float32) @ space.unembedding.T + allowed
    best = np.argpartition(logits, -_TOP_TOKENS, axis=1)[:, -_TOP_TOKENS:]
    hits = (best[:, :, None] == ids).any(1)
    n = len(ids)
    own = np.diag(hits)
    return float(own.mean()), float((hits.sum() - own.sum()) / (n * (n - 1)))
