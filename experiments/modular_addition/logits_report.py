"""Logits as a sum of waves that peak at the right answer, and what is left without them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.results.result import Result

from .observed import Observed
from .progress import Ablated, ablated
from .waves import (
    CosineSum,
    cosine_sum,
    logit_singular_values,
    shuffled_cosine_sums,
)

Array = NDArray[np.float64]

_SHUFFLES = 99
# Sets of as many other frequencies that the key ones are held against.
_SETS = 10


@dataclass(frozen=True, eq=False)
class Logits:
    """What the logits are made of.

    Attributes:
        waves: Σ α cos w(a + b − c), fitted to them.
        null: what it explains where the answers are shuffled, [draw].
        singular_values: of the logits as a matrix of pairs × answers, [n].
        ablated: the losses with the key frequencies alone, and without them.
        by_chance: the same of as many other frequencies, drawn at random.
    """

    waves: CosineSum
    null: Array
    singular_values: Array
    ablated: Ablated
    by_chance: Ablated


def logits_of(seen: Observed, keys: tuple[int, ...], rng: np.random.Generator) -> Logits:
    """Take the logits apart."""
    sign = seen.pairs.arithmetic.sign
    logits = seen.grouped.logits
    train = seen.pairs.train if seen.knows_split else np.ones_like(seen.pairs.train)
    others = [k for k in range(1, len(seen.order) // 2 + 1) if k not in keys]
    size = min(len(keys), len(others))
    drawn = [
        ablated(seen.all.logits, seen.pairs, train, rng.choice(others, size, replace=False))
        for _ in range(_SETS if size else 1)
    ]
    return Logits(
        cosine_sum(logits, sign),
        shuffled_cosine_sums(logits, sign, _SHUFFLES, rng),
        logit_singular_values(logits),
        ablated(seen.all.logits, seen.pairs, train, keys),
        Ablated(
            float(np.mean([d.restricted for d in drawn])),
            float(np.mean([d.excluded for d in drawn])),
        ),
    )


def logits_report(seen: Observed, found: Logits, keys: tuple[int, ...], *, told: str) -> Result:
    """Return the coefficients of the waves, and the singular values."""
    from . import fourier_figures

    wave = seen.pairs.arithmetic.wave
    return Result(
        spectra={
            "logit_coefficient": found.waves.coefficients,
            "logit_share": found.waves.shares,
            "singular_value_logits": found.singular_values,
        },
        figures={
            "logits": fourier_figures.wave_coefficients(
                found.waves.coefficients,
                found.waves.shares,
                keys,
                title=f"Waves {wave} explain {found.waves.explained:.1%} of the logits' variance",
                subtitle=f"{told} · where the answers are shuffled {found.null.mean():.1%}",
                coefficient_label=f"coefficient of {wave}, w = 2πk / {len(seen.order)}",
                explained_label="fraction of the logits' variance within a pair",
            ),
        },
    )
