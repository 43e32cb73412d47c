"""What several runs were asked and what came out, in Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.results.comparison.peaks import Peak, peak_table, peaks, shown
from interp.results.comparison.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd

# So many quantities are told one by one; of more, what is on one scale.
_MOST_LABELS = 6
# So many rows of a table, and so many findings, are read.
_MOST_ROWS, _MOST_FINDINGS = 60, 12


@dataclass(frozen=True)
class Asked:
    """What was to be compared.

    Attributes:
        about: what the runs are, in a phrase: "a sweep of `metric=cosine,linear_cka`".
        count: how many jobs there are to be; as many as there are runs, where no more are known of.
        missing: the jobs that have not begun, by what tells them from the others.
    """

    about: str
    count: int
    missing: tuple[str, ...] = ()


def described(records: Sequence[RunRecord], names: Sequence[str], asked: Asked) -> str:
    """Say what was swept, how each job ended, and what came out.

    Args:
        records: the runs, in order.
        names: what each is called.
        asked: what was to be compared.
    """
    called = {record.run_id: name for record, name in zip(records, names, strict=True)}
    good = [record for record in records if record.is_finished]
    parts = [f"{_capital(asked.about)}: {_ended(records, asked)}."]
    for heading, status in (
        ("Failed", "FAILED"),
        ("Ended before their time", "KILLED"),
        ("Running, as far as MLflow knows", "RUNNING"),
    ):
        if left := [record for record in records if record.status == status]:
            parts.append(f"**{heading}**\n\n{_reasons(left, called)}")
    if asked.missing:
        parts.append("**Not begun**\n\n" + "\n".join(f"- {job}" for job in asked.missing))
    told = [called[record.run_id] for record in good]
    if said := came_out(good, told):
        lines = [f"- {sentence}" for sentence in said]
        parts.append("**What came out**\n\n" + "\n".join(lines))
    table = peak_table(good, told)
    if len(table):
        rest = len(table) - _MOST_ROWS
        parts.append(
            "Where each run departs from its null by most:\n\n"
            + _markdown(shown(table.head(_MOST_ROWS)))
            + (f"\n\n{rest} more rows stand in tables/peaks.csv." if rest > 0 else "")
        )
    findings = [(name, _first(r.finding)) for name, r in zip(told, good, strict=True) if r.finding]
    if findings and len(findings) <= _MOST_FINDINGS:
        lines = [f"- **{name}**: {finding}" for name, finding in findings]
        parts.append("**In each run's own words**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def shortened(text: str, longest: int) -> str:
    """Return Markdown in at most so many signs, cut between lines, saying where the rest is."""
    if len(text) <= longest:
        return text
    rest = "\n\n… the rest stands in finding.md among the artifacts.\n"
    kept = text[: longest - len(rest)]
    return kept[: max(kept.rfind("\n"), 0)].rstrip() + rest


def _ended(records: Sequence[RunRecord], asked: Asked) -> str:
    counts = {
        status: sum(record.status == status for record in records)
        for status in ("FINISHED", "FAILED", "KILLED", "RUNNING")
    }
    said = [f"{counts['FINISHED']} of {asked.count} finished"]
    for status, words in (("FAILED", "failed"), ("KILLED", "killed"), ("RUNNING", "running")):
        if counts[status]:
            said.append(f"{counts[status]} {words}")
    if left := asked.count - len(records):
        said.append(f"{left} not begun")
    return ", ".join(said)


def _reasons(records: Iterable[RunRecord], called: dict[str, str]) -> str:
    """Return a line for each reason, with all whom it befell."""
    by_reason: dict[str, list[str]] = {}
    for record in records:
        by_reason.setdefault(record.error, []).append(f"**{called[record.run_id]}**")
    return "\n".join(
        f"- {', '.join(who)}{': ' if reason else ''}{reason}" for reason, who in by_reason.items()
    )


def came_out(good: Sequence[RunRecord], names: Sequence[str]) -> list[str]:
    """Say, a sentence each, in how many runs anything differs from chance, where most and least."""
    called = {record.run_id: name for record, name in zip(good, names, strict=True)}
    found = [(called[record.run_id], peak) for record in good for peak in peaks(record)]
    tested = [
        record.curves for record in good if any("p_corrected" in c.beside for c in record.curves)
    ]
    said = []
    if tested:
        passing = sum(any(curve.significant.any() for curve in curves) for curves in tested)
        alphas = sorted({curve.headline.alpha for curves in tested for curve in curves})
        said.append(
            f"In {passing} of {len(tested)} runs something differs from chance (corrected p < "
            f"{' or '.join(f'{alpha:g}' for alpha in alphas)})."
        )
    by_label: dict[str, list[tuple[str, Peak]]] = {}
    for name, peak in found:
        by_label.setdefault(peak.curve.headline.label, []).append((name, peak))
    if len(by_label) <= _MOST_LABELS:
        said += [_most_and_least(label, of) for label, of in by_label.items() if len(of) > 1]
    by_null: dict[str, list[tuple[str, Peak]]] = {}
    for record in good:
        for peak in peaks(record)[:1]:
            if not np.isnan(peak.score):
                by_null.setdefault(record.null, []).append((called[record.run_id], peak))
    if len(by_label) > 1:
        said += [_scores(null, of) for null, of in by_null.items() if len(of) > 1]
    return said


def _most_and_least(label: str, of: Sequence[tuple[str, Peak]]) -> str:
    ordered = sorted(of, key=lambda item: -item[1].beyond)
    (most, high), (least, low) = ordered[0], ordered[-1]
    return (
        f"{_capital(label)} is furthest beyond its null in “{most}” ({_at(high)}), and least far "
        f"in “{least}” ({_at(low)})."
    )


def _scores(null: str, of: Sequence[tuple[str, Peak]]) -> str:
    """Compare what has no unit in common by score."""
    ordered = sorted(of, key=lambda item: -item[1].score)
    (most, high), (least, low) = ordered[0], ordered[-1]
    said = f" ({null})" if null else ""
    return (
        f"On the common scale{said} scores at these places lie between {low.score:.3g} (“{least}”) "
        f"and {high.score:.3g} (“{most}”)."
    )


def _at(peak: Peak) -> str:
    said = f"{peak.curve.headline.over} {peak.step}: {peak.value:.3g}"
    if not np.isnan(peak.null_mean):
        said += f", null {peak.null_mean:.3g}"
    if not np.isnan(peak.null_low):
        said += f" [{peak.null_low:.3g}, {peak.null_high:.3g}]"
    if not np.isnan(peak.p_corrected):
        said += f", corrected p = {peak.p_corrected:.2g}"
    return said


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
