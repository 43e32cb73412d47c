"""Values compared with their null: corrected p, a score on a common scale, and significance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.metrics import Metric
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest, Tail
from interp.stats.tested_series import TestedSeries

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

# A score from here on counts as near identity.
NEAR_IDENTITY = 0.9


def check_settings(permutations: int, alpha: float) -> None:
    """Refuse impossible numbers of permutations and significance levels.

    Raises:
        ConfigError: no permutation, or a level outside of (0, 1).
    """
    if permutations < 1:
        raise ConfigError(f"permutations must be at least 1, not {permutations}")
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must lie between 0 and 1, not {alpha}")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Values with their null; every array is [value], one value per layer or pair of layers.

    Attributes:
        observed: the values.
        null: [value, permutation].
        test: p and moments of the null.
        score: 0 at the null's 95th percentile in the direction tested, 1 at identity.
        significant: corrected p below alpha.
        opposite_tail: the same in the direction that is not tested.
        tail: the direction tested.
        smallest_p: the smallest p that the number of permutations allows.
        significance: each value in a word. For a paired metric with a corrected p below alpha it is
            "above chance", or "near identity" from a score of 0.9 on; for an unpaired one "apart".
            It is "below chance" or "alike" where the value is significant in the direction that is
            not tested, "too few to test" where no p can fall below alpha, and else "not
            significant".
    """

    observed: Array
    null: Array
    test: PermutationTest
    score: Array
    significant: NDArray[np.bool_]
    opposite_tail: NDArray[np.bool_]
    tail: Tail
    smallest_p: float
    significance: tuple[str, ...]

    @property
    def excess(self) -> Array:
        """How far each value lies beyond the null's mean, in the direction tested."""
        sign = 1 if self.tail == "greater" else -1
        return np.asarray(sign * (self.observed - self.test.null_mean))

    def tested_series(
        self, layers: tuple[int, ...], label: str, alpha: float, name: str = "value"
    ) -> TestedSeries:
        """Return values that are one per layer as the series that is logged and compared.

        Args:
            layers: of the values.
            label: the quantity with its unit, as on an axis.
            alpha: the corrected p below which a layer is significant.
            name: the key in files and in MLflow.
        """
        return TestedSeries.from_test(
            name,
            label,
            layers,
            self.observed,
            self.test,
            score=self.score,
            direction=self.tail,
            alpha=alpha,
            n_permutations=self.null.shape[1],
        )

    def describe_smallest_p(self, alpha: float) -> str:
        """Return a sentence where too few permutations rule out significance, else ""."""
        if self.smallest_p < alpha:
            return ""
        return f" With so few prompts or permutations no p can fall below {self.smallest_p:.2g}."

    def describe_opposite_tail(self, layers: tuple[int, ...], metric: Metric, alpha: float) -> str:
        """Return a sentence on the layers that are significant in the opposite direction, or ""."""
        if not self.opposite_tail.any():
            return ""
        return (
            f" At {describe_layers(layers, self.opposite_tail)} they are "
            f"{'further apart' if metric.paired else 'more alike'} than chance "
            f"(p < {alpha:g}, corrected); the test above does not count this direction."
        )

    def summary(self, first: dict[str, object], label: str) -> "pd.DataFrame":
        """Return the summary table: value, null band, score, corrected p, significance.

        Args:
            first: the columns before these.
            label: the name of the values' column.
        """
        import pandas as pd

        low, high = self.test.null_low, self.test.null_high
        band = [f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True)]
        columns = {
            **first,
            label: self.observed,
            "null (95%)": band,
            "score": self.score,
            "p (corrected)": self.test.p_corrected,
            "significance": self.significance,
        }
        return pd.DataFrame(columns)


def calibrate(
    observed: Array,
    null: Array,
    identity: Array,
    metric: Metric,
    alpha: float,
) -> Calibration:
    """Compare values with their null; all values must use the same permutations.

    A paired metric is tested for values closer than chance, an unpaired one for groups further
    apart than chance.

    Args:
        observed: [value].
        null: [value, permutation].
        identity: the value of a cloud of points with itself, [value].
        metric: the metric that gave the values.
        alpha: the corrected p below which a value is significant.
    """
    tail: Tail = "greater" if metric.paired == metric.larger_is_closer else "less"
    test = permutation_tests.permutation_test(observed, null, tail)
    score = permutation_tests.calibrated_score(observed, null, identity, tail)
    significant = test.p_corrected < alpha
    opposite_test = permutation_tests.permutation_test(
        observed, null, "less" if tail == "greater" else "greater"
    )
    opposite_tail = opposite_test.p_corrected < alpha
    smallest = 1 / (null.shape[1] + 1)
    significance = []
    for passes, opposite, closeness in zip(significant, opposite_tail, score, strict=True):
        if passes and metric.paired:
            significance.append("near identity" if closeness >= NEAR_IDENTITY else "above chance")
        elif passes:
            significance.append("apart")
        elif smallest >= alpha:
            significance.append("too few to test")
        elif opposite:
            significance.append("below chance" if metric.paired else "alike")
        else:
            significance.append("not significant")
    return Calibration(
        observed,
        null,
        test,
        score,
        significant,
        opposite_tail,
        tail,
        smallest,
        tuple(significance),
    )


def describe_score(metric: Metric) -> str:
    """Return what the sign of the score means."""
    return "above 0: closer than chance" if metric.paired else "below 0: further apart than chance"


def describe_layers(layers: tuple[int, ...], which: NDArray[np.bool_]) -> str:
    """Return the layers of a mask in words: "layers 3, 4", "4 of 7 layers", "no layer"."""
    chosen = [layer for layer, is_chosen in zip(layers, which, strict=True) if is_chosen]
    if not chosen:
        return "no layer"
    if len(chosen) == len(layers) > 2:
        return f"all {len(layers)} layers"
    if len(chosen) > 3:
        return f"{len(chosen)} of {len(layers)} layers"
    return f"layer{'s' * (len(chosen) > 1)} {', '.join(map(str, chosen))}"
