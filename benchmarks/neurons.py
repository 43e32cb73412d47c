"""Benchmark 2: one MLP layer of a causal model against a pass through all of it."""

from collections.abc import Iterator

from benchmarks.comparison import compare
from benchmarks.table import Bar, Row
from benchmarks.ways import neuron_layer
from benchmarks.workloads import workload

_MLP, _LAST = "ours, one MLP", "ours, last block"


def bar(layer: int, n_layers: int) -> Bar:
    """Return the share of a full pass that reading an MLP layer may take."""
    return Bar("at most", round((layer + 1) / n_layers + 0.05, 3))


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield the row of the sixth of twelve layers."""
    work = workload("long", small=small)
    layer = neuron_layer(work)
    references = {_MLP: "hooks on one MLP", _LAST: "hooks on the last block"}
    found = compare("long", [_MLP, _LAST], references, rounds=rounds, small=small)
    yield Row(
        work.title,
        f"mlp_pre of layer {layer} of {work.n_layers}",
        found.time(_MLP, _LAST),
        bar=bar(layer, work.n_layers),
        memory=found.memory(_MLP, _LAST),
        difference=found.differences.get(_MLP),
        remark=found.remark(_MLP, _LAST, "1.00: interp, resid_post of the last layer"),
    )
