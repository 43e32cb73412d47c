"""What heads copy, and which heads read what others write (Elhage et al., 2021)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array

from .low_rank import (
    composition_scores,
    copying_score,
    eigenvalues_through,
    positive_share,
)
from .matrices import Weights

if TYPE_CHECKING:
    import pandas as pd

# Random heads that copying is held against at once.
_AT_ONCE = 50

# Random pairs of heads that the baseline of composition is averaged over.
_RANDOM_HEADS = 24


@dataclass(frozen=True, eq=False)
class Copying:
    """How much each head's OV circuit copies, [layer, head] each.

    Attributes:
        score: Σ Re λ / Σ |λ| of its eigenvalues in vocabulary space.
        positive: the share of them that are positive.
        p_adjusted: of the score, against random factors, adjusted for all heads (Benjamini and
            Hochberg, 1995).
        null_low, null_high: what holds 95% of the scores of random factors.
        words: the share of the words that the head returns among its top tokens.
        words_by_chance: the share of words that it returns for another word of the list.
    """

    score: Array
    positive: Array
    p_adjusted: Array
    null_low: float
    null_high: float
    words: Array
    words_by_chance: Array


def copying(
    weights: Weights,
    embedding: NDArray[np.float32],
    unembedding: NDArray[np.float32],
    is_word: NDArray[np.bool_],
    ids: NDArray[np.intp],
    top: int,
    draws: int,
    rng: np.random.Generator,
) -> Copying:
    """Score every head.

    Words pass the OV circuit as their embeddings, biases left out. Random factors of the heads'
    shape see the same embedding and unembedding, so that what the vocabulary alone does to a
    product is in the null.

    Args:
        weights: the model's.
        embedding: [id, d].
        unembedding: [id, d], the final norm's gain in it.
        is_word: which ids count, [id].
        ids: the words, [word].
        top: among how many tokens a word must come back.
        draws: random factors.
        rng: where they are drawn from.
    """
    from scipy.stats import false_discovery_control

    through = unembedding[is_word].T.astype(np.float64) @ embedding[is_word]
    allowed = np.where(is_word, 0, -np.inf).astype(np.float32)
    rows = embedding[ids].astype(np.float64)
    score, positive, returned, by_chance = [], [], [], []
    for layer in weights.ov:
        left, right = layer.value.astype(np.float64), layer.output.astype(np.float64)
        eigenvalues = eigenvalues_through(left, through, right)
        score.append(copying_score(eigenvalues))
        positive.append(positive_share(eigenvalues))
        shares = [
            _returned((rows @ a) @ b, unembedding, allowed, ids, top)
            for a, b in zip(left, right, strict=True)
        ]
        returned.append([own for own, _ in shares])
        by_chance.append([other for _, other in shares])
    _, d, k = weights.ov[0].value.shape
    null = np.concatenate(
        [
            copying_score(
                eigenvalues_through(rng.normal(size=(n, d, k)), through, rng.normal(size=(n, k, d)))
            )
            for n in _parts(draws)
        ]
    )
    found = np.array(score)
    above = (null >= found.reshape(-1, 1)).sum(1)
    p = false_discovery_control((above + 1) / (draws + 1))
    low, high = np.quantile(null, [0.025, 0.975])
    return Copying(
        found,
        np.array(positive),
        p.reshape(found.shape),
        float(low),
        float(high),
        np.array(returned),
        np.array(by_chance),
    )


def _parts(count: int) -> Iterator[int]:
    """Part a number into at most so many at once."""
    for start in range(0, count, _AT_ONCE):
        yield min(_AT_ONCE, count - start)


def _returned(
    written: Array,
    unembedding: NDArray[np.float32],
    allowed: NDArray[np.float32],
    ids: NDArray[np.intp],
    top: int,
) -> tuple[float, float]:
    """Return the share of words among the top tokens of what was written, and of other words."""
    logits = written.astype(np.float32) @ unembedding.T + allowed
    best = np.argpartition(logits, -top, axis=1)[:, -top:]
    hits = (best[:, :, None] == ids).any(1)
    n = len(ids)
    own = float(np.diag(hits).mean())
    return own, float((hits.sum() - np.diag(hits).sum()) / (n * (n - 1)))


@dataclass(frozen=True, eq=False)
class Composition:
    """How much of what one head writes a later one reads, the random baseline taken off.

    Attributes:
        kind: "Q", "K" or "V": what of the later head reads it.
        scores: [layer, head, later layer, later head]; nan where the second is not later.
        baseline: the score of random factors, which has been taken off.
        spread: its standard deviation.
    """

    kind: str
    scores: Array
    baseline: float
    spread: float

    @property
    def strongest(self) -> Array:
        """The strongest composition of a head with an earlier one, [layer, head]; nan at first."""
        layers, heads = self.scores.shape[:2]
        found = np.full((layers, heads), np.nan)
        found[1:] = np.nanmax(self.scores[:, :, 1:], axis=(0, 1))
        return found

    def table(self) -> "pd.DataFrame":
        """Return every pair of heads, the strongest first."""
        import pandas as pd

        places = np.argwhere(np.isfinite(self.scores))
        values = self.scores[tuple(places.T)]
        order = np.argsort(-values)
        columns = dict(
            zip(("layer", "head", "later layer", "later head"), places[order].T, strict=True)
        )
        return pd.DataFrame(
            {
                "composition": self.kind,
                **columns,
                "score above random": values[order],
            }
        )


def compositions(weights: Weights, rng: np.random.Generator) -> list[Composition]:
    """Score Q-, K- and V-composition of every head with every later one."""
    readers = {}
    if weights.qk:
        transposed = [(np.swapaxes(x.query, 1, 2), np.swapaxes(x.key, 1, 2)) for x in weights.qk]
        readers["Q"] = [(x.query, key) for x, (_, key) in zip(weights.qk, transposed, strict=True)]
        readers["K"] = [
            (x.key, query) for x, (query, _) in zip(weights.qk, transposed, strict=True)
        ]
    readers["V"] = [(x.value, x.output) for x in weights.ov]
    n_layers, (n_heads, d, k) = len(weights.ov), weights.ov[0].value.shape
    random = [rng.normal(size=shape) for shape in ((_RANDOM_HEADS, d, k), (_RANDOM_HEADS, k, d))]
    other = [rng.normal(size=values.shape) for values in random]
    drawn = composition_scores((random[0], random[1]), (other[0], other[1]))
    baseline, spread = float(drawn.mean()), float(drawn.std())
    found = []
    for kind, second in readers.items():
        scores = np.full((n_layers, n_heads, n_layers, n_heads), np.nan)
        for i, layer in enumerate(weights.ov[:-1]):
            later = second[i + 1 :]
            left, right = (
                np.concatenate([pair[side] for pair in later]).astype(np.float64) for side in (0, 1)
            )
            first = (layer.value.astype(np.float64), layer.output.astype(np.float64))
            pairs = composition_scores(first, (left, right)) - baseline
            scores[i, :, i + 1 :] = pairs.reshape(n_heads, len(later), n_heads)
        found.append(Composition(kind, scores, baseline, spread))
    return found


def strongest_first(found: list[Composition], rows: int) -> "pd.DataFrame":
    """Return the strongest compositions of all kinds, so many rows of each kind."""
    import pandas as pd

    return pd.concat([composition.table().head(rows) for composition in found], ignore_index=True)
