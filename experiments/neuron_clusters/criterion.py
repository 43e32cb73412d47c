"""When a neuron counts as significant: a test, a correction over neurons, and a level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.two_sample import correct_p

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
    """A test of two groups, and the corrected p below which a neuron is significant.

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
        """The name of the statistic."""
        return "z" if self.test == "mann_whitney" else "t"

    @property
    def effect(self) -> str:
        """The name of Cohen's d: d_z for differences within pairs."""
        return "d_z" if self.is_paired else "d"

    @property
    def interval_assumption(self) -> str:
        """What the interval of d assumes and the test does not, for a label; "" for nothing."""
        return ", for equal variances" if self.test in ("welch", "mann_whitney") else ""

    def __str__(self) -> str:
        return f"{_TESTS[self.test]}, {_CORRECTIONS[self.correction]} p < {self.alpha:g}"

    def significant(self, p: Array) -> NDArray[np.bool_]:
        """Return which of p-values [.., neuron] are significant; NaN are not."""
        return np.asarray(correct_p(p, self.correction) < self.alpha)


def format_p(p: float) -> str:
    """Return "p = 0.012"; "p < 1e-300" where p is too small for a float."""
    return "p < 1e-300" if p < 1e-300 else f"p = {p:.2g}"
