"""Benchmark 3: the attention pattern of one query position in all layers."""

from collections.abc import Iterator

from benchmarks.comparison import compare
from benchmarks.table import Bar, Row
from benchmarks.workloads import workload

_LAST, _OURS, _EAGER = "ours, last block", "ours, pattern", "output_attentions"
_LENS = "TransformerLens, pattern"
_WAYS = {
    _LAST: "interp, resid_post of the last layer",
    _OURS: "interp, pattern",
    _EAGER: "output_attentions, padded",
    _LENS: "TransformerLens run_with_cache, names filter",
}
_REMARKS = {_LAST: "1.00", _EAGER: "the eager kernel", _LENS: "its bridge runs the head too"}


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield the rows of a decoder and of an encoder."""
    for on in ("long", "encoder"):
        references = {_LAST: "hooks on the last block", _OURS: _EAGER, _LENS: _EAGER}
        found = compare(on, list(_WAYS), references, rounds=rounds, small=small)
        for way, name in _WAYS.items():
            yield Row(
                workload(on, small=small).title,
                name,
                found.time(way, _LAST),
                bar=Bar("at most", 1.15) if way == _OURS else None,
                memory=found.memory(way, _LAST),
                difference=found.differences.get(way),
                remark=found.remark(way, _LAST, _REMARKS.get(way, "")),
            )
