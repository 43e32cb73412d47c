"""A run as its record tells it: what it was asked, how it ended, and the curves it left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from interp.results.primary_series import Headline

Array = NDArray[np.float64]

# MLflow gives infinity back as 1.8e308, and a logarithmic axis has marks far beyond the last value.
_LARGEST = 1e200


@dataclass(frozen=True, eq=False)
class Curve:
    """One headline of a run.

    Attributes:
        headline: what it is.
        steps: layers, components or epochs, ascending.
        values: [step]; nan where there was no number, or none that can be drawn.
        beside: of `interp.results.primary_series.BESIDE` what was recorded, [step] each; nan where a step has
            none.
    """

    headline: Headline
    steps: tuple[int, ...]
    values: Array
    beside: Mapping[str, Array]

    @classmethod
    def of(
        cls,
        headline: Headline,
        values: Mapping[int, float],
        beside: Mapping[str, Mapping[int, float]],
    ) -> "Curve":
        """Build it of values by step; what is infinite, or as good as that, becomes nan."""
        steps = tuple(sorted(values))
        return cls(
            headline,
            steps,
            _finite([values[step] for step in steps]),
            {
                name: _finite([known.get(step, np.nan) for step in steps])
                for name, known in beside.items()
                if known
            },
        )

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Where the corrected p is below alpha, [step]; nowhere, where there is no p."""
        p = self.beside.get("p_corrected", np.full(len(self.steps), np.nan))
        return np.asarray(p < self.headline.alpha)

    @property
    def is_empty(self) -> bool:
        """Whether it has no value at all."""
        return bool(np.isnan(self.values).all())

    @property
    def is_tested(self) -> bool:
        """Whether its values are held against anything."""
        return bool({"null_mean", "p_corrected"} & set(self.beside))


@dataclass(frozen=True, eq=False)
class RunRecord:
    """A run, finished or not.

    Attributes:
        run_id: as MLflow numbers it.
        parent: the sweep that it is a job of; "" where it is of none.
        number: which job of its sweep; -1 where it is of none.
        name: what it is called.
        status: FINISHED, FAILED, KILLED or RUNNING.
        error: why it did not finish, in a line.
        finding: what it found, in a sentence or two.
        null: what its scores are calibrated against.
        analysis: the question; "" of a run that could not begin.
        model: the model's title.
        prompts: the names of their groups.
        site: where it read; "" where it read nothing.
        params: the whole configuration, flattened.
        scalars: single numbers that it found.
        curves: its headlines, the most telling first; none where it is not finished.
    """

    run_id: str
    parent: str
    number: int
    name: str
    status: str
    error: str = ""
    finding: str = ""
    null: str = ""
    analysis: str = ""
    model: str = ""
    prompts: str = ""
    site: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether it found what it was to find."""
        return self.status == "FINISHED"


def _finite(values: Sequence[float]) -> Array:
    found = np.array(values, float)
    return np.where(np.abs(found) <= _LARGEST, found, np.nan)
