"""Benchmark 6: metrics and nulls against the plain way, as `benchmarks.similarity` has it."""

from collections.abc import Iterator

from benchmarks.process import Failed, fresh
from benchmarks.table import Bar, Row

_TITLE = "metrics against the plain way, times faster"


def bar(name: str) -> Bar | None:
    """Return the bar of a row: only SVCCA over all layer pairs has one."""
    if "svcca" not in name.lower():
        return None
    return Bar("at least", 10 if "4096" in name.replace(",", "") else 20)


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield a row for each comparison; the script decides on its own rounds and sizes."""
    if small:
        yield Row(_TITLE, "all of them", remark="left out of a cut-down run")
        return
    try:
        found = fresh("benchmarks.metrics:measured")
    except Failed as failed:
        yield Row(_TITLE, "all of them", remark=f"failed: {failed}")
        return
    for name, values in found.items():
        yield Row(_TITLE, name, tuple(values), bar=bar(name), remark="1.00: interp")


def measured() -> dict[str, list[float]]:
    """Return the ratios of each comparison; called in a process of its own."""
    from benchmarks.similarity import measure

    return measure()
