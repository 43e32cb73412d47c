"""Permutation tests per layer, and p-values corrected over all layers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tail = Literal["greater", "less"]

# A permutation that gives the observed arrangement again differs from it by rounding; within this
# relative distance it counts as a tie.
_TIE = 1e-9


@dataclass(frozen=True)
class PermutationTest:
    """One observed value per layer compared with its permutation null; every array is [layer].

    Attributes:
        null_mean: mean of the null.
        null_low: its 2.5th percentile.
        null_high: its 97.5th percentile.
        z: (observed - null mean) / null standard deviation; 0 where nothing varies.
        p: one-sided, (b + 1) / (B + 1) with b of the B permutations at least as extreme.
        p_corrected: the same compared with the most extreme layer of each permutation, which bounds
            the chance of any false finding over all layers (Westfall and Young, 1993).
    """

    null_mean: Array
    null_low: Array
    null_high: Array
    z: Array
    p: Array
    p_corrected: Array


def draw_permutations(n: int, n_permutations: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw random orders of n things, independently; returns [n_permutations, n]."""
    return rng.permuted(np.tile(np.arange(n, dtype=np.intp), (n_permutations, 1)), axis=1)


def permutation_test(observed: Array, null: Array, alternative: Tail) -> PermutationTest:
    """Compare the observed value of each layer with its null.

    All layers must use the same permutations, because the correction rests on the dependence
    between layers. Each layer is standardised by the mean and standard deviation of its null and
    its observed value together, so that the observed value stays exchangeable with the null.

    Args:
        observed: [layer].
        null: [layer, permutation].
        alternative: the direction that counts as extreme.

    Raises:
        ValueError: no permutation, or a value that is not finite.
    """
    if null.ndim != 2 or len(null) != len(observed) or null.shape[1] == 0:
        raise ValueError(f"null {null.shape} must be [{len(observed)} layers, permutations]")
    if not (np.isfinite(observed).all() and np.isfinite(null).all()):
        raise ValueError("the metric gave values that are not finite")
    scales = _Scales.of(observed, null, 1.0 if alternative == "greater" else -1.0)
    tied = scales.tied_null
    null_mean, null_std = tied.mean(1), tied.std(1)
    return PermutationTest(
        null_mean=null_mean,
        null_low=np.quantile(tied, 0.025, axis=1),
        null_high=np.quantile(tied, 0.975, axis=1),
        # Where all permutations agree, the observed value alone makes the spread.
        z=np.where(scales.varies, observed - null_mean, 0)
        / np.where(null_std <= scales.rounding, scales.spread, null_std),
        p=_p_value(scales.sign * observed[:, None], scales.sign * tied)[:, 0],
        p_corrected=scales.corrected(observed[:, None])[:, 0],
    )


def corrected_p(values: Array, observed: Array, null: Array, alternative: Tail) -> Array:
    """Return the corrected p-values of further values of each layer, [layer, k].

    Each is compared with the null of the observed value, as in `permutation_test`. Where the
    observed value is the best of several, its null holds the best of each permutation.

    Args:
        values: [layer, k].
        observed: [layer].
        null: [layer, permutation].
        alternative: the direction that counts as extreme.
    """
    sign = 1.0 if alternative == "greater" else -1.0
    return _Scales.of(observed, null, sign).corrected(values)


@dataclass(frozen=True, eq=False)
class _Scales:
    """The standardisation of each layer, after which layers can be compared.

    Attributes:
        sign: 1 where large values are extreme, -1 where small ones are.
        tied_null: the null; what differs from the observed value by rounding is set to it.
        mean: of observed value and null together, [layer].
        spread: their standard deviation; 1 where nothing varies, [layer].
        varies: whether the spread is more than rounding, [layer].
        rounding: the spread that rounding alone may cause, [layer].
    """

    sign: float
    tied_null: Array
    mean: Array
    spread: Array
    varies: NDArray[np.bool_]
    rounding: Array

    @classmethod
    def of(cls, observed: Array, null: Array, sign: float) -> "_Scales":
        scale = np.maximum(np.abs(null).max(1), np.abs(observed))
        ties = np.abs(null - observed[:, None]) <= _TIE * scale[:, None]
        tied_null = np.where(ties, observed[:, None], null)
        everything = np.column_stack([observed, tied_null])
        rounding = _TIE * np.maximum(scale, np.finfo(float).tiny)
        spread = everything.std(1)
        varies = spread > rounding
        spread = np.where(varies, spread, 1.0)
        return cls(sign, tied_null, everything.mean(1), spread, varies, rounding)

    def corrected(self, values: Array) -> Array:
        """Compare values [layer, k] with the most extreme layer of each permutation."""
        most_extreme = self._standardise(self.tied_null).max(0)
        return _p_value(
            self._standardise(values), np.broadcast_to(most_extreme, self.tied_null.shape)
        )

    def _standardise(self, values: Array) -> Array:
        standard = self.sign * (values - self.mean[:, None]) / self.spread[:, None]
        return np.where(self.varies[:, None], standard, 0.0)


def _p_value(observed: Array, null: Array) -> Array:
    """Return p of observed values [layer, k] with null [layer, permutation]."""
    b = (null[:, None] >= observed[:, :, None]).sum(2)
    return np.asarray((b + 1) / (null.shape[1] + 1), dtype=np.float64)


def calibrated_score(observed: Array, null: Array, identity: Array, alternative: Tail) -> Array:
    """Return values on a common scale: 0 at the null's 95th percentile, 1 at identity; [layer].

    The percentile is taken in the direction tested: where closeness is tested, a score above 0 goes
    with an uncorrected p of at most about 0.05. The score of Gröger et al. (2026) is the same, cut
    off below 0. It is 0 where the null itself lies at identity, so that no room is left.

    Args:
        observed: [layer].
        null: [layer, permutation].
        identity: the value of a cloud of points with itself, [layer].
        alternative: the direction that counts as extreme.
    """
    threshold = np.quantile(null, 0.95 if alternative == "greater" else 0.05, axis=1)
    room = identity - threshold
    leaves_room = np.abs(room) > _TIE * np.maximum(np.abs(identity), np.abs(threshold))
    return np.where(leaves_room, (observed - threshold) / np.where(leaves_room, room, 1), 0)
