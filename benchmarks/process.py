"""Fresh processes: each measurement loads what it needs, warms up, and ends.

    python -m benchmarks.process MODULE:FUNCTION ARGUMENTS

calls a function with arguments given as JSON and prints what it returns as the last line, as JSON.
"""

import ctypes
import gc
import importlib
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_MIB = 2**20


class Failed(Exception):  # noqa: N818 — a measurement that could not be made
    """A process ended with an error, in its own words."""


@dataclass(frozen=True)
class Taken:
    """What one run took.

    Attributes:
        seconds: wall-clock time.
        mebibytes: the peak of resident memory beyond what was resident before, or of the GPU's
            memory where the work is done there; None where the system does not tell.
    """

    seconds: float
    mebibytes: float | None = None


@dataclass(frozen=True)
class Rounds:
    """What a way took in each round, or why it could not be run."""

    taken: list[Taken] = field(default_factory=list)
    reason: str = ""

    @property
    def seconds(self) -> list[float]:
        """The seconds of each round."""
        return [taken.seconds for taken in self.taken]

    @property
    def mebibytes(self) -> list[float]:
        """The peak of each round; empty where some round has none."""
        known = [taken.mebibytes for taken in self.taken if taken.mebibytes is not None]
        return known if len(known) == len(self.taken) else []


def fresh(function: str, **arguments: object) -> Any:
    """Call "module:function" in a process of its own and return what it returns.

    Raises:
        Failed: the process ended with an error.
    """
    command = [sys.executable, "-m", "benchmarks.process", function, json.dumps(arguments)]
    return json.loads(output_of(command).splitlines()[-1])


def output_of(command: Sequence[str]) -> str:
    """Run a command from the project's root and return what it prints.

    Raises:
        Failed: it ended with an error.
    """
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        raise Failed(said[-1])
    return ran.stdout


def interleaved(
    ways: Sequence[str], rounds: int, run: Callable[[str, int], Taken]
) -> dict[str, Rounds]:
    """Run every way once a round, each round beginning with another; one that fails is left out.

    Args:
        ways: their names.
        rounds: how often each is run.
        run: runs a way in the round of that number, in a process of its own.
    """
    found = {way: Rounds() for way in ways}
    order = deque(ways)
    for turn in range(rounds):
        for way in tuple(order):
            if found[way].reason:
                continue
            print(f"  round {turn + 1} of {rounds}: {way}", file=sys.stderr, flush=True)
            try:
                found[way].taken.append(run(way, turn))
            except Failed as failed:
                found[way] = Rounds(reason=f"failed: {failed}")
        order.rotate(-1)
    return found


def measured(action: Callable[[], Any], device: str = "cpu") -> tuple[Any, Taken]:
    """Return what an action returns, and what it took."""
    if device != "cpu":
        return _measured_on_gpu(action)
    gc.collect()
    # What the allocator holds back of earlier work would hide as much of this one's peak.
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    before = _reset_peak()
    start = time.perf_counter()
    result = action()
    seconds = time.perf_counter() - start
    if before is None:
        return result, Taken(seconds)
    return result, Taken(seconds, (_status("VmHWM") - before) / _MIB)


def _measured_on_gpu(action: Callable[[], Any]) -> tuple[Any, Taken]:
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    start = time.perf_counter()
    result = action()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return result, Taken(seconds, (torch.cuda.max_memory_allocated() - before) / _MIB)


def _reset_peak() -> int | None:
    """Begin a new high-water mark of resident memory; None where the system keeps none."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Loading has raised the mark that is left, so that it would not be this action's.
        return None
    return _status("VmHWM")


def _status(name: str) -> int:
    """Return an entry of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def _main(function: str, arguments: str) -> None:
    module, _, name = function.partition(":")
    print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
