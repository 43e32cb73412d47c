"""The whole store: its entries, and what keeps it sound and small."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.cache import locks
from interp.cache.entry import Checked, Entry
from interp.cache.eviction import Evicted, evict, uses
from interp.cache.files import damaged_bytes, on_disk
from interp.cache.manifest import is_digest
from interp.core.errors import ConfigError


@dataclass(frozen=True)
class EntrySummary:
    """An entry in a list.

    Attributes:
        key: the digest that it is kept under.
        made: each way in which parts of it were made, as `Manifest.made`.
        layers: the layers of which there is a chunk; none in an entry that is a record.
        samples: how many samples its chunks hold.
        bytes: its size on disk.
        last_used: in seconds of the epoch.
    """

    key: str
    made: tuple[Mapping[str, object], ...]
    layers: tuple[int, ...]
    samples: int
    bytes: int
    last_used: float


@dataclass(frozen=True)
class ActivationStore:
    """Activations on disk, each under a digest of all that decides them.

    Any number of processes may use one store at once. Every method raises a ConfigError where the
    disk is full or the folder cannot be used.

    Attributes:
        folder: where it lies.
        limit_bytes: the size above which the least recently used entries go; what any process has
            used within the last minute stays.
    """

    folder: Path
    limit_bytes: int

    @classmethod
    def of(cls, outputs: str, limit_gb: float) -> "ActivationStore":
        """Return the configured store, in the folder of outputs; nothing is created yet.

        Raises:
            ConfigError: a limit that is no size.
        """
        if not (isfinite(limit_gb) and limit_gb >= 0):
            raise ConfigError(f"activations.limit_gb must be at least 0, not {limit_gb}")
        return cls(Path(outputs).resolve() / "activations", int(limit_gb * 1e9))

    def entry(self, key: str) -> Entry:
        """Return the entry of a key, a hexadecimal digest, whether or not it has anything yet.

        Raises:
            ValueError: a key that is no digest.
        """
        return Entry(self.folder, _digest(key), self.limit_bytes)

    def computing(self, name: str, doing: str) -> AbstractContextManager[None]:
        """Hold the lock of whoever computes, so that what is under way is waited for.

        Who finds something missing takes the lock, looks again, and computes what is missing still.
        After a second a waiter says on stderr what it waits for. The lock of a process that has
        died is free.

        Args:
            name: a hexadecimal digest of what one computation gives; entries may share it.
            doing: what others are told: "reading gpt2".

        Raises:
            ValueError: a name that is no digest.
        """
        return locks.of_maker(self.folder, _digest(name), doing)

    def put_record(self, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Keep a small record under a key; see `Entry.put_record`."""
        self.entry(key).put_record(arrays)

    def get_record(self, key: str) -> dict[str, NDArray[np.generic]]:
        """Return the record of a key; `Missing`, a KeyError, where there is none."""
        return self.entry(key).get_record()

    def entries(self) -> list[EntrySummary]:
        """Return what there is, the most recently used first."""
        with on_disk(self.folder):
            found = uses(self.folder)
        described = []
        for use in reversed(found):
            manifest = self.entry(use.path.name).manifest()
            if manifest.files:
                layers, samples = manifest.layers(), manifest.samples()
                described.append(
                    EntrySummary(use.path.name, manifest.made, layers, samples, use.bytes, use.last)
                )
        return described

    def quarantined_bytes(self) -> int:
        """Return the bytes of what was found damaged and lies in the folder `damaged`."""
        with on_disk(self.folder):
            return damaged_bytes(self.folder)

    def verify(self) -> Iterator[Checked]:
        """Read every file, set aside what is not what was written, and yield what came of each."""
        with on_disk(self.folder):
            found = uses(self.folder)
        for use in found:
            yield from self.entry(use.path.name).check()

    def prune(self, to_bytes: int) -> Evicted:
        """Remove what dead processes left, then the least recently used down to a size.

        What was set aside as damaged goes first. Unlike the limit, this spares nothing that is in
        use: a process that has it mapped keeps it, another computes it anew.
        """
        with on_disk(self.folder):
            unfinished = sum(self.entry(use.path.name).sweep() for use in uses(self.folder))
            locks.sweep(self.folder)
            evicted = evict(self.folder, to_bytes)
        return replace(evicted, unfinished=evicted.unfinished + unfinished)


def _digest(name: str) -> str:
    if not is_digest(name):
        raise ValueError(f"{name!r} is no hexadecimal digest")
    return name
