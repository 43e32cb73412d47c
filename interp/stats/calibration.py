"""What a value means beside its null: corrected p, a score on a common scale, and a word."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.metrics import Metric
from interp.results.primary_series import Headline
from interp.results.result import Series
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest, Tail
from interp.stats.tested_series import TestedSeries

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

# Where the score says that little is missing to identity.
NEAR_IDENTITY = 0.9


def check_settings(permutations: int, alpha: float) -> None:
    """Refuse numbers of draws and levels that cannot be.

    Raises:
        ConfigError: no draw, or a level outside of (0, 1).
    """
    if permutations < 1:
        raise ConfigError(f"permutations must be at least 1, not {permutations}")
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha must lie between 0 and 1, not {alpha}")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Values beside their null; every array is [value], one value a layer or a pair of layers.

    Attributes:
        observed: the values.
        null: [value, draw].
        test: p and moments of the null.
        score: 0 at the null's 95th percentile in the direction tested, 1 at identity.
        significant: corrected p below alpha.
        opposite_tail: the same in the direction that is not tested.
        tail: the direction tested.
        smallest_p: the smallest p that so many draws allow.
        verdicts: a word for each value. Of paired metrics: "above chance", and "near identity" from
            a score of 0.9 on, where the corrected p is below alpha; of unpaired ones "apart" there.
            "below chance" and "alike" where it is in the direction that is not tested; "as chance"
            elsewhere, or "too few to tell" where no p can fall below alpha.
    """

    observed: Array
    null: Array
    test: PermutationTest
    score: Array
    significant: NDArray[np.bool_]
    opposite_tail: NDArray[np.bool_]
    tail: Tail
    smallest_p: float
    verdicts: tuple[str, ...]

    @property
    def excess(self) -> Array:
        """How far each value lies beyond the null's mean, in the direction tested."""
        sign = 1 if self.tail == "greater" else -1
        return np.asarray(sign * (self.observed - self.test.null_mean))

    def series(self, layers: tuple[int, ...]) -> dict[str, Series]:
        """Return what is logged of values that are one a layer."""
        test = self.test
        values = {
            "value": self.observed,
            "null_mean": test.null_mean,
            "null_low": test.null_low,
            "null_high": test.null_high,
            "z": test.z,
            "p": test.p,
            "p_corrected": test.p_corrected,
            "score": self.score,
        }
        return {key: Series.over(layers, value) for key, value in values.items()}

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

    def headline(self, label: str, alpha: float) -> Headline:
        """Return what runs with such values are compared by."""
        return Headline("value", label, direction=self.tail, alpha=alpha)

    def describe_smallest_p(self, alpha: float) -> str:
        """Say where so few draws or arrangements rule significance out; "" where they do not."""
        if self.smallest_p < alpha:
            return ""
        return f" With so few prompts or draws no p can fall below {self.smallest_p:.2g}."

    def describe_opposite_tail(self, layers: tuple[int, ...], metric: Metric, alpha: float) -> str:
        """Say at which layers a value passes in the direction not tested; "" where at none."""
        if not self.opposite_tail.any():
            return ""
        return (
            f" At {describe_layers(layers, self.opposite_tail)} they are "
            f"{'further apart' if metric.paired else 'more alike'} than chance "
            f"(p < {alpha:g}, corrected), which the test above does not count."
        )

    def summary(self, first: dict[str, object], label: str) -> "pd.DataFrame":
        """Return the table that a reader wants: value, null band, score, corrected p, a word."""
        import pandas as pd

        low, high = self.test.null_low, self.test.null_high
        band = [f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True)]
        columns = {
            **first,
            label: self.observed,
            "null (95%)": band,
            "score": self.score,
            "p (corrected)": self.test.p_corrected,
            "verdict": self.verdicts,
        }
        return pd.DataFrame(columns)


def calibrate(
    observed: Array,
    null: Array,
    identity: Array,
    metric: Metric,
    alpha: float,
) -> Calibration:
    """Hold values against their null; the same draw must have been used for every value.

    Pairs may be closer than chance, groups may differ more than chance: so a paired metric is
    tested for closeness, an unpaired one for distance.

    Args:
        observed: [value].
        null: [value, draw].
        identity: the value of a cloud with itself, [value].
        metric: what gave the values.
        alpha: the corrected p below which a value counts as significant.
    """
    tail: Tail = "greater" if metric.paired == metric.larger_is_closer else "less"
    test = permutation_tests.permutation_test(observed, null, tail)
    score = permutation_tests.calibrated_score(observed, null, identity, tail)
    significant = test.p_corrected < alpha
    opposite_test = permutation_tests.permutation_test(
        observed, null, "less" if tail == "greater" else "greater"
    )
    beyond = opposite_test.p_corrected < alpha
    smallest = 1 / (null.shape[1] + 1)
    verdicts = []
    for passes, opposite, closeness in zip(significant, beyond, score, strict=True):
        if passes and metric.paired:
            verdicts.append("near identity" if closeness >= NEAR_IDENTITY else "above chance")
        elif passes:
            verdicts.append("apart")
        elif smallest >= alpha:
            verdicts.append("too few to tell")
        elif opposite:
            verdicts.append("below chance" if metric.paired else "alike")
        else:
            verdicts.append("as chance")
    return Calibration(
        observed, null, test, score, significant, beyond, tail, smallest, tuple(verdicts)
    )


def describe_score(metric: Metric) -> str:
    """Say what the sign of the score means."""
    return "above 0: closer than chance" if metric.paired else "below 0: further apart than chance"


def describe_layers(layers: tuple[int, ...], which: NDArray[np.bool_]) -> str:
    """Say which of the layers are meant."""
    chosen = [layer for layer, yes in zip(layers, which, strict=True) if yes]
    if not chosen:
        return "no layer"
    if len(chosen) == len(layers) > 2:
        return f"all {len(layers)} layers"
    if len(chosen) > 3:
        return f"{len(chosen)} of {len(layers)} layers"
    return f"layer{'s' * (len(chosen) > 1)} {', '.join(map(str, chosen))}"
