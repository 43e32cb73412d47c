"""Rows of the table: what was measured in each round, the bar that it is held against."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

_COLUMNS = (
    *("benchmark", "what", "median", "range", "rounds", "bar", "met"),
    *("peak memory", "differs by", "remark"),
)


@dataclass(frozen=True)
class Bar:
    """What a median is to stay below or above, the value itself allowed."""

    side: Literal["at most", "at least"]
    value: float

    def is_met_by(self, median: float) -> bool:
        """Whether the median is on the right side."""
        return median <= self.value if self.side == "at most" else median >= self.value

    def __str__(self) -> str:
        return f"{self.side} {self.value:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        benchmark: what it belongs to: the model and its prompts.
        name: what was measured.
        values: a value a round: a ratio, or a number of `unit`; empty where it could not be run,
            which `remark` then explains.
        unit: "" for a ratio.
        bar: what the median is held against, where there is a bar.
        memory: the peak of memory beyond what was there before, relative to the same reference, a
            value a round; empty where it was not measured.
        difference: the largest absolute difference between what was read and what plain forward
            hooks read, relative to the largest absolute value; None where nothing is compared.
        remark: what 1.00 is, how it was run, or why it was not.
    """

    benchmark: str
    name: str
    values: tuple[float, ...] = ()
    unit: str = ""
    bar: Bar | None = None
    memory: tuple[float, ...] = ()
    difference: float | None = None
    remark: str = ""

    @property
    def median(self) -> float:
        """The median of the rounds; a StatisticsError where there are none."""
        return statistics.median(self.values)

    def is_met(self) -> bool | None:
        """Whether the bar is met; None where there is no bar, or nothing could be measured."""
        return self.bar.is_met_by(self.median) if self.bar and self.values else None

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON keeps it: its fields, its statistics, and every round."""
        told: dict[str, Any] = {"median": None, "low": None, "high": None, "memory_median": None}
        if self.values:
            told |= {"median": self.median, "low": min(self.values), "high": max(self.values)}
        if self.memory:
            told["memory_median"] = statistics.median(self.memory)
        return {**asdict(self), **told, "met": self.is_met()}

    def cells(self) -> dict[str, str]:
        """Return the row as the Markdown table shows it."""
        cells = dict.fromkeys(_COLUMNS, "")
        cells |= {"benchmark": self.benchmark, "what": self.name, "remark": self.remark}
        if self.values:
            unit = f" {self.unit}" if self.unit else ""
            cells["median"] = f"{number(self.median)}{unit}"
            cells["range"] = f"{number(min(self.values))} to {number(max(self.values))}"
            cells["rounds"] = str(len(self.values))
        else:
            cells["median"] = "not run"
        if self.bar:
            cells["bar"] = str(self.bar)
            cells["met"] = {True: "yes", False: "no", None: "not run"}[self.is_met()]
        if self.memory:
            cells["peak memory"] = number(statistics.median(self.memory))
        if self.difference is not None:
            cells["differs by"] = f"{self.difference:.1e}"
        return cells


def ratios(over: Sequence[float], under: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio of each round; both must have been measured in the same rounds."""
    return tuple(a / b for a, b in zip(over, under, strict=True))


def number(value: float) -> str:
    """Return a number with three significant digits, or two decimals below a hundred."""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def markdown(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of all sections, with what each was measured on.

    Args:
        sections: by name, the `environment` of the section's last run and its `rows`, as
            `Row.as_json` gives them.
    """
    lines = [
        "# Benchmarks",
        "",
        "`make bench` writes this file. A ratio is of time, the median of interleaved runs in "
        "fresh processes and their range; peak memory is the same ratio of the peak beyond the "
        "loaded model; the difference is that to what plain forward hooks read, relative to the "
        "largest value.",
        "",
        _line(_COLUMNS),
        _line(["---"] * len(_COLUMNS)),
    ]
    for section in sections.values():
        for row in map(_row, section["rows"]):
            cells = row.cells()
            lines.append(_line([cells[column] for column in _COLUMNS]))
    lines.append("")
    for names, environment in _environments(sections):
        said = ", ".join(f"{key} {value}" for key, value in environment.items())
        lines += [f"Measured on ({', '.join(names)}): {said}.", ""]
    return "\n".join(lines)


def _environments(
    sections: Mapping[str, Mapping[str, Any]],
) -> Iterable[tuple[list[str], dict[str, Any]]]:
    """Return each environment once, with the sections that were run in it."""
    named: dict[str, list[str]] = {}
    for name, section in sections.items():
        named.setdefault(json.dumps(section["environment"]), []).append(name)
    return [(names, json.loads(environment)) for environment, names in named.items()]


def _row(told: Mapping[str, Any]) -> Row:
    known = {name: told[name] for name in Row.__dataclass_fields__}
    for name in ("values", "memory"):
        known[name] = tuple(known[name])
    return Row(**{**known, "bar": Bar(**told["bar"]) if told["bar"] else None})


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
