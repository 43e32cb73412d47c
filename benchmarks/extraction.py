"""Benchmark 1: all residual layers at one target token."""

import statistics
from collections.abc import Iterator

from benchmarks.comparison import Compared, compare
from benchmarks.table import Bar, Row
from benchmarks.ways import BATCH_SIZE, SMALLER
from benchmarks.workloads import workload

BARE, OURS, LENS = "bare", "ours, every block", "TransformerLens, residual"
_SMALLER = "bare, smaller batches"
_HOOKS = "hooks on every block"
_WAYS = {
    BARE: "bare forward, padded",
    _SMALLER: f"bare forward, padded, batches of {SMALLER}",
    "output_hidden_states": "output_hidden_states, padded",
    LENS: "TransformerLens run_with_cache, names filter",
    "nnsight": "nnsight trace",
    OURS: "interp",
}
_REMARKS = {
    BARE: "1.00: the Hugging Face model without its head, {batch} prompts a pass in the given "
    "order, as in all that pad; {seconds:.2f} s",
    _SMALLER: "less to hold in memory, and a little less padding",
    "output_hidden_states": "a causal model's last one is after the final norm",
    LENS: "its bridge runs the head too",
    "nnsight": "the model without its head",
    OURS: "from texts: tokenisation and planning are part of it",
}
# Of the bare forward at most; and how many times slower TransformerLens is at least.
_BARS = {"short": (0.45, 3.0), "long": (0.30, 5.0), "encoder": (0.75, 3.0)}


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield the rows of the three workloads."""
    for on in _BARS:
        references = {way: _HOOKS for way in _WAYS if way not in (BARE, _SMALLER)}
        found = compare(on, list(_WAYS), references, rounds=rounds, small=small)
        yield from told(workload(on, small=small).title, found, *_BARS[on])


def told(title: str, found: Compared, bar: float, slower: float) -> Iterator[Row]:
    """Yield what was found on one workload as rows."""
    seconds = found.rounds[BARE].seconds
    for way, name in _WAYS.items():
        remark = _REMARKS[way]
        if way == BARE and seconds:
            remark = remark.format(batch=BATCH_SIZE, seconds=statistics.median(seconds))
        yield Row(
            title,
            name,
            found.time(way, BARE),
            bar=Bar("at most", bar) if way == OURS else None,
            memory=found.memory(way, BARE),
            difference=found.differences.get(way),
            remark=found.remark(way, BARE, remark),
        )
    yield Row(
        title,
        f"interp against batches of {SMALLER}",
        found.time(OURS, _SMALLER),
        memory=found.memory(OURS, _SMALLER),
        remark=found.remark(OURS, _SMALLER, f"1.00: bare forward, padded, batches of {SMALLER}"),
    )
    yield Row(
        title,
        "TransformerLens against interp",
        found.time(LENS, OURS),
        bar=Bar("at least", slower),
        memory=found.memory(LENS, OURS),
        remark=found.remark(LENS, OURS, "1.00: interp"),
    )
    yield Row(
        title,
        "interp, peak memory beyond the weights",
        found.memory(OURS, BARE),
        bar=Bar("at most", 1.0),
        remark=found.remark(OURS, BARE, "1.00: the bare forward's") or "",
    )
