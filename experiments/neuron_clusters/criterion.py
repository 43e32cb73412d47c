"""When a neuron counts as significant: a test, a correction over neurons, and a level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.two_sample import corrected

_TESTS = {
    "paired": "paired t-test",
    "student": "Student's t-test",
    "welch": "Welch's t-test",
    "mann_whitney": "Mann–Whitney U test",
}
_CORRECTIONS = {
    "benjamini_hochberg": "Benjamini–Hochberg",
    "holm": "Holm",
    "bonferroni": "Bonferroni",
}


@dataclass(frozen=True)
class Criterion:
    """A test of two groups, and what it takes to be significant.

    Attributes:
        test: one of `interp.stats.two_sample.TESTS`.
        correction: one of `interp.stats.two_sample.CORRECTIONS`, over the neurons of a layer.
        alpha: the corrected p below which a neuron is significant.
    """

    test: str
    correction: str
    alpha: float

    @property
    def is_paired(self) -> bool:
        """Whether the test is of pairs."""
        return self.test == "paired"

    @property
    def statistic(self) -> str:
        """What the statistic is called."""
        return "z" if self.test == "mann_whitney" else "t"

    @property
    def effect(self) -> str:
        """What Cohen's d is called: that of differences within pairs has a name of its own."""
        return "d_z" if self.is_paired else "d"

    @property
    def assumes(self) -> str:
        """What the interval of d assumes that the test does not; "" where nothing."""
        return ", for equal variances" if self.test in ("welch", "mann_whitney") else ""

    def __str__(self) -> str:
        return f"{_TESTS[self.test]}, {_CORRECTIONS[self.correction]} p < {self.alpha:g}"

    def significant(self, p: Array) -> NDArray[np.bool_]:
        """Tell which of p-values [.., neuron] are significant; NaN are not."""
        return np.asarray(corrected(p, self.correction) < self.alpha)


def p_in_words(p: float) -> str:
    """Write a p-value, also one that is too small for a number."""
    return "p < 1e-300" if p < 1e-300 else f"p = {p:.2g}"
