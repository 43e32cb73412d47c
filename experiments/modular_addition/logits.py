"""Logits as a sum of waves that are highest at the correct answer, and losses without them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .predictions import Predictions
from .progress_measures import AblatedLosses, ablated_losses
from .waves import CosineSum, cosine_sum, logit_singular_values, permuted_cosine_sums

Array = NDArray[np.float64]

_N_PERMUTATIONS = 99
# Random sets of as many other frequencies that the key frequencies are compared with.
_N_SETS = 10


@dataclass(frozen=True, eq=False)
class LogitWaves:
    """The logits by frequency.

    Attributes:
        waves: Σ α cos w(a + b − c), fitted to the logits.
        null: the share that it explains where the answers are permuted, [permutation].
        singular_values: of the logits as a matrix of pairs × answers, [n].
        ablated: losses with the key frequencies alone, and without them.
        by_chance: the same of as many random other frequencies.
    """

    waves: CosineSum
    null: Array
    singular_values: Array
    ablated: AblatedLosses
    by_chance: AblatedLosses


def logit_waves(
    predictions: Predictions, keys: tuple[int, ...], rng: np.random.Generator
) -> LogitWaves:
    """Fit waves to the logits, and ablate the key frequencies."""
    pairs, logits = predictions.pairs, predictions.grouped.logits
    sign = pairs.arithmetic.sign
    train = pairs.train if predictions.split_is_known else np.ones_like(pairs.train)
    others = [k for k in range(1, len(predictions.order) // 2 + 1) if k not in keys]
    size = min(len(keys), len(others))
    of_others = [
        ablated_losses(
            predictions.outputs.logits, pairs, train, rng.choice(others, size, replace=False)
        )
        for _ in range(_N_SETS if size else 1)
    ]
    return LogitWaves(
        cosine_sum(logits, sign),
        permuted_cosine_sums(logits, sign, _N_PERMUTATIONS, rng),
        logit_singular_values(logits),
        ablated_losses(predictions.outputs.logits, pairs, train, keys),
        AblatedLosses(
            float(np.mean([losses.restricted for losses in of_others])),
            float(np.mean([losses.excluded for losses in of_others])),
        ),
    )
