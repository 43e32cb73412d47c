"""Paired tests, one per step: does the target's angle differ from its control's in a sentence?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest
from interp.stats.two_sample import cohens_d_interval, correct_p


@dataclass(frozen=True, eq=False)
class PairedTests:
    """The differences of paired observations and their tests; every array is [step].

    Where differences do not vary beyond rounding, t and d are undefined and nan.

    Attributes:
        n_observations: how many pairs there are, at least two.
        mean: the mean difference, in degrees.
        low: the lower limit of its 95% interval, by Student's t.
        high: the upper limit.
        d: the mean in standard deviations of the differences, Cohen's d_z (Lakens, 2013).
        d_low: the lower limit of its 95% interval, by the noncentral t.
        d_high: the upper limit.
        t: Student's statistic.
        p_t: its two-sided p.
        p_t_holm: the same corrected over steps (Holm, 1979).
        p_wilcoxon: p of the signed ranks, two-sided (Wilcoxon, 1945).
        p_wilcoxon_holm: the same corrected over steps.
        sign_flips: the size of the mean difference tested by flipping the signs of whole
            observations, in all steps alike; its corrected p compares with the largest step of each
            flip.
        varies: whether the differences vary beyond rounding.
    """

    n_observations: int
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
    sign_flips: PermutationTest
    varies: NDArray[np.bool_]

    def significant(self, alpha: float) -> NDArray[np.bool_]:
        """Return where the corrected p of the sign flips is below alpha, [step]."""
        return np.asarray(self.sign_flips.p_corrected < alpha)

    def peak(self, alpha: float) -> int:
        """Return the step of the largest significant difference, or else of the largest one."""
        significant = self.significant(alpha)
        return int(np.where(significant | ~significant.any(), np.abs(self.mean), -1).argmax())


def smallest_p(n_observations: int, permutations: int) -> float:
    """Return the smallest p that sign flips of so few observations, or so few flips, allow."""
    # Flipping all signs gives the same size again.
    return float(max(2.0 ** (1 - n_observations), 1 / (permutations + 1)))


def paired_tests(values: Array, flipped: NDArray[np.bool_], rounding: float) -> PairedTests:
    """Test whether paired observations differ, at each step.

    Args:
        values: the difference of each observation, [observation, step], at least two.
        flipped: which observations have the signs of their differences flipped, none of them in
            the first row, [1 + permutation, observation].
        rounding: the difference up to which values count as equal.
    """
    from scipy.stats import t as student

    n = len(values)
    settled, varies = _without_rounding(values, rounding)
    mean = settled.mean(0)
    spread = np.where(varies, settled.std(0, ddof=1), np.nan)
    t = math.sqrt(n) * mean / spread
    p_t = 2 * student.sf(np.abs(t), n - 1)
    # One call per step: a zero difference in one would make SciPy approximate the p of all steps.
    p_wilcoxon = np.array([_wilcoxon(column) for column in settled.T])
    d_low, d_high = np.full((2, *mean.shape), np.nan)
    d_low[varies], d_high[varies] = cohens_d_interval((mean / spread)[varies], n, n, paired=True)
    margin = np.where(varies, student.ppf(0.975, n - 1) * spread / math.sqrt(n), 0.0)
    return PairedTests(
        n_observations=n,
        mean=mean,
        low=mean - margin,
        high=mean + margin,
        d=mean / spread,
        d_low=d_low,
        d_high=d_high,
        t=t,
        p_t=p_t,
        p_t_holm=correct_p(p_t, "holm"),
        p_wilcoxon=p_wilcoxon,
        p_wilcoxon_holm=correct_p(p_wilcoxon, "holm"),
        sign_flips=sign_flip_test(values, flipped, rounding),
        varies=varies,
    )


def sign_flip_test(values: Array, flipped: NDArray[np.bool_], rounding: float) -> PermutationTest:
    """Compare the size of the mean difference of each step with sizes under flipped signs.

    Args:
        values: the difference of each observation, [observation, step].
        flipped: whose signs are flipped, nobody's in the first row, [1 + permutation, observation].
        rounding: the difference up to which values count as equal.
    """
    settled, _ = _without_rounding(values, rounding)
    size = np.abs((1.0 - 2.0 * flipped) @ settled / len(values)).T
    return permutation_tests.permutation_test(size[:, 0], size[:, 1:], "greater")


def _without_rounding(values: Array, rounding: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return the values, constant at steps where only rounding varies, and where more than that.

    A constant that differs from 0 by rounding alone becomes 0.
    """
    varies = np.ptp(values, axis=0) > rounding
    mean = values.mean(0)
    mean = np.where(np.abs(mean) > rounding, mean, 0.0)
    return np.where(varies, values, mean), varies


def _wilcoxon(values: Array) -> float:
    from scipy.stats import wilcoxon

    # Without any difference there is no rank, and no evidence.
    return float(wilcoxon(values).pvalue) if values.any() else 1.0
