"""A run as MLflow records it: its configuration, how it ended, and its tested series."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interp.stats.tested_series import TestedSeries

# MLflow returns infinity as 1.8e308, and a logarithmic axis has marks far beyond the last value.
_LARGEST = 1e200


@dataclass(frozen=True, eq=False)
class RunRecord:
    """A run, finished or not.

    Attributes:
        run_id: its id in MLflow.
        parent: the sweep that it is a job of; "" where it is of none.
        number: its number in the sweep; -1 where it is of none.
        name: its name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        error: in one line, why it did not finish.
        finding: its result in a sentence or two.
        null: what its scores are calibrated against.
        analysis: the question; "" of a run that could not start.
        model: the model's title.
        prompts: the names of the prompts' groups.
        site: the hook; "" where nothing was read.
        params: the whole configuration, flattened.
        scalars: its single numbers.
        tested: its tested series, the primary one first; none where it is not finished.
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
    tested: tuple[TestedSeries, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether it has a result."""
        return self.status == "FINISHED"


def finite_series(
    specification: Mapping[str, Any], metrics: Mapping[str, Mapping[int, float]]
) -> TestedSeries:
    """Build a series from what MLflow recorded, without numbers that no axis can show.

    A value that is infinite becomes undefined. A statistic without any finite number is left out.

    Args:
        specification: from `TestedSeries.specification`.
        metrics: for each MLflow name the value at each step.
    """
    finite = {
        key: {step: x if abs(x) <= _LARGEST else math.nan for step, x in numbers.items()}
        for key, numbers in metrics.items()
    }
    own = f"{specification['axis']}/{specification['name']}"
    statistics = [
        name
        for name in specification["statistics"]
        if any(map(math.isfinite, finite.get(f"{own}_{name}", {}).values()))
    ]
    return TestedSeries.from_metrics({**specification, "statistics": statistics}, finite)
