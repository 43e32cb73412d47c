"""The comparison of several runs in Markdown: how they ended, and their results."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.comparison.peaks import Peak, find_peaks, format_peaks, peak_table
from interp.results.comparison.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd

# Up to this number of quantities each has a sentence; more are compared by score alone.
_MOST_LABELS = 6
# The most rows of a table, and the most findings, that are printed.
_MOST_ROWS, _MOST_FINDINGS = 60, 12


@dataclass(frozen=True)
class Scope:
    """The runs that a comparison is to cover.

    Attributes:
        about: the runs in a phrase: "a sweep of `metric=cosine,linear_cka`".
        count: the number of jobs, including those that have not begun.
        missing: the names of the jobs that have not begun.
    """

    about: str
    count: int
    missing: tuple[str, ...] = ()


def describe_runs(records: Sequence[RunRecord], names: Sequence[str], scope: Scope) -> str:
    """Describe what was swept, how each job ended, and the results.

    Args:
        records: the runs, in order.
        names: of the runs.
        scope: the runs that the comparison is to cover.
    """
    called = {record.run_id: name for record, name in zip(records, names, strict=True)}
    good = [record for record in records if record.is_finished]
    parts = [f"{_capital(scope.about)}: {_count_ends(records, scope)}."]
    for heading, status in (
        ("Failed", "FAILED"),
        ("Killed", "KILLED"),
        ("Running, according to MLflow", "RUNNING"),
    ):
        if left := [record for record in records if record.status == status]:
            parts.append(f"**{heading}**\n\n{_reasons(left, called)}")
    if scope.missing:
        parts.append("**Not begun**\n\n" + "\n".join(f"- {job}" for job in scope.missing))
    good_names = [called[record.run_id] for record in good]
    if sentences := summarise(good, good_names):
        lines = [f"- {sentence}" for sentence in sentences]
        parts.append("**Results**\n\n" + "\n".join(lines))
    table = peak_table(good, good_names)
    if len(table):
        rest = len(table) - _MOST_ROWS
        parts.append(
            "Where each run lies furthest beyond its null:\n\n"
            + _markdown(format_peaks(table.head(_MOST_ROWS)))
            + (f"\n\ntables/peaks.csv has {rest} more rows." if rest > 0 else "")
        )
    findings = [
        (name, _first(r.finding)) for name, r in zip(good_names, good, strict=True) if r.finding
    ]
    if findings and len(findings) <= _MOST_FINDINGS:
        lines = [f"- **{name}**: {finding}" for name, finding in findings]
        parts.append("**Findings of each run**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def shorten(text: str, longest: int) -> str:
    """Return Markdown of at most `longest` characters, cut between lines."""
    if len(text) <= longest:
        return text
    rest = "\n\n… finding.md among the artifacts has the rest.\n"
    kept = text[: longest - len(rest)]
    return kept[: max(kept.rfind("\n"), 0)].rstrip() + rest


def _count_ends(records: Sequence[RunRecord], scope: Scope) -> str:
    counts = {
        status: sum(record.status == status for record in records)
        for status in ("FINISHED", "FAILED", "KILLED", "RUNNING")
    }
    parts = [f"{counts['FINISHED']} of {scope.count} finished"]
    for status, words in (("FAILED", "failed"), ("KILLED", "killed"), ("RUNNING", "running")):
        if counts[status]:
            parts.append(f"{counts[status]} {words}")
    if left := scope.count - len(records):
        parts.append(f"{left} not begun")
    return ", ".join(parts)


def _reasons(records: Iterable[RunRecord], called: dict[str, str]) -> str:
    """Return one line per reason, with the runs that failed for it."""
    by_reason: dict[str, list[str]] = {}
    for record in records:
        by_reason.setdefault(record.error, []).append(f"**{called[record.run_id]}**")
    return "\n".join(
        f"- {', '.join(who)}{': ' if reason else ''}{reason}" for reason, who in by_reason.items()
    )


def summarise(good: Sequence[RunRecord], names: Sequence[str]) -> list[str]:
    """Return sentences on how many runs differ from chance, and where most and least.

    Args:
        good: runs that are finished.
        names: of the runs.
    """
    by_name = {record.run_id: name for record, name in zip(good, names, strict=True)}
    with_p = [
        record.tested
        for record in good
        if any(series.p_corrected is not None for series in record.tested)
    ]
    sentences = []
    if with_p:
        passing = sum(any(series.significant.any() for series in of) for of in with_p)
        alphas = sorted({series.alpha for of in with_p for series in of})
        sentences.append(
            f"In {passing} of {len(with_p)} runs something differs from chance (corrected p < "
            f"{' or '.join(f'{alpha:g}' for alpha in alphas)})."
        )
    by_label: dict[str, list[tuple[str, Peak]]] = {}
    by_null: dict[str, list[tuple[str, Peak]]] = {}
    for record in good:
        name, peaks = by_name[record.run_id], find_peaks(record)
        for peak in peaks:
            by_label.setdefault(peak.series.label, []).append((name, peak))
        for peak in peaks[:1]:
            if not np.isnan(peak.statistic("score")):
                by_null.setdefault(record.null, []).append((name, peak))
    if len(by_label) <= _MOST_LABELS:
        sentences += [_most_and_least(label, of) for label, of in by_label.items() if len(of) > 1]
    if len(by_label) > 1:
        sentences += [_range_of_scores(null, of) for null, of in by_null.items() if len(of) > 1]
    return sentences


def _most_and_least(label: str, of: Sequence[tuple[str, Peak]]) -> str:
    ordered = sorted(of, key=lambda item: -item[1].excess)
    (most, high), (least, low) = ordered[0], ordered[-1]
    return (
        f"{_capital(label)} is furthest beyond its null in “{most}” ({_describe(high)}), and least "
        f"far in “{least}” ({_describe(low)})."
    )


def _range_of_scores(null: str, of: Sequence[tuple[str, Peak]]) -> str:
    """Compare quantities of different units by their scores."""
    ordered = sorted(((peak.statistic("score"), name) for name, peak in of), reverse=True)
    (highest, most), (lowest, least) = ordered[0], ordered[-1]
    return (
        f"On the common scale{f' ({null})' if null else ''} scores at these places lie between "
        f"{lowest:.3g} (“{least}”) and {highest:.3g} (“{most}”)."
    )


def _describe(peak: Peak) -> str:
    mean, low, high, p = map(peak.statistic, ("null_mean", "null_low", "null_high", "p_corrected"))
    text = f"{peak.series.axis} {peak.step}: {peak.value:.3g}"
    if not np.isnan(mean):
        text += f", null {mean:.3g}"
    if not np.isnan(low):
        text += f" [{low:.3g}, {high:.3g}]"
    if not np.isnan(p):
        text += f", corrected p = {p:.2g}"
    return text


def _markdown(table: "pd.DataFrame") -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def _first(finding: str) -> str:
    """Return the first sentence of a finding."""
    line = finding.strip().partition("\n")[0]
    return line.partition(". ")[0].removesuffix(".") + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
