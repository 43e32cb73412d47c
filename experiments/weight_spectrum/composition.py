"""How much of what one head writes a later head reads (Elhage et al., 2021)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.metrics.functional.points import Array

from .low_rank import composition_scores
from .weights import ModelWeights

if TYPE_CHECKING:
    import pandas as pd

# Random heads, all of whose pairs the baseline is averaged over.
_RANDOM_HEADS = 24


@dataclass(frozen=True, eq=False)
class Composition:
    """How much of what one head writes a later one reads, above a random baseline.

    Attributes:
        kind: "Q", "K" or "V": which input of the later head reads it.
        scores: [layer, head, later layer, later head], minus the baseline; nan where the second
            layer is not later.
        baseline: the mean score of random factors.
        spread: their standard deviation.
    """

    kind: str
    scores: Array
    baseline: float
    spread: float

    @property
    def strongest(self) -> Array:
        """Each head's strongest composition with an earlier one, [layer, head]; nan in layer 0."""
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
        names = ("layer", "head", "later layer", "later head")
        return pd.DataFrame(
            {
                "composition": self.kind,
                **dict(zip(names, places[order].T, strict=True)),
                "score above random": values[order],
            }
        )


def score_compositions(weights: ModelWeights, rng: np.random.Generator) -> list[Composition]:
    """Score the Q-, K- and V-composition of every head with every later one.

    Args:
        weights: the model's, with OV circuits in at least two layers.
        rng: for the random baseline.
    """
    readers = {}
    if weights.qk:
        queries = [layer.query for layer in weights.qk]
        keys = [layer.key for layer in weights.qk]
        readers["Q"] = [(q, np.swapaxes(k, 1, 2)) for q, k in zip(queries, keys, strict=True)]
        readers["K"] = [(k, np.swapaxes(q, 1, 2)) for q, k in zip(queries, keys, strict=True)]
    readers["V"] = [(layer.value, layer.output) for layer in weights.ov]
    n_layers, (n_heads, d, k) = len(weights.ov), weights.ov[0].value.shape
    baseline, spread = _random_composition(d, k, rng)
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


def _random_composition(d: int, k: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean and the standard deviation of the scores of random heads' pairs."""
    shapes = ((_RANDOM_HEADS, d, k), (_RANDOM_HEADS, k, d))
    left, right = (rng.normal(size=shape) for shape in shapes)
    later_left, later_right = (rng.normal(size=shape) for shape in shapes)
    scores = composition_scores((left, right), (later_left, later_right))
    return float(scores.mean()), float(scores.std())


def strongest_pairs(found: list[Composition], rows: int) -> "pd.DataFrame":
    """Return the strongest pairs of heads, that many rows of each kind of composition."""
    import pandas as pd

    return pd.concat([composition.table().head(rows) for composition in found], ignore_index=True)
