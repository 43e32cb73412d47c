"""The sweep that this process launches, and what its jobs are called."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from interp.cli.hydra.composition import parse
from interp.tracking import Sweep, record_dead_job


@dataclass(frozen=True)
class OpenSweep:
    """A sweep whose parent run is open.

    Attributes:
        sweep: the parent run.
        folder: where the jobs' folders are, by number.
        swept: the keys of what is swept.
        jobs: the overrides of each job; none where a sweeper of somebody else's chooses them.
        began: when, in milliseconds since the epoch.
    """

    sweep: Sweep
    folder: Path
    swept: tuple[str, ...]
    jobs: list[list[str]]
    began: int

    @property
    def names(self) -> list[str]:
        """What each job is called, where the jobs are known."""
        return [job_name(line, self.swept, number) for number, line in enumerate(self.jobs)]

    def record_dead_job(
        self, number: int, overrides: Sequence[str], status: str, reason: str
    ) -> None:
        """Record a job whose process ended before it could record that itself."""
        name = job_name(overrides, self.swept, number)
        record_dead_job(self.sweep, number, name, status, reason, since=self.began)


OPEN_SWEEP: ContextVar[OpenSweep | None] = ContextVar("OPEN_SWEEP", default=None)


def job_name(overrides: Sequence[str], swept: Sequence[str], number: int) -> str:
    """Return what distinguishes a job from the others: its values of what is swept."""
    parts = []
    for override in parse(overrides):
        if override.get_key_element() in swept:
            given = override.value()
            value = given if isinstance(given, str) else override.get_value_element_as_str()
            _, dot, field = (override.package or override.key_or_group).rpartition(".")
            parts.append(f"{field}={value}" if dot or override.package else value)
    return " · ".join(parts) or f"job {number}"
