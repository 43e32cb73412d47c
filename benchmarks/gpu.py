"""Benchmark 7: a large model in bfloat16 on a GPU."""

from collections.abc import Iterator

from benchmarks.comparison import compare
from benchmarks.table import Row
from benchmarks.workloads import workload

_WAYS = {"bare": "bare forward, padded", "ours, every block": "interp, all residual layers"}
_OURS = "ours, every block"


def rows(rounds: int, *, small: bool) -> Iterator[Row]:
    """Yield tokens a second, and the share of the bare forward."""
    import torch

    if not torch.cuda.is_available():
        title = "gpt2-xl shapes, bfloat16 on a GPU"
        yield Row(title, _WAYS[_OURS], remark="no CUDA device here")
        return
    work = workload("large", small=small)
    title = f"{work.title}, bfloat16 on a GPU"
    tokens = sum(len(text.split()) for text in work.prompts.texts)
    references = {_OURS: "hooks on every block"}
    found = compare("large", list(_WAYS), references, rounds=rounds, small=small)
    said = {"bare": "1.00", _OURS: "differs by bfloat16's round-off"}
    for way, name in _WAYS.items():
        seconds = found.rounds[way].seconds
        yield Row(
            title,
            name,
            found.time(way, "bare"),
            memory=found.memory(way, "bare"),
            difference=found.differences.get(way),
            remark=found.remark(way, "bare", f"{said[way]}; {torch.cuda.get_device_name()}"),
        )
        yield Row(
            title,
            f"{name}: speed",
            tuple(tokens / taken for taken in seconds),
            unit="tokens/s",
            remark=found.rounds[way].reason,
        )
