"""Two-sample tests of many neurons under many labellings at once, corrections, effect sizes.

Values are [row, neuron], float64. A labelling marks the rows of the first group; labellings are
[b, row], the given one first, all with the same group sizes. What all labellings share is computed
once, so that a null of many labellings costs little more than a product of matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labellings = NDArray[np.bool_]

# The exact distribution of U is used up to this size of the smaller group, where no values tie.
_SMALL = 8
# Above this t, the variance of its denominator alone decides the noncentral distribution.
_LARGE_T = 1000.0


@dataclass(frozen=True, eq=False)
class TwoSampleTests:
    """A two-sample test of every neuron under every labelling, all [b, neuron].

    NaN where the neuron, with the given labelling, varies by no more than rounding: no test exists.

    Attributes:
        statistic: positive where the first group is larger; t, or z of Mann and Whitney's U.
        p: two-sided.
        d: Cohen's d. For pairs it is the mean difference over the standard deviation of the
            differences (d_z), else the difference of the means over the pooled standard deviation.
    """

    statistic: Array
    p: Array
    d: Array


def compare_groups(
    test: str,
    values: Array,
    in_first: Labellings,
    observation: NDArray[np.intp],
    rounding: Array,
) -> TwoSampleTests:
    """Test every neuron under every labelling.

    "student" and "welch" are the t-tests with and without equal variances (Student, 1908; Welch,
    1947). "paired" is Student's test of the differences within pairs. "mann_whitney" is the U test
    of ranks (Mann and Whitney, 1947): exact where a group has at most 8 rows and no values tie,
    else by the normal distribution, corrected for ties and continuity.

    Args:
        test: one of `TESTS`.
        values: [row, neuron].
        in_first: the rows of the first group, [b, row].
        observation: the observation of each row; a pair has one row of each group, [row].
        rounding: the standard deviation that rounding alone may cause, [neuron].

    Raises:
        ValueError: fewer than two rows in a group.
    """
    first = int(in_first[0].sum())
    if min(first, in_first.shape[1] - first) < 2:
        raise ValueError(
            f"two groups of at least two rows are needed, not {first} of {in_first.shape[1]} rows"
        )
    found, varies = TESTS[test](values, in_first, observation, rounding)
    return TwoSampleTests(*(np.where(varies, column, np.nan) for column in found))


_Found = tuple[tuple[Array, Array, Array], NDArray[np.bool_]]


def _paired(
    values: Array, in_first: Labellings, observation: NDArray[np.intp], rounding: Array
) -> _Found:
    first, second = (
        rows[np.argsort(observation[rows])]
        for rows in (np.flatnonzero(in_first[0]), np.flatnonzero(~in_first[0]))
    )
    differences = values[first] - values[second]
    n = len(differences)
    signs = np.where(in_first[:, first], 1.0, -1.0)
    mean = signs @ differences / n
    spread = np.sqrt(np.maximum((differences**2).sum(0) - n * mean**2, 0) / (n - 1))
    varies = spread[0] > rounding
    d = mean / _above(spread, rounding)
    t = d * np.sqrt(n)
    return (t, _p_of_t(t, np.array(n - 1.0)), d), varies


def _student(
    values: Array, in_first: Labellings, observation: NDArray[np.intp], rounding: Array
) -> _Found:
    d, spread, _ = _pooled(values, in_first, rounding)
    n1, n2 = _sizes(in_first)
    t = d / np.sqrt(1 / n1 + 1 / n2)
    return (t, _p_of_t(t, np.array(n1 + n2 - 2.0)), d), spread[0] > rounding


def _welch(
    values: Array, in_first: Labellings, observation: NDArray[np.intp], rounding: Array
) -> _Found:
    d, spread, (mean1, mean2) = _pooled(values, in_first, rounding)
    n1, n2 = _sizes(in_first)
    squares = (values - values.mean(0)) ** 2
    in_one = in_first @ squares
    share1, share2 = (
        np.maximum((total - n * mean**2) / (n - 1), _above(rounding, np.zeros(1)) ** 2) / n
        for total, n, mean in ((in_one, n1, mean1), (squares.sum(0) - in_one, n2, mean2))
    )
    error = share1 + share2
    t = (mean1 - mean2) / np.sqrt(error)
    # Welch and Satterthwaite's degrees of freedom.
    df = 1 / ((share1 / error) ** 2 / (n1 - 1) + (share2 / error) ** 2 / (n2 - 1))
    return (t, _p_of_t(t, df), d), spread[0] > rounding


def _mann_whitney(
    values: Array, in_first: Labellings, observation: NDArray[np.intp], rounding: Array
) -> _Found:
    from scipy.special import ndtr
    from scipy.stats import rankdata

    n1, n2 = _sizes(in_first)
    n = n1 + n2
    # Values that differ by rounding alone tie.
    grain = np.where(rounding > 0, rounding, 1)
    settled = np.where(rounding > 0, np.round(values / grain) * grain, values)
    ranks = rankdata(settled, axis=0)
    u = in_first @ ranks - n1 * (n1 + 1) / 2
    # The variance of the ranks includes the correction for ties.
    spread = np.sqrt(n1 * n2 / (n * (n - 1)) * ((ranks - (n + 1) / 2) ** 2).sum(0))
    beyond = u - n1 * n2 / 2
    z = np.sign(beyond) * np.maximum(np.abs(beyond) - 0.5, 0) / np.where(spread > 0, spread, 1)
    p = 2 * ndtr(-np.abs(z))
    if min(n1, n2) <= _SMALL:
        untied = (np.diff(np.sort(settled, axis=0), axis=0) > 0).all(0)
        larger = np.maximum(u, n1 * n2 - u)[:, untied].round().astype(int)
        p[:, untied] = np.minimum(2 * _u_tail(n1, n2)[larger], 1)
    d, _, _ = _pooled(values, in_first, rounding)
    return (z, p, d), values.std(0) > rounding


TESTS: dict[str, Callable[[Array, Labellings, NDArray[np.intp], Array], _Found]] = {
    "paired": _paired,
    "student": _student,
    "welch": _welch,
    "mann_whitney": _mann_whitney,
}


def _sizes(in_first: Labellings) -> tuple[int, int]:
    first = int(in_first[0].sum())
    return first, in_first.shape[1] - first


def _pooled(
    values: Array, in_first: Labellings, rounding: Array
) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return Cohen's d, the pooled standard deviation, and both means around the common one."""
    n1, n2 = _sizes(in_first)
    centred = values - values.mean(0)
    total = in_first @ centred
    mean1, mean2 = total / n1, -total / n2
    within = (centred**2).sum(0) - n1 * mean1**2 - n2 * mean2**2
    spread = np.sqrt(np.maximum(within, 0) / (n1 + n2 - 2))
    return (mean1 - mean2) / _above(spread, rounding), spread, (mean1, mean2)


def _above(spread: Array, rounding: Array) -> Array:
    """Return a spread to divide by: at least that of rounding, and not 0."""
    return np.asarray(np.maximum(np.maximum(spread, rounding), np.finfo(float).tiny ** 0.25))


def _p_of_t(t: Array, df: Array) -> Array:
    from scipy.special import stdtr

    return np.asarray(2 * stdtr(df, -np.abs(t)))


def _u_tail(n1: int, n2: int) -> Array:
    """Return P(U >= 0), P(U >= 1), …, P(U >= n1 n2) where all orders are equally likely.

    The recursion removes the largest value (Mann and Whitney, 1947): one of the first group exceeds
    the whole second group, one of the second adds nothing to U.
    """
    n1, n2 = min(n1, n2), max(n1, n2)
    row = [np.ones(1)] * (n2 + 1)
    for i in range(1, n1 + 1):
        above, row = row, [np.ones(1)]
        for j in range(1, n2 + 1):
            chance = np.zeros(i * j + 1)
            chance[j:] += i / (i + j) * above[j]
            chance[: i * (j - 1) + 1] += j / (i + j) * row[j - 1]
            row.append(chance)
    return np.asarray(row[n2][::-1].cumsum()[::-1])


def _bonferroni(ranked: Array, tests: Array) -> Array:
    return ranked * tests


def _holm(ranked: Array, tests: Array) -> Array:
    still = tests - np.arange(ranked.shape[-1])
    return np.asarray(np.maximum.accumulate(ranked * still, axis=-1))


def _benjamini_hochberg(ranked: Array, tests: Array) -> Array:
    raised = ranked * tests / np.arange(1, ranked.shape[-1] + 1)
    return np.asarray(np.fmin.accumulate(raised[..., ::-1], axis=-1)[..., ::-1])


CORRECTIONS: dict[str, Callable[[Array, Array], Array]] = {
    "benjamini_hochberg": _benjamini_hochberg,
    "holm": _holm,
    "bonferroni": _bonferroni,
}


def correct_p(p: Array, correction: str) -> Array:
    """Return p-values adjusted for the number of tests along the last axis; NaN is not a test.

    The procedure rejects, at a level, the tests whose adjusted p is below it. "bonferroni" and
    "holm" (Holm, 1979) bound the chance of any false finding under any dependence.
    "benjamini_hochberg" (1995) bounds the expected share of false findings, where tests are
    independent or positively dependent (Benjamini and Yekutieli, 2001).

    Args:
        p: [..., test].
        correction: one of `CORRECTIONS`.
    """
    # NaN sorts last.
    order = np.argsort(p, axis=-1)
    tests = np.isfinite(p).sum(-1, keepdims=True)
    ranked = CORRECTIONS[correction](np.take_along_axis(p, order, -1), tests)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(ranked, 1), -1)
    return adjusted


def cohens_d_interval(
    d: Array, n1: int, n2: int, *, paired: bool, level: float = 0.95
) -> tuple[Array, Array]:
    """Return the limits of a confidence interval of Cohen's d, in the shape of d.

    d is a multiple of Student's t, which has a noncentral t distribution where there is an effect.
    Each limit is the effect that leaves a probability of (1 - level) / 2 beyond the observed d
    (Hedges and Olkin, 1985; Steiger and Fouladi, 1997). Exact for normal values; unpaired groups
    must have equal variances.

    Args:
        d: finite effects.
        n1: rows of the first group.
        n2: rows of the second.
        paired: whether d is of n1 pairs.
        level: the confidence level.
    """
    scale, df = (np.sqrt(n1), n1 - 1) if paired else (np.sqrt(n1 * n2 / (n1 + n2)), n1 + n2 - 2)
    t = np.abs(d) * scale
    outer = (1 - level) / 2
    low, high = (_noncentrality(t, df, share) / scale for share in (1 - outer, outer))
    return np.where(d < 0, -high, low), np.where(d < 0, -low, high)


def _noncentrality(t: Array, df: int, share: float) -> Array:
    """Return the noncentrality at which P(T < t) equals the share, for t of at least 0."""
    from scipy.stats import chi2, nct

    below, above = (t * np.sqrt(chi2.ppf(tail, df) / df) for tail in (1e-9, 1 - 1e-9))
    below, above = below - 7, above + 7
    moderate = np.minimum(t, _LARGE_T)
    for _ in range(40):
        middle = (below + above) / 2
        too_small = nct.cdf(moderate, df, middle) > share
        below, above = np.where(too_small, middle, below), np.where(too_small, above, middle)
    # With a large mean the normal part of t is negligible.
    limit = t * np.sqrt(chi2.ppf(1 - share, df) / df)
    return np.asarray(np.where(t > _LARGE_T, limit, (below + above) / 2))
