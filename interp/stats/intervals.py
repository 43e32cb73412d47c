"""Bootstrap intervals for crossed designs: words and templates are resampled together."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def resample_counts(stratum: NDArray[np.intp], n_resamples: int, rng: np.random.Generator) -> Array:
    """Resample units with replacement within each stratum; return how often each was drawn.

    Every resample holds at least two different units of a stratum that has several, because a
    single one has no spread.

    Args:
        stratum: of each unit, [n].
        n_resamples: how many resamples.
        rng: the random generator.

    Returns:
        [n_resamples, n].
    """
    counts = np.zeros((n_resamples, len(stratum)))
    for name in np.unique(stratum):
        members = np.flatnonzero(stratum == name)
        n = len(members)
        left = np.arange(n_resamples)
        while len(left):
            drawn = rng.multinomial(n, np.full(n, 1 / n), size=len(left))
            counts[np.ix_(left, members)] = drawn
            left = left[(drawn > 0).sum(1) < min(2, n)]
    return counts


def bootstrap_interval(
    estimate: Array, resampled: Array, by_template: Array, words: int, level: float = 0.95
) -> tuple[Array, Array]:
    """Return the limits of a bootstrap interval of each estimate, [...] each.

    All factors of a crossed design are resampled at once, as in Owen's pigeonhole bootstrap (2007),
    which errs on the wide side. Two corrections make percentile intervals hold with few units:

    - Percentiles are taken further out, at the tails of a t distribution instead of a normal one
      (Hesterberg, 2015, "expanded percentile"). Its degrees of freedom lie between those of the
      templates and those of the words, according to their shares of the variance (Satterthwaite,
      1946).
    - Percentiles are centred on the mean of the resamples, which differs from the estimate because
      a unit that is drawn twice is closer to itself than to any other.

    Args:
        estimate: [...].
        resampled: the estimate of each resample, [..., b].
        by_template: the estimate of each template, [..., template]; equal values where templates
            play no part.
        words: the number of words in the smaller class, at least two.
        level: the confidence level.
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
