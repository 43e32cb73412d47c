"""The frequencies of a model's weights: by the Fourier basis, and by singular vectors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.results.result import Result
from interp.stats.permutation_tests import permutations

from .fourier import (
    KeyFrequencies,
    dominant_frequencies,
    fourier_basis,
    names,
    power_by_frequency,
    power_of_columns,
)
from .observed import Observed
from .weights_in_frequencies import ALPHA, DRAWS

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

# Embeddings with shuffled columns that singular values are held against.
_SHUFFLED = 99
# Shuffles that repeat the order found differ from it by rounding.
_TIE = 1e-9
# So many singular vectors are drawn.
_SHOWN = 10
_LABELS = {
    "W_E": "W_E, the embedding",
    "W_neur": "W_neur = W_E W_V W_O W_in, all heads",
    "W_logit": "W_logit = W_out W_U",
}


@dataclass(frozen=True, eq=False)
class Leading:
    """The singular vectors of W_E, and which of them are waves over the numbers.

    Attributes:
        values: singular values, [k].
        null: those of embeddings whose columns are shuffled each by itself, [draw, k].
        vectors: left singular vectors, [p, k].
        frequencies: the dominant frequency of each vector, [k].
        shares: what share of the vector's power it has, [k].
        p: how often shuffles of the numbers give some vector a share as large (Westfall and Young,
            1993); not a number for one that holds no more than an even share of the variance, [k].
    """

    values: Array
    null: Array
    vectors: Array
    frequencies: NDArray[np.intp]
    shares: Array
    p: Array

    @property
    def waves(self) -> NDArray[np.bool_]:
        """The vectors that count: more variance than an even share, and a wave, [k]."""
        return np.asarray(self.p <= ALPHA)

    @property
    def found(self) -> tuple[int, ...]:
        """The dominant frequencies of these, in increasing order."""
        return tuple(sorted({int(k) for k in self.frequencies[self.waves]}))

    @property
    def variance(self) -> float:
        """The share of the variance that the waves hold."""
        return float((self.values[self.waves] ** 2).sum() / (self.values**2).sum())

    @property
    def variance_by_chance(self) -> float:
        """The share that as many leading values hold where columns are shuffled."""
        count = int(self.waves.sum())
        return float(_cumulative(self.null)[:, count - 1].mean()) if count else 0.0


def leading(embedding: Array, rng: np.random.Generator) -> Leading:
    """Decompose an embedding [p, d] around its mean over the numbers, which tells none of them.

    Singular values are held against those of embeddings whose columns are shuffled each by itself,
    vectors against shuffles of the numbers.
    """
    moved = embedding - embedding.mean(0)
    vectors, values, _ = np.linalg.svd(moved, full_matrices=False)
    frequencies, shares = dominant_frequencies(vectors)
    p = np.full(len(values), np.nan)
    orders = permutations(len(vectors), DRAWS, rng)
    strong = np.flatnonzero(values**2 > (values**2).mean())
    largest = np.max([dominant_frequencies(vectors[orders, i].T)[1] for i in strong], axis=0)
    reached = largest >= (1 - _TIE) * shares[strong, None]
    p[strong] = (reached.sum(1) + 1) / (DRAWS + 1)
    null = np.array(
        [np.linalg.svd(rng.permuted(moved, axis=0), compute_uv=False) for _ in range(_SHUFFLED)]
    )
    return Leading(values, null, vectors, frequencies, shares, p)


def weights_report(
    seen: Observed, keys: dict[str, KeyFrequencies], found: Leading, *, told: str, place: str
) -> Result:
    """Return power by frequency, singular values and vectors, and the basis itself."""
    import pandas as pd

    from interp import plotting

    from . import fourier_figures

    n = len(seen.order)
    basis = fourier_basis(n)
    model_keys = keys["W_logit"].keys
    # Waves first; where there are none, what leads.
    shown = np.argsort(~found.waves, kind="stable")[: min(max(int(found.waves.sum()), 4), _SHOWN)]
    powers = power_of_columns(found.vectors[:, shown])
    heads = [power_by_frequency(of_head) for of_head in seen.weights.neurons]
    shares = [power / (power.sum() or 1.0) for power in heads]
    strongest = ", ".join(f"{share.argmax() + 1} by head {h}" for h, share in enumerate(shares))
    drawn = {
        "fourier_basis": fourier_figures.fourier_basis(
            basis,
            names(n),
            title=f"Any function of {n} numbers is a sum of {n} waves",
            subtitle="the orthonormal Fourier basis: constant, and cosine and sine of each "
            "frequency",
            xlabel=place,
            label="value",
        ),
        "frequencies": fourier_figures.power_spectra(
            [
                fourier_figures.PowerSpectrum(_LABELS[name], key.share, key.null_high, key.keys)
                for name, key in keys.items()
            ],
            title=f"{keys['W_logit'].held:.1%} of the power of W_logit is at its key frequencies, "
            f"{said(model_keys)}"
            if model_keys
            else "No frequency of the weights stands out",
            subtitle=told,
            ylabel="share of power without the constant",
            null_label="the strongest where numbers are shuffled, 99.9th percentile",
        ),
        "heads": fourier_figures.power_spectra(
            [
                fourier_figures.PowerSpectrum(f"head {h}", share, np.nan, model_keys)
                for h, share in enumerate(shares)
            ],
            title=f"What heads hand to the neurons most: {strongest}",
            subtitle=f"{told} · W_neur of each head; key frequencies are the model's",
            ylabel="share of power without the constant",
            null_label="",
        ),
        "singular_values": plotting.spectra(
            "W_E",
            [
                plotting.SpectrumBand(
                    "singular value",
                    found.values,
                    found.null.mean(0),
                    np.quantile(found.null, 0.025, axis=0),
                    np.quantile(found.null, 0.975, axis=0),
                ),
                plotting.SpectrumBand(
                    "share of variance, cumulative",
                    _cumulative(found.values),
                    _cumulative(found.null).mean(0),
                    np.quantile(_cumulative(found.null), 0.025, axis=0),
                    np.quantile(_cumulative(found.null), 0.975, axis=0),
                ),
            ],
            title=f"{found.waves.sum()} singular vectors that are waves hold {found.variance:.0%} "
            "of W_E's variance"
            if found.found
            else "No leading singular vector of W_E is a wave over the numbers",
            subtitle=f"{told} · as many of shuffled columns hold {found.variance_by_chance:.0%}"
            if found.found
            else told,
            band_label="its columns shuffled, 95%",
        ),
        "singular_vectors": fourier_figures.singular_vectors_over_numbers(
            found.vectors[:, shown],
            powers / powers.sum(0),
            found.frequencies[shown],
            [f"singular vector {i + 1}" for i in shown],
            title=f"Singular vectors of W_E are waves over the numbers: frequencies "
            f"{said(found.found)}"
            if found.found
            else "Singular vectors of W_E are no waves over the numbers",
            subtitle=f"{told} · key frequencies of W_E: {said(keys['W_E'].keys)}",
            xlabel=place,
            ylabel="entry of U",
        ),
    }
    return Result(
        spectra={
            **{f"power_{name}": key.share for name, key in keys.items()},
            "singular_value_W_E": found.values,
        },
        tables={
            "singular_vectors": _vector_table(found),
            "heads": pd.DataFrame(
                {"frequency": np.arange(1, n // 2 + 1)}
                | {f"share_head_{h}": share for h, share in enumerate(shares)}
            ),
        },
        figures=drawn,
    )


def said(keys: tuple[int, ...]) -> str:
    """Return frequencies as one reads them, or that there are none."""
    return ", ".join(map(str, keys)) or "none"


def _cumulative(values: Array) -> Array:
    squares = values**2
    return np.asarray(np.cumsum(squares, -1) / squares.sum(-1, keepdims=True))


def _vector_table(found: Leading) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "vector": np.arange(1, len(found.values) + 1),
            "singular_value": found.values,
            "null_high": np.quantile(found.null, 0.975, axis=0),
            "frequency": found.frequencies,
            "share_of_its_power": found.shares,
            "p": found.p,
            "is_wave": found.waves,
        }
    )
