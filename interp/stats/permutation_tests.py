"""Nulls and p-values: what chance alone would give, layer by layer and over all layers at once."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tail = Literal["greater", "less"]

# Draws that repeat the observed arrangement differ from it by rounding; they count as ties.
_TIE = 1e-9


@dataclass(frozen=True)
class PermutationTest:
    """An observed value a layer against its permutation null; every array is [layer].

    Attributes:
        null_mean: mean of the null.
        null_low: its 2.5th percentile.
        null_high: its 97.5th percentile.
        z: (observed - null mean) / null standard deviation; 0 where nothing varies.
        p: one-sided, (b + 1) / (B + 1) with b of the B draws at least as extreme.
        p_corrected: the same against the most extreme layer of each draw, which bounds the chance
            of any false finding over all layers (Westfall and Young, 1993).
    """

    null_mean: Array
    null_low: Array
    null_high: Array
    z: Array
    p: Array
    p_corrected: Array


def permutations(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw orders of n things, independently; returns [draws, n]."""
    return rng.permuted(np.tile(np.arange(n, dtype=np.intp), (draws, 1)), axis=1)


def permutation_test(observed: Array, null: Array, alternative: Tail) -> PermutationTest:
    """Compare the observed value of each layer with its null.

    The same draw must have been used in every layer: the correction rests on the dependence
    between layers. Layers are put on one scale by their null mean and standard deviation, the
    observed value counted among the draws, so that it stays exchangeable with them.

    Args:
        observed: [layer].
        null: [layer, draw].
        alternative: the direction that counts as extreme.

    Raises:
        ValueError: no draw, or a value that is not finite.
    """
    if null.ndim != 2 or len(null) != len(observed) or null.shape[1] == 0:
        raise ValueError(f"null {null.shape} must be [{len(observed)} layers, draws]")
    if not (np.isfinite(observed).all() and np.isfinite(null).all()):
        raise ValueError("the metric gave values that are not finite")
    scales = _Scales.of(observed, null, 1.0 if alternative == "greater" else -1.0)
    settled = scales.settled
    null_mean, null_std = settled.mean(1), settled.std(1)
    return PermutationTest(
        null_mean=null_mean,
        null_low=np.quantile(settled, 0.025, axis=1),
        null_high=np.quantile(settled, 0.975, axis=1),
        # Where no draw differs from another, the observed value alone makes the spread.
        z=np.where(scales.varies, observed - null_mean, 0)
        / np.where(null_std <= scales.rounding, scales.spread, null_std),
        p=_p_value(scales.sign * observed[:, None], scales.sign * settled)[:, 0],
        p_corrected=scales.corrected(observed[:, None])[:, 0],
    )


def corrected_p(values: Array, observed: Array, null: Array, alternative: Tail) -> Array:
    """Return the corrected p that other values of a layer have beside the observed one.

    Each is held against the null of the observed value, as `permutation_test` holds that: where the
    best of several things was observed, against the best of each draw.

    Args:
        values: [layer, k].
        observed: [layer].
        null: [layer, draw].
        alternative: the direction that counts as extreme.
    """
    sign = 1.0 if alternative == "greater" else -1.0
    return _Scales.of(observed, null, sign).corrected(values)


@dataclass(frozen=True, eq=False)
class _Scales:
    """The scale of each layer, on which layers can be held against each other.

    Attributes:
        sign: 1 where large values are extreme, -1 where small ones are.
        settled: the null, what differs from the observed value by rounding set to it.
        mean: of observed value and draws together, [layer].
        spread: their standard deviation; 1 where nothing varies, [layer].
        varies: whether it is more than rounding, [layer].
        rounding: what a spread must exceed, [layer].
    """

    sign: float
    settled: Array
    mean: Array
    spread: Array
    varies: NDArray[np.bool_]
    rounding: Array

    @classmethod
    def of(cls, observed: Array, null: Array, sign: float) -> "_Scales":
        scale = np.maximum(np.abs(null).max(1), np.abs(observed))
        ties = np.abs(null - observed[:, None]) <= _TIE * scale[:, None]
        settled = np.where(ties, observed[:, None], null)
        everything = np.column_stack([observed, settled])
        rounding = _TIE * np.maximum(scale, np.finfo(float).tiny)
        spread = everything.std(1)
        varies = spread > rounding
        spread = np.where(varies, spread, 1.0)
        return cls(sign, settled, everything.mean(1), spread, varies, rounding)

    def corrected(self, values: Array) -> Array:
        """Hold values [layer, k] against the most extreme layer of each draw."""
        most_extreme = self._standard(self.settled).max(0)
        return _p_value(self._standard(values), np.broadcast_to(most_extreme, self.settled.shape))

    def _standard(self, values: Array) -> Array:
        standard = self.sign * (values - self.mean[:, None]) / self.spread[:, None]
        return np.where(self.varies[:, None], standard, 0.0)


def _p_value(observed: Array, null: Array) -> Array:
    """Return p of observed values [layer, k] with null [layer, draw]."""
    b = (null[:, None] >= observed[:, :, None]).sum(2)
    return np.asarray((b + 1) / (null.shape[1] + 1), dtype=np.float64)


def calibrated_score(observed: Array, null: Array, identity: Array, alternative: Tail) -> Array:
    """Put values on a common scale: 0 at the null's 95th percentile, 1 at identity; [layer].

    The percentile is taken in the direction tested, so that a score above 0 goes with an
    uncorrected p of at most about 0.05 where closeness is tested. The idea, cut off below 0, is
    that of Gröger et al. (2026). 0 where the null itself lies at identity and leaves no room.

    Args:
        observed: [layer].
        null: [layer, draw].
        identity: the value of a cloud with itself, [layer].
        alternative: the direction that counts as extreme.
    """
    threshold = np.quantile(null, 0.95 if alternative == "greater" else 0.05, axis=1)
    room = identity - threshold
    leaves_room = np.abs(room) > _TIE * np.maximum(np.abs(identity), np.abs(threshold))
    return np.where(leaves_room, (observed - threshold) / np.where(leaves_room, room, 1), 0)
