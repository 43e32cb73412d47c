"""Several ways to read the same thing, in interleaved rounds, and whether they agree."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import ways
from benchmarks.process import Rounds, Taken, fresh, interleaved
from benchmarks.table import ratios


@dataclass(frozen=True)
class Compared:
    """What every way took, and how far what it read is from what plain hooks read.

    Attributes:
        rounds: by way.
        differences: by way, relative to the largest absolute value; a way that reads nothing or
            that could not be run has none.
    """

    rounds: Mapping[str, Rounds]
    differences: Mapping[str, float]

    def time(self, way: str, of: str) -> tuple[float, ...]:
        """Return the seconds of a way relative to another, a ratio a round; () without both."""
        over, under = self.rounds[way], self.rounds[of]
        return () if over.reason or under.reason else ratios(over.seconds, under.seconds)

    def memory(self, way: str, of: str) -> tuple[float, ...]:
        """Return the peak of memory of a way relative to another; () where it is not known."""
        over, under = self.rounds[way].mebibytes, self.rounds[of].mebibytes
        return ratios(over, under) if len(over) == len(under) and all(under) else ()

    def remark(self, way: str, of: str, said: str = "") -> str:
        """Return why there is no ratio, or else what is said of the way."""
        reasons = [self.rounds[name].reason for name in (way, of)]
        return next((reason for reason in reasons if reason), said)


def compare(
    on: str, of: Sequence[str], references: Mapping[str, str], *, rounds: int, small: bool
) -> Compared:
    """Run ways on a workload.

    Args:
        on: the workload's name.
        of: the ways' names.
        references: for a way that reads something, the way that it must agree with, run once.
        rounds: how often each is run.
        small: whether the workload is cut down.
    """
    with tempfile.TemporaryDirectory() as folder:

        def file(way: str) -> Path:
            return Path(folder) / f"{way.replace(' ', '_')}.npy"

        def run(way: str, _turn: int = 0) -> Taken:
            arguments = {"way": way, "on": on, "small": small, "values": str(file(way))}
            return Taken(**fresh("benchmarks.ways:run", **arguments))

        there = [way for way in of if not ways.missing_package(way)]
        found = interleaved(there, rounds, run)
        found |= {way: Rounds(reason=ways.missing_package(way)) for way in of if way not in there}
        for reference in dict.fromkeys(references.values()):
            if not file(reference).exists():
                run(reference)
        differences = {
            way: difference(np.load(file(way)), np.load(file(reference)))
            for way, reference in references.items()
            if not found[way].reason
        }
    return Compared(found, differences)


def difference(found: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest absolute difference relative to the reference's largest absolute value.

    A way may read fewer layers than the reference: the first ones.

    Raises:
        ValueError: other samples or units, or nothing.
    """
    there = reference[: len(found)]
    if not found.size or found.shape != there.shape:
        raise ValueError(f"{found.shape} cannot be held against {reference.shape}")
    largest = np.abs(there).max()
    # Where all is zero there is nothing to relate a difference to.
    return float(np.abs(found - there).max() / (largest if largest > 0 else 1.0))
