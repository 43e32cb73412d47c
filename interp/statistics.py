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
    sign = 1.0 if alternative == "greater" else -1.0
    scale = np.maximum(np.abs(null).max(1), np.abs(observed))
    ties = np.abs(null - observed[:, None]) <= _TIE * scale[:, None]
    settled = np.where(ties, observed[:, None], null)

    everything = sign * np.column_stack([observed, settled])
    spread = everything.std(1)
    varies = spread > _TIE * np.maximum(scale, np.finfo(float).tiny)
    spread = np.where(varies, spread, 1.0)
    standard = (everything - everything.mean(1, keepdims=True)) / spread[:, None]
    standard[~varies] = 0.0
    most_extreme = standard[:, 1:].max(0)

    null_mean, null_std = settled.mean(1), settled.std(1)
    still = null_std <= _TIE * np.maximum(scale, np.finfo(float).tiny)
    return PermutationTest(
        null_mean=null_mean,
        null_low=np.quantile(settled, 0.025, axis=1),
        null_high=np.quantile(settled, 0.975, axis=1),
        # Where no draw differs from another, the observed value alone makes the spread.
        z=np.where(varies, observed - null_mean, 0) / np.where(still, spread, null_std),
        p=_p_value(sign * observed, sign * settled),
        p_corrected=_p_value(standard[:, 0], np.broadcast_to(most_extreme, settled.shape)),
    )


def _p_value(observed: Array, null: Array) -> Array:
    b = (null >= observed[:, None]).sum(1)
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
