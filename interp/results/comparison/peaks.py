"""Where each run departs from its null by most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.comparison.records import Array, Curve, RunRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Peak:
    """Where a curve departs from the mean of its null by most, in the direction that is tested.

    Numbers that were not recorded are nan.

    Attributes:
        curve: the curve.
        step: the layer, component or epoch.
        value: what it is there.
        null_mean, null_low, null_high: the null there, and where 95% of it lie.
        p_corrected: the corrected p there.
        score: the calibrated score there.
    """

    curve: Curve
    step: int
    value: float
    null_mean: float
    null_low: float
    null_high: float
    p_corrected: float
    score: float

    @property
    def beyond(self) -> float:
        """How far the value lies beyond the null's mean, in the direction that is tested."""
        return float(_beyond(self.curve)[self.curve.steps.index(self.step)])


def peaks(record: RunRecord) -> tuple[Peak, ...]:
    """Return the peak of each of a run's curves that is held against a null.

    A difference whose null's mean is not recorded is held against 0. A curve without any value to
    hold against its null has no peak.
    """
    return tuple(
        _peak(curve)
        for curve in record.curves
        if curve.is_tested and not np.isnan(_beyond(curve)).all()
    )


def _beyond(curve: Curve) -> Array:
    mean = curve.beside.get("null_mean", np.zeros(1))
    beyond = curve.values - (np.zeros(1) if np.isnan(mean).all() else mean)
    if curve.headline.direction == "both":
        return np.asarray(np.abs(beyond))
    return np.asarray(-beyond if curve.headline.direction == "less" else beyond)


def _peak(curve: Curve) -> Peak:
    at = int(np.nanargmax(_beyond(curve)))

    def there(name: str) -> float:
        return float(curve.beside[name][at]) if name in curve.beside else np.nan

    return Peak(
        curve,
        curve.steps[at],
        float(curve.values[at]),
        there("null_mean"),
        there("null_low"),
        there("null_high"),
        there("p_corrected"),
        there("score"),
    )


def are_jobs_of_one(records: Sequence[RunRecord]) -> bool:
    """Whether runs are jobs of one sweep, so that their numbers tell them apart."""
    return len({r.parent for r in records}) == 1 and all(r.number >= 0 for r in records)


def peak_table(
    records: Sequence[RunRecord], names: Sequence[str], *, most: int | None = None
) -> "pd.DataFrame":
    """Return the peaks of runs, a row a run and curve; what no run has recorded has no column.

    Args:
        records: the runs.
        names: what each is called.
        most: of each run only so many curves.
    """
    import pandas as pd

    rows = []
    for record, name in zip(records, names, strict=True):
        for peak in peaks(record)[:most]:
            headline = peak.curve.headline
            numbered = {"": record.number} if are_jobs_of_one(records) else {}
            rows.append(
                {
                    **numbered,
                    "run": name,
                    "what": headline.label,
                    headline.over: peak.step,
                    "value": peak.value,
                    "null mean": peak.null_mean,
                    "null low": peak.null_low,
                    "null high": peak.null_high,
                    "p (corrected)": peak.p_corrected,
                    "score": peak.score,
                }
            )
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table of peaks as one reads it: four digits, and the null's band in one column."""
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
