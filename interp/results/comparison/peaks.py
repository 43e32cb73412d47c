"""The steps at which runs lie furthest beyond their null."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.comparison.records import RunRecord
from interp.stats.tested_series import TestedSeries

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Peak:
    """The step at which a series lies furthest beyond the mean of its null.

    Attributes:
        series: the series.
        index: the index of the step.
    """

    series: TestedSeries
    index: int

    @property
    def step(self) -> int:
        """The layer, component or epoch."""
        return self.series.steps[self.index]

    @property
    def value(self) -> float:
        """The value there."""
        return float(self.series.values[self.index])

    @property
    def excess(self) -> float:
        """How far the value lies beyond the null's mean, in the direction tested."""
        return float(self.series.excess[self.index])

    def statistic(self, name: str) -> float:
        """Return one of `interp.stats.tested_series.STATISTICS` there; nan where not recorded."""
        values = self.series.statistics.get(name)
        return float("nan") if values is None else float(values[self.index])


def find_peaks(record: RunRecord) -> tuple[Peak, ...]:
    """Return the peak of each tested series of a run that has a value to compare with its null.

    A series with a p but without a null's mean is compared with 0.
    """
    return tuple(
        Peak(series, series.peak)
        for series in record.tested
        if series.is_tested and np.isfinite(series.excess).any()
    )


def are_jobs_of_one_sweep(records: Sequence[RunRecord]) -> bool:
    """Whether runs are jobs of one sweep, so that their numbers distinguish them."""
    return len({r.parent for r in records}) == 1 and all(r.number >= 0 for r in records)


def peak_table(
    records: Sequence[RunRecord], names: Sequence[str], *, most: int | None = None
) -> "pd.DataFrame":
    """Return the peaks of runs, one row per run and series; columns without numbers are left out.

    Args:
        records: the runs.
        names: of the runs.
        most: the largest number of series of a run; all, where it is left out.
    """
    import pandas as pd

    rows = []
    for record, name in zip(records, names, strict=True):
        for peak in find_peaks(record)[:most]:
            numbered = {"": record.number} if are_jobs_of_one_sweep(records) else {}
            rows.append(
                {
                    **numbered,
                    "run": name,
                    "what": peak.series.label,
                    peak.series.axis: peak.step,
                    "value": peak.value,
                    "null mean": peak.statistic("null_mean"),
                    "null low": peak.statistic("null_low"),
                    "null high": peak.statistic("null_high"),
                    "p (corrected)": peak.statistic("p_corrected"),
                    "score": peak.statistic("score"),
                }
            )
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def format_peaks(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table of peaks for a reader: four digits, and the null's band in one column."""
    import pandas as pd

    columns: dict[str, object] = {}
    for name in table:
        if name == "null low":
            band = zip(table[name], table["null high"], strict=True)
            columns["null (95%)"] = [
                "–" if np.isnan(low) else f"{low:.4g} to {high:.4g}" for low, high in band
            ]
        elif name in ("value", "null mean", "score", "p (corrected)"):
            columns[name] = ["–" if np.isnan(x) else f"{x:.4g}" for x in table[name]]
        elif name != "null high":
            columns[str(name)] = table[name]
    return pd.DataFrame(columns)
