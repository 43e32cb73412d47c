"""Intervals that resample what was sampled: words and templates, each as a whole, at once."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def times_drawn(stratum: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
    """Draw as many units as there are, with replacement, within each stratum; [draws, n].

    Returns how often each unit was drawn. Every draw holds at least two different units of a
    stratum that has several, for nothing has a spread otherwise.

    Args:
        stratum: of each unit, [n].
        draws: how many resamples.
        rng: where they are drawn from.
    """
    times = np.zeros((draws, len(stratum)))
    for name in np.unique(stratum):
        members = np.flatnonzero(stratum == name)
        n = len(members)
        left = np.arange(draws)
        while len(left):
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=len(left))
            times[np.ix_(left, members)] = drawn
            left = left[(drawn > 0).sum(1) < min(2, n)]
    return times


def interval(
    estimate: Array, resampled: Array, by_template: Array, words: int, level: float = 0.95
) -> tuple[Array, Array]:
    """Return the limits of a bootstrap interval of each estimate, [...] each.

    Resampling all factors of a crossed design at once is Owen's pigeonhole bootstrap (2007), which
    errs on the wide side. Two corrections make percentiles of it hold with few units. They are
    taken further out, at the tails that a t distribution has in place of the normal one
    (Hesterberg, 2015, "expanded percentile"), its degrees of freedom between those of the templates
    and those of the words as the one or the other make the variance (Satterthwaite, 1946). And they
    are taken about the mean of the resamples, which lies off the estimate since a unit that is
    drawn twice is as near to itself as nothing else is.

    Args:
        estimate: [...].
        resampled: the same of each resample, [..., b].
        by_template: the same of each template, [..., template]; equal where none plays a part.
        words: how many there are in the smaller class, at least two.
        level: the share of intervals that hold the truth.
    """
    from scipy.stats import norm, t

    templates = by_template.shape[-1]
    total = resampled.var(-1)
    of_templates = by_template.var(-1, ddof=1) / templates
    share = np.where(total > 0, np.minimum(of_templates / np.where(total > 0, total, 1), 1), 0)
    freedom = 1 / (share**2 / (templates - 1) + (1 - share) ** 2 / (words - 1))
    tail = norm.cdf(-np.sqrt(1 + 1 / freedom) * t.ppf((1 + level) / 2, freedom))
    around = resampled - resampled.mean(-1, keepdims=True)
    low, high = np.empty(estimate.shape), np.empty(estimate.shape)
    for at in np.ndindex(estimate.shape):
        low[at], high[at] = np.quantile(around[at], [tail[at], 1 - tail[at]])
    return estimate + low, estimate + high
