"""A quantity at each layer with its null, its test and its interval, in one typed record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.stats.permutation_tests import PermutationTest

Array = NDArray[np.float64]

# What the steps of a series count.
Axis = Literal["layer", "component", "epoch"]
# The departure from the null that the test looks for.
Direction = Literal["greater", "less", "two-sided"]
Scale = Literal["linear", "log"]

# The statistics that a step may have besides its value, in the order of tables and of MLflow.
STATISTICS = (
    "null_mean",
    "null_low",
    "null_high",
    "z",
    "p",
    "p_corrected",
    "score",
    "interval_low",
    "interval_high",
)


@dataclass(frozen=True, eq=False)
class TestedSeries:
    """A quantity at each step, with what a reader needs to judge it.

    Every array is float64 [step]; nan where the quantity is undefined, with the reason in
    `undefined`. A statistic that was not computed is None.

    Attributes:
        name: the key in files and in MLflow: "silhouette".
        label: the quantity with its unit, as on an axis; series whose labels differ share no axis.
        steps: layer, component or epoch numbers, ascending.
        values: the quantity.
        null_mean: the mean of its null distribution.
        null_low: the null's 2.5th percentile.
        null_high: the null's 97.5th percentile.
        z: (value - null mean) / null standard deviation.
        p: the p-value of each step alone.
        p_corrected: the p-value corrected for all steps that were tested.
        score: the value on a common scale: 0 at the null's 95th percentile, 1 at identity.
        interval_low: the lower end of a confidence interval of the value.
        interval_high: its upper end.
        direction: the departure from the null that the test looks for.
        alpha: the corrected p below which a step is significant.
        axis: what the steps count.
        scale: the scale of the quantity's axis.
        n_permutations: how many permutations made the null; 0 where it has another source.
        undefined: the reason for each step whose value is undefined.
    """

    __test__ = False  # pytest collects classes whose names begin with "Test"

    name: str
    label: str
    steps: tuple[int, ...]
    values: Array
    null_mean: Array | None = None
    null_low: Array | None = None
    null_high: Array | None = None
    z: Array | None = None
    p: Array | None = None
    p_corrected: Array | None = None
    score: Array | None = None
    interval_low: Array | None = None
    interval_high: Array | None = None
    direction: Direction = "two-sided"
    alpha: float = 0.05
    axis: Axis = "layer"
    scale: Scale = "linear"
    n_permutations: int = 0
    undefined: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in (("direction", Direction), ("axis", Axis), ("scale", Scale)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {get_args(allowed)}")
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"the steps of {self.name} must ascend, not {self.steps}")
        object.__setattr__(self, "steps", tuple(int(step) for step in self.steps))
        for name in ("values", *STATISTICS):
            given = getattr(self, name)
            if given is None:
                continue
            array = np.asarray(given, dtype=np.float64)
            if array.shape != (len(self.steps),):
                raise ValueError(
                    f"{name} of {self.name} must be [{len(self.steps)}], not {array.shape}"
                )
            object.__setattr__(self, name, array)
        for step, value in zip(self.steps, self.values, strict=True):
            if not np.isfinite(value) and step not in self.undefined:
                raise ValueError(f"{self.name} is {value} at {self.axis} {step}, for no reason")

    @classmethod
    def from_test(
        cls,
        name: str,
        label: str,
        steps: Sequence[int],
        values: ArrayLike,
        test: PermutationTest,
        **fields: Any,
    ) -> "TestedSeries":
        """Build a series from a permutation test; `fields` are further attributes."""
        return cls(
            name,
            label,
            tuple(steps),
            np.asarray(values, np.float64),
            null_mean=test.null_mean,
            null_low=test.null_low,
            null_high=test.null_high,
            z=test.z,
            p=test.p,
            p_corrected=test.p_corrected,
            **fields,
        )

    @property
    def statistics(self) -> dict[str, Array]:
        """The statistics that were computed, by the names of their fields."""
        known = {name: getattr(self, name) for name in STATISTICS}
        return {name: array for name, array in known.items() if array is not None}

    @property
    def metrics(self) -> dict[str, Array]:
        """The value and its statistics under their MLflow names, as "layer/silhouette_p"."""
        own = {f"{self.axis}/{self.name}": self.values}
        return own | {self.metric_key(name): array for name, array in self.statistics.items()}

    def metric_key(self, statistic: str) -> str:
        """Return the MLflow name of one of `STATISTICS`."""
        return f"{self.axis}/{self.name}_{statistic}"

    @property
    def is_tested(self) -> bool:
        """Whether its values are compared with anything."""
        return self.null_mean is not None or self.p_corrected is not None

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Where the corrected p is below alpha, [step]; nowhere, where there is no p."""
        if self.p_corrected is None:
            return np.zeros(len(self.steps), bool)
        return np.asarray(self.p_corrected < self.alpha)

    @property
    def excess(self) -> Array:
        """How far the value lies beyond the null's mean in the direction tested, [step].

        A series without a null is compared with 0.
        """
        difference = self.values - (0.0 if self.null_mean is None else self.null_mean)
        if self.direction == "two-sided":
            return np.asarray(np.abs(difference))
        return np.asarray(-difference if self.direction == "less" else difference)

    @property
    def peak(self) -> int:
        """The index of the step with the largest excess.

        Raises:
            ValueError: no step has a value.
        """
        return int(np.nanargmax(self.excess))

    def specification(self) -> dict[str, Any]:
        """Return, as JSON can hold it, all but the numbers; `from_metrics` takes it back."""
        reasons: dict[str, list[int]] = {}
        for step, reason in self.undefined.items():
            reasons.setdefault(reason, []).append(step)
        return {
            "name": self.name,
            "label": self.label,
            "statistics": list(self.statistics),
            "direction": self.direction,
            "alpha": self.alpha,
            "axis": self.axis,
            "scale": self.scale,
            "n_permutations": self.n_permutations,
            "undefined": reasons,
        }

    @classmethod
    def from_metrics(
        cls, specification: Mapping[str, Any], metrics: Mapping[str, Mapping[int, float]]
    ) -> "TestedSeries":
        """Build a series from its specification and its numbers by MLflow name and step.

        A step without a number is undefined.

        Args:
            specification: what `specification` returned.
            metrics: for each MLflow name the value at each step.
        """
        fields = dict(specification)
        names = fields.pop("statistics")
        undefined = {step: reason for reason, of in fields.pop("undefined").items() for step in of}
        own = f"{fields['axis']}/{fields['name']}"
        found = metrics.get(own, {})
        steps = tuple(sorted({*found, *undefined}))
        numbers: dict[str, Any] = {
            name: np.array([metrics.get(f"{own}_{name}", {}).get(s, np.nan) for s in steps])
            for name in names
        }
        values = np.array([found.get(step, np.nan) for step in steps])
        for step, value in zip(steps, values, strict=True):
            if not np.isfinite(value):
                undefined.setdefault(step, "no number was recorded")
        return cls(steps=steps, values=values, undefined=undefined, **numbers, **fields)
