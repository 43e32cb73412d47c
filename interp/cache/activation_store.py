"""The whole store: its entries, and what keeps it verified and within its limit."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.cache import locks
from interp.cache.entry import Entry, FileCheck
from interp.cache.eviction import Eviction, evict, uses
from interp.cache.files import on_disk
from interp.cache.manifest import is_hash
from interp.cache.removal import damaged_bytes
from interp.core.errors import ConfigError


@dataclass(frozen=True)
class EntrySummary:
    """An entry as `interp store list` shows it.

    Attributes:
        key: its hash.
        made: each way in which parts of it were computed, as `Manifest.made`.
        layers: the layers that have a chunk; none in an entry that is a record.
        samples: the number of samples in its chunks.
        bytes: its size on disk.
        last_used: when it was last used, in seconds of the epoch.
    """

    key: str
    made: tuple[Mapping[str, object], ...]
    layers: tuple[int, ...]
    samples: int
    bytes: int
    last_used: float


@dataclass(frozen=True)
class ActivationStore:
    """Activations on disk, each under a hash of all that determines them.

    Any number of processes may use one store at once. Every method raises a StorageError where the
    disk is full or the folder cannot be used.

    Attributes:
        folder: its folder.
        limit_bytes: the size above which the least recently used entries are removed; entries that
            any process has used within the last minute are kept.
    """

    folder: Path
    limit_bytes: int

    @classmethod
    def of(cls, outputs: str, limit_gb: float) -> "ActivationStore":
        """Return the configured store, in the folder of outputs; nothing is created yet.

        Raises:
            ConfigError: the limit is negative or not finite.
        """
        if not (isfinite(limit_gb) and limit_gb >= 0):
            raise ConfigError(f"activations.limit_gb must be at least 0, not {limit_gb}")
        return cls(Path(outputs).resolve() / "activations", int(limit_gb * 1e9))

    def entry(self, key: str) -> Entry:
        """Return the entry of a key, a hexadecimal hash, which may be empty.

        Raises:
            ValueError: the key is not a hash.
        """
        return Entry(self.folder, _checked_hash(key), self.limit_bytes)

    def computing(self, name: str, doing: str) -> AbstractContextManager[None]:
        """Hold the lock of a computation, so that other processes wait for its result.

        A process that finds something missing takes the lock, looks again, and computes what is
        still missing. After a second a waiting process reports on stderr what it waits for. The
        lock of a process that has died is released.

        Args:
            name: a hexadecimal hash of what is computed; several entries may share it.
            doing: the computation, as other processes report it: "reading gpt2".

        Raises:
            ValueError: the name is not a hash.
        """
        return locks.computation_lock(self.folder, _checked_hash(name), doing)

    def put_record(self, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Store a small record under a key; see `Entry.put_record`."""
        self.entry(key).put_record(arrays)

    def get_record(self, key: str) -> dict[str, NDArray[np.generic]]:
        """Return the record of a key; `Missing`, a KeyError, where there is none."""
        return self.entry(key).get_record()

    def entries(self) -> list[EntrySummary]:
        """Return all entries, the most recently used first."""
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
        """Return the bytes of damaged files, which are kept in the folder `damaged`."""
        with on_disk(self.folder):
            return damaged_bytes(self.folder)

    def verify(self) -> Iterator[FileCheck]:
        """Read every file, quarantine damaged ones, and yield the result for each."""
        with on_disk(self.folder):
            found = uses(self.folder)
        for use in found:
            yield from self.entry(use.path.name).check()

    def prune(self, to_bytes: int) -> Eviction:
        """Remove the files of dead processes, then the least recently used entries, down to a size.

        Damaged files are removed first. Unlike the limit, this also removes entries in use: a
        process that has one mapped keeps it, another computes it again.
        """
        with on_disk(self.folder):
            unfinished = sum(
                self.entry(use.path.name).collect_garbage() for use in uses(self.folder)
            )
            locks.collect_garbage(self.folder)
            evicted = evict(self.folder, to_bytes)
        return replace(evicted, unfinished=evicted.unfinished + unfinished)


def _checked_hash(name: str) -> str:
    if not is_hash(name):
        raise ValueError(f"{name!r} is not a hexadecimal hash")
    return name
