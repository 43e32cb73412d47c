"""The leading directions of every matrix: the tokens at their ends, compared with random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.models.vocabulary import Vocabulary

from .decomposition import Decomposition, Side
from .top_tokens import TopTokens, top_tokens
from .weights import VocabularySpace

if TYPE_CHECKING:
    import pandas as pd

# Tokens of an end that the table lists.
_LISTED_TOKENS = 10


@dataclass(frozen=True, eq=False)
class DirectionScores:
    """Each leading direction's coherence, compared with random directions.

    Attributes:
        table: one row per direction; `head` is -1 for an MLP.
        significant: adjusted p below alpha: the direction is readable, [direction].
        shares: the share of readable directions by kind of matrix, [layer, head].
        nulls: the coherence of random directions by "embedding" and "unembedding", ascending.
        top: how many tokens at an end count.
        n_random: how many random directions.
    """

    table: "pd.DataFrame"
    significant: NDArray[np.bool_]
    shares: dict[str, Array]
    nulls: dict[str, Array]
    top: int
    n_random: int


def score_directions(
    decompositions: Sequence[Decomposition],
    space: VocabularySpace,
    top: int,
    n_random: int,
    alpha: float,
    rng: np.random.Generator,
) -> DirectionScores:
    """Compare the coherence of each leading direction with that of random directions.

    What a matrix reads is compared in the embedding, what it writes in the unembedding. Adjusted p
    bound the share of false discoveries among all directions (Benjamini and Hochberg, 1995).

    Args:
        decompositions: every kind of matrix.
        space: the model's embedding, unembedding and vocabulary.
        top: tokens per end.
        n_random: random directions of the residual stream.
        alpha: the adjusted p below which a direction is readable.
        rng: for the random directions.
    """
    import pandas as pd
    from scipy.stats import false_discovery_control

    random = rng.normal(size=(n_random, space.embedding.shape[1]))
    tied = np.array_equal(space.embedding, space.unembedding)
    nulls: dict[str, Array] = {}
    tables = []
    for decomposition in decompositions:
        for side in decomposition.sides:
            name = "embedding" if side.reads else "unembedding"
            matrix = space.embedding if side.reads else space.unembedding
            if name not in nulls:
                nulls[name] = (
                    next(iter(nulls.values()))
                    if tied and nulls
                    else _random_coherence(matrix, space.vocabulary, random, top)
                )
            tokens = top_tokens(
                matrix,
                space.vocabulary,
                side.directions.reshape(-1, side.directions.shape[-1]),
                top,
                f"{decomposition.name} {side.name}",
            )
            tables.append(_table(decomposition, side, tokens, nulls[name], space.vocabulary))
    table = pd.concat(tables, ignore_index=True)
    table["p_adjusted"] = false_discovery_control(table["p"].to_numpy())
    significant = np.asarray(table["p_adjusted"] < alpha)
    shares = {one.name: _share(table, significant, one.name) for one in decompositions}
    return DirectionScores(table, significant, shares, nulls, top, n_random)


def _random_coherence(
    matrix: NDArray[np.float32], vocabulary: Vocabulary, random: Array, top: int
) -> Array:
    """Return the coherence of random directions [direction, d], ascending."""
    return np.sort(top_tokens(matrix, vocabulary, random, top, "random directions").coherence)


def _table(
    decomposition: Decomposition, side: Side, tokens: TopTokens, null: Array, vocabulary: Vocabulary
) -> "pd.DataFrame":
    """Return one row per direction: its matrix, component, coherence, p, and tokens."""
    import pandas as pd

    places = np.array(list(np.ndindex(side.directions.shape[:3])))
    at_least_as_coherent = len(null) - np.searchsorted(null, tokens.coherence, side="left")
    texts = {
        end: [" ".join(vocabulary.texts[i] for i in row[:_LISTED_TOKENS]) for row in ids]
        for end, ids in (("high", tokens.high), ("low", tokens.low))
    }
    return pd.DataFrame(
        {
            "part": decomposition.name,
            "side": side.name,
            "layer": places[:, 0],
            "head": places[:, 1] if decomposition.has_heads else np.full(len(places), -1),
            "component": places[:, 2] + 1,
            "singular_value": decomposition.values[tuple(places.T)],
            "coherence": tokens.coherence,
            "p": (at_least_as_coherent + 1) / (len(null) + 1),
            **texts,
        }
    )


def _share(table: "pd.DataFrame", significant: NDArray[np.bool_], name: str) -> Array:
    """Return the share of significant directions of one kind of matrix, [layer, head]."""
    rows = table.assign(significant=significant)[table["part"] == name]
    return np.asarray(
        rows.pivot_table("significant", "layer", "head", aggfunc="mean"), dtype=np.float64
    )
