"""Which runs share an axis in the figures of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from interp.plotting.labels import Labels
from interp.results.comparison.differences import describe_shared
from interp.results.comparison.records import RunRecord
from interp.stats.tested_series import Axis, TestedSeries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interp.results.comparison.figures import RunPanel

Label = tuple[str, ...]

# More curves on one axis cannot be distinguished; with bands, which overlap, even fewer.
_MOST_CURVES, _MOST_BANDS = 7, 4
# More panels cannot be read; the table of peaks has every run.
_MOST_PANELS = 48
# The most quantities of which values are tabulated, where there are no scores.
_MOST_TABLES = 6
# A table of values with more columns cannot be read; the curves show them.
_MOST_COLUMNS = 60

# The names of the figures of curves.
_NAMES: dict[Axis, str] = {"layer": "curves", "component": "spectra", "epoch": "training"}


@dataclass(frozen=True, eq=False)
class _RunSeries:
    """A series with its run and the run's label."""

    record: RunRecord
    label: Label
    series: TestedSeries

    @property
    def name(self) -> str:
        return " · ".join(self.label)


def draw_comparison(
    records: Sequence[RunRecord], labels: Sequence[Label], about: str, count: int
) -> "dict[str, Figure]":
    """Return the figures that compare finished runs; none where no series can be compared.

    `curves` has one curve per run over layers with its null, `spectra` over components, `training`
    over epochs. `calibrated_scores` is a table of scores, with one row per run and one column per
    layer; without scores it is `values`.

    Args:
        records: the runs; those that are not finished are left out.
        labels: of the runs.
        about: the runs in a phrase.
        count: the number of runs, including those that have not begun.
    """
    by_axis: dict[Axis, list[_RunSeries]] = {axis: [] for axis in get_args(Axis)}
    for record, label in zip(records, labels, strict=True):
        for series in record.tested if record.is_finished else ():
            if np.isfinite(series.values).any():
                by_axis[series.axis].append(_RunSeries(record, label, series))
    drawn = {_NAMES[axis]: _curves(of, axis, about, count) for axis, of in by_axis.items() if of}
    if by_axis["layer"]:
        drawn |= _tables(by_axis["layer"], about, count)
    return drawn


def _curves(shown: list[_RunSeries], axis: Axis, about: str, count: int) -> "Figure":
    from interp.results.comparison import figures

    groups = _by_label(shown)
    names = _legend_names(groups)
    if _share_axes(groups, names):
        panels, remark = [_common_panel(of, names) for of in groups.values()], ""
    else:
        panels, remark = _own_panels(groups)
    alpha = " or ".join(f"{alpha:g}" for alpha in sorted({one.series.alpha for one in shown}))
    what = next(iter(groups)) if len(groups) == 1 else _questions(shown)
    shared = describe_shared([one.record for one in shown])
    return figures.draw_runs(
        panels,
        Labels(
            f"{what[:1].upper()}{what[1:]} over {axis}s in {_count(shown, count)}{remark}",
            " · ".join(filter(None, (about, shared))),
            axis,
        ),
        significant_label=f"p < {alpha}, corrected over {axis}s",
        other_label=f"p ≥ {alpha}",
    )


def _by_label(shown: Sequence[_RunSeries]) -> dict[str, list[_RunSeries]]:
    groups: dict[str, list[_RunSeries]] = {}
    for one in shown:
        groups.setdefault(one.series.label, []).append(one)
    return groups


def _legend_names(groups: dict[str, list[_RunSeries]]) -> dict[Label, str]:
    """Return each run's name in the legend: its label without the parts that its panel shows."""
    constant_parts = [
        {
            i
            for i, part in enumerate(zip(*(one.label for one in of), strict=True))
            if len({*part}) == 1
        }
        for of in groups.values()
    ]
    by_panel = set.intersection(*constant_parts) if len(groups) > 1 else set()
    return {
        one.label: " · ".join(part for i, part in enumerate(one.label) if i not in by_panel)
        for of in groups.values()
        for one in of
    }


def _share_axes(groups: dict[str, list[_RunSeries]], names: dict[Label, str]) -> bool:
    """Whether so few runs measure the same quantity that one axis can show them."""
    if len(set(names.values())) > _MOST_CURVES or len(groups) > _MOST_PANELS:
        return False
    for of in groups.values():
        has_bands = any(one.series.null_low is not None for one in of)
        if len(of) > (_MOST_BANDS if has_bands else _MOST_CURVES):
            return False
    return True


def _common_panel(of: list[_RunSeries], names: dict[Label, str]) -> "RunPanel":
    """Return one panel for all runs that measure the same quantity."""
    from interp.results.comparison.figures import RunCurve, RunPanel

    kept = names[of[0].label].split(" · ")
    title = " · ".join(part for part in of[0].label if part not in kept)
    return RunPanel(title, [RunCurve(names[one.label], one.series) for one in of])


def _own_panels(groups: dict[str, list[_RunSeries]]) -> "tuple[list[RunPanel], str]":
    """Return one panel per run with the others behind it, and a remark on runs without a panel."""
    from interp.results.comparison.figures import RunCurve, RunPanel

    if sum(map(len, groups.values())) > _MOST_PANELS:
        groups = _primary_only(groups)
    panels = []
    for of in groups.values():
        for shown in of:
            behind = [one.series for one in of if one is not shown]
            panels.append(RunPanel(shown.name, [RunCurve("", shown.series)], behind))
    kept = panels[:_MOST_PANELS]
    remark = f" (the first {len(kept)} of {len(panels)})" if len(panels) > len(kept) else ""
    return kept, remark


def _primary_only(groups: dict[str, list[_RunSeries]]) -> dict[str, list[_RunSeries]]:
    """Keep the first series of each run."""
    shown = [one for of in groups.values() for one in of]
    ranks = {series: rank for one in shown for rank, series in enumerate(one.record.tested)}
    first: dict[str, _RunSeries] = {}
    for one in sorted(shown, key=lambda one: ranks[one.series]):
        first.setdefault(one.record.run_id, one)
    return _by_label([one for one in shown if first[one.record.run_id] is one])


def _tables(shown: list[_RunSeries], about: str, count: int) -> "dict[str, Figure]":
    """Return the table of scores, or of values where no run has a score."""
    from interp.results.comparison import figures

    by_null: dict[str, dict[str, dict[int, float]]] = {}
    scored = []
    for one in shown:
        if one.series.score is not None and np.isfinite(one.series.score).any():
            scored.append(one)
            rows = by_null.setdefault(one.record.null, {})
            rows[one.name] = dict(zip(one.series.steps, one.series.score.tolist(), strict=True))
    if scored:
        title = f"Calibrated scores of {_count(scored, count)}: {about}"
        return {"calibrated_scores": figures.draw_calibrated_scores(by_null, title)}
    tables = {
        label: {
            one.name: dict(zip(one.series.steps, one.series.values.tolist(), strict=True))
            for one in of
        }
        for label, of in list(_by_label(shown).items())[:_MOST_TABLES]
    }
    columns = {step for rows in tables.values() for row in rows.values() for step in row}
    if len(columns) > _MOST_COLUMNS:
        return {}
    title = f"{_questions(shown).capitalize()} at each layer in {_count(shown, count)}: {about}"
    return {"values": figures.draw_values(tables, title)}


def _count(shown: Sequence[_RunSeries], count: int) -> str:
    """Return how many runs are shown, and of how many."""
    n = len({one.record.run_id for one in shown})
    runs = f"{n} run{'s' * (n != 1)}"
    return runs if n >= count else f"{n} of {count} runs"


def _questions(shown: Sequence[_RunSeries]) -> str:
    analyses = {one.record.analysis for one in shown}
    return " and ".join(sorted(analyses)).replace("_", " ") or "values"
