"""Does one angle differ from the other in the same sentences? Paired tests, a step each."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest
from interp.stats.two_sample import corrected, d_interval


@dataclass(frozen=True, eq=False)
class Differences:
    """The differences of paired observations and their tests; every array is [step].

    Where differences do not vary beyond rounding, there is no t and no d: these are nan there.

    Attributes:
        observations: how many there are, at least two.
        mean: of the differences, in degrees.
        low: the lower limit of its 95% interval, by Student's t.
        high: the upper one.
        d: the mean in standard deviations of the differences, Cohen's d_z (Lakens, 2013).
        d_low: the lower limit of its 95% interval, by the noncentral t.
        d_high: the upper one.
        t: Student's statistic.
        p_t: its two-sided p.
        p_t_holm: the same corrected over steps (Holm, 1979).
        p_wilcoxon: of the signed ranks, two-sided (Wilcoxon, 1945).
        p_wilcoxon_holm: the same corrected over steps.
        flips: the size of the mean against its null, the signs of whole observations flipped in all
            steps alike; its corrected p is against the largest step of each flip.
        varies: whether the differences vary beyond rounding.
    """

    observations: int
    mean: Array
    low: Array
    high: Array
    d: Array
    d_low: Array
    d_high: Array
    t: Array
    p_t: Array
    p_t_holm: Array
    p_wilcoxon: Array
    p_wilcoxon_holm: Array
    flips: PermutationTest
    varies: NDArray[np.bool_]


def smallest_p(units: int, draws: int) -> float:
    """Return the smallest p that flips of so few signs, or so few draws of them, allow."""
    # All signs flipped give the same size again.
    return float(max(2.0 ** (1 - units), 1 / (draws + 1)))


def differences(values: Array, exchanged: NDArray[np.bool_], rounding: float) -> Differences:
    """Test whether paired observations differ, at each step.

    Args:
        values: the difference in each observation, [observation, step], at least two.
        exchanged: which observations have their two values exchanged, the first none of them,
            [1 + b, observation].
        rounding: what values may differ by and still be taken for equal.
    """
    from scipy.stats import t as student

    n = len(values)
    settled, varies = _settled(values, rounding)
    mean = settled.mean(0)
    spread = np.where(varies, settled.std(0, ddof=1), np.nan)
    t = math.sqrt(n) * mean / spread
    p_t = 2 * student.sf(np.abs(t), n - 1)
    # Each step by itself: a difference of 0 in one would have SciPy approximate the p of them all.
    p_wilcoxon = np.array([_wilcoxon(column) for column in settled.T])
    d_low, d_high = np.full((2, *mean.shape), np.nan)
    d_low[varies], d_high[varies] = d_interval((mean / spread)[varies], n, n, paired=True)
    margin = np.where(varies, student.ppf(0.975, n - 1) * spread / math.sqrt(n), 0.0)
    return Differences(
        observations=n,
        mean=mean,
        low=mean - margin,
        high=mean + margin,
        d=mean / spread,
        d_low=d_low,
        d_high=d_high,
        t=t,
        p_t=p_t,
        p_t_holm=corrected(p_t, "holm"),
        p_wilcoxon=p_wilcoxon,
        p_wilcoxon_holm=corrected(p_wilcoxon, "holm"),
        flips=flipped(values, exchanged, rounding),
        varies=varies,
    )


def flipped(values: Array, exchanged: NDArray[np.bool_], rounding: float) -> PermutationTest:
    """Hold the size of the mean difference of each step against flips of the signs.

    Args:
        values: the difference in each observation, [observation, step].
        exchanged: whose signs are flipped, the first time nobody's, [1 + b, observation].
        rounding: what values may differ by and still be taken for equal.
    """
    settled, _ = _settled(values, rounding)
    size = np.abs((1.0 - 2.0 * exchanged) @ settled / len(values)).T
    return permutation_tests.permutation_test(size[:, 0], size[:, 1:], "greater")


def _settled(values: Array, rounding: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return values whose rounding is taken off where it is all that varies, and where more does.

    What differs from nothing by rounding alone becomes 0.
    """
    varies = np.ptp(values, axis=0) > rounding
    mean = values.mean(0)
    mean = np.where(np.abs(mean) > rounding, mean, 0.0)
    return np.where(varies, values, mean), varies


def _wilcoxon(values: Array) -> float:
    from scipy.stats import wilcoxon

    # No difference at all has no rank, and is no evidence.
    return float(wilcoxon(values).pvalue) if values.any() else 1.0
