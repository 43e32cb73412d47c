"""Which runs share an axis, and what is drawn of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from interp.results.comparison.differences import shared
from interp.results.comparison.records import Curve, RunRecord
from interp.results.primary_series import Over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interp.results.comparison.curves import RunCurve, RunPanel

Label = tuple[str, ...]

# More curves on one axis cannot be told apart, and of fewer the bands lie over one another.
_MOST_CURVES, _MOST_BANDS = 7, 4
# More panels cannot be read; the table of values has every run.
_MOST_PANELS = 48
# Tables of values with units of their own, where there is no common scale.
_MOST_TABLES = 6
# A table of values wider than this is read as curves.
_MOST_COLUMNS = 60

# What the figure of curves over each is called.
_NAMES: dict[Over, str] = {"layer": "curves", "component": "spectra", "epoch": "training"}


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A curve, with the run that it is of and what that is called."""

    record: RunRecord
    label: Label
    curve: Curve


def pictures(
    records: Sequence[RunRecord], labels: Sequence[Label], about: str, count: int
) -> "dict[str, Figure]":
    """Return figures of what runs found, none where they found nothing that can be compared.

    `curves` shows one curve a run over layers, above its null; `spectra` over components,
    `training` over epochs; `calibrated_scores` a table of scores, a row a run and a column a
    layer, or `values` where there are no scores.

    Args:
        records: the runs; those that are not finished are left out.
        labels: what tells each from the others.
        about: what the runs are.
        count: how many there are to be.
    """
    drawn: dict[Over, list[_Drawn]] = {over: [] for over in get_args(Over)}
    for record, label in zip(records, labels, strict=True):
        for curve in record.curves if record.is_finished else ():
            if not curve.is_empty:
                drawn[curve.headline.over].append(_Drawn(record, label, curve))
    found = {_NAMES[over]: _curves(of, over, about, count) for over, of in drawn.items() if of}
    if drawn["layer"]:
        found |= _tables(drawn["layer"], about, count)
    return found


def _curves(drawn: list[_Drawn], over: Over, about: str, count: int) -> "Figure":
    from . import curves

    groups = _by_label(drawn)
    names = _names(groups)
    if _share_axes(groups, names):
        panels = [_shared(of, names) for of in groups.values()]
        remark = ""
    else:
        panels, remark = _apart(groups)
    alphas = sorted({one.curve.headline.alpha for one in drawn})
    alpha = " or ".join(f"{alpha:g}" for alpha in alphas)
    several = {"layer": "layers", "component": "components", "epoch": "epochs"}[over]
    what = next(iter(groups)) if len(groups) == 1 else _question(drawn)
    return curves.runs_over_steps(
        panels,
        title=f"{what[:1].upper()}{what[1:]} over {several} in {_counted(drawn, count)}{remark}",
        subtitle=" · ".join(filter(None, (about, shared([one.record for one in drawn])))),
        xlabel=over,
        significant_label=f"p < {alpha}, corrected over {several}",
        other_label=f"p ≥ {alpha}",
    )


def _by_label(drawn: Sequence[_Drawn]) -> dict[str, list[_Drawn]]:
    groups: dict[str, list[_Drawn]] = {}
    for one in drawn:
        groups.setdefault(one.curve.headline.label, []).append(one)
    return groups


def _names(groups: dict[str, list[_Drawn]]) -> dict[Label, str]:
    """Return what the legend calls each run: its label, but for what its panel tells already."""
    told = [
        {
            i
            for i, part in enumerate(zip(*(one.label for one in of), strict=True))
            if len({*part}) == 1
        }
        for of in groups.values()
    ]
    by_panel = set.intersection(*told) if len(groups) > 1 else set()
    return {
        one.label: " · ".join(part for i, part in enumerate(one.label) if i not in by_panel)
        for of in groups.values()
        for one in of
    }


def _share_axes(groups: dict[str, list[_Drawn]], names: dict[Label, str]) -> bool:
    """Whether so few runs measure the same that they can be told apart on one axis."""
    if len(set(names.values())) > _MOST_CURVES or len(groups) > _MOST_PANELS:
        return False
    for of in groups.values():
        has_bands = any("null_low" in one.curve.beside for one in of)
        if len(of) > (_MOST_BANDS if has_bands else _MOST_CURVES):
            return False
    return True


def _shared(of: list[_Drawn], names: dict[Label, str]) -> "RunPanel":
    """Return a panel of all runs that measure the same."""
    from interp.results.comparison.curves import RunPanel

    first = of[0]
    kept = names[first.label].split(" · ")
    headline = first.curve.headline
    return RunPanel(
        " · ".join(part for part in first.label if part not in kept),
        headline.label,
        [_run_curve(one.curve, names[one.label]) for one in of],
        scale=headline.scale,
    )


def _apart(groups: dict[str, list[_Drawn]]) -> "tuple[list[RunPanel], str]":
    """Return a panel a run, the others behind it, and a remark where not all have one."""
    from interp.results.comparison.curves import RunPanel

    if sum(map(len, groups.values())) > _MOST_PANELS:
        # Of each run its most telling curve.
        drawn = [one for of in groups.values() for one in of]
        ranks = {curve: rank for one in drawn for rank, curve in enumerate(one.record.curves)}
        first: dict[str, _Drawn] = {}
        for one in sorted(drawn, key=lambda one: ranks[one.curve]):
            first.setdefault(one.record.run_id, one)
        groups = _by_label([one for one in drawn if first[one.record.run_id] is one])
    panels = []
    for label, of in groups.items():
        behind = [_run_curve(one.curve, "") for one in of]
        for i, one in enumerate(of):
            panels.append(
                RunPanel(
                    " · ".join(one.label),
                    label,
                    [_run_curve(one.curve, "")],
                    behind[:i] + behind[i + 1 :],
                    one.curve.headline.scale,
                )
            )
    shown = panels[:_MOST_PANELS]
    remark = f" (the first {len(shown)} of {len(panels)})" if len(panels) > len(shown) else ""
    return shown, remark


def _run_curve(curve: Curve, name: str) -> "RunCurve":
    from interp.results.comparison.curves import RunCurve

    mean, low, high = (
        curve.beside.get(key, np.empty(0)) for key in ("null_mean", "null_low", "null_high")
    )
    if not (len(low) and len(high)):
        low = high = np.empty(0)
    tested = "p_corrected" in curve.beside
    significant = curve.significant if tested else np.empty(0, bool)
    return RunCurve(name, curve.steps, curve.values, mean, low, high, significant)


def _tables(drawn: list[_Drawn], about: str, count: int) -> "dict[str, Figure]":
    """Return the table of scores, or of values where no run has a score."""
    from interp import plotting

    none = np.full(1, np.nan)
    scored = [o for o in drawn if not np.isnan(o.curve.beside.get("score", none)).all()]
    if scored:
        panels: dict[str, dict[str, dict[int, float]]] = {}
        for one in scored:
            rows = panels.setdefault(one.record.null, {})
            rows[" · ".join(one.label)] = dict(
                zip(one.curve.steps, one.curve.beside["score"].tolist(), strict=True)
            )
        title = f"Calibrated scores of {_counted(scored, count)}: {about}"
        return {"calibrated_scores": plotting.calibrated_scores(panels, title=title)}
    tables = {
        label: {
            " · ".join(one.label): dict(
                zip(one.curve.steps, one.curve.values.tolist(), strict=True)
            )
            for one in of
        }
        for label, of in list(_by_label(drawn).items())[:_MOST_TABLES]
    }
    columns = {step for rows in tables.values() for row in rows.values() for step in row}
    if len(columns) > _MOST_COLUMNS:
        return {}
    title = f"{_question(drawn).capitalize()}, layer by layer, in {_counted(drawn, count)}: {about}"
    return {"values": plotting.values_of_runs(tables, title=title)}


def _counted(drawn: Sequence[_Drawn], count: int) -> str:
    """Say how many runs are shown, and of how many."""
    n = len({one.record.run_id for one in drawn})
    runs = f"{n} run{'s' * (n != 1)}"
    return runs if n >= count else f"{n} of {count} runs"


def _question(drawn: Sequence[_Drawn]) -> str:
    asked = {one.record.analysis for one in drawn}
    return " and ".join(sorted(asked)).replace("_", " ") or "values"
