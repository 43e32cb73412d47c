"""Keeping the store below its limit: the least recently used entries are removed."""

import shutil
import sys
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from interp.cache import locks
from interp.cache.files import format_bytes, modified_at, sizes
from interp.cache.manifest import NAME, is_hash
from interp.cache.removal import collect_garbage, damaged_bytes, remove_damaged, take_away

# Seconds for which an entry is kept after any process has used it, whatever the limit: it may be
# half written, or about to be read.
IN_USE = 60.0

# Bytes that this process has written to each store since it last measured its size, and the entries
# that it has reported as too large. Both belong to the process: store objects are short-lived.
_UNMEASURED: dict[Path, int] = {}
_REPORTED: set[tuple[Path, str]] = set()


@dataclass(frozen=True)
class Use:
    """An entry's folder, its bytes, and when it was last used, in seconds of the epoch."""

    path: Path
    bytes: int
    last: float


@dataclass(frozen=True)
class Eviction:
    """What was removed, and what is left.

    Attributes:
        keys: the entries that were removed.
        damaged: the bytes of damaged files that were removed.
        unfinished: the bytes of files that dead processes had left.
        left: the bytes of the store now.
    """

    keys: tuple[str, ...]
    damaged: int
    unfinished: int
    left: int


def uses(folder: Path) -> list[Use]:
    """Return the entries of a store, the least recently used first."""
    entries = (
        path
        for path in folder.glob("[0-9a-f][0-9a-f]/*")
        if is_hash(path.name) and path.name.startswith(path.parent.name) and path.is_dir()
    )
    return sorted(map(_use, entries), key=lambda use: use.last)


def keep_within(folder: Path, limit: int, key: str, written: int) -> None:
    """Evict what is above the limit, after `written` bytes were added to the entry `key`.

    Measuring the whole store takes time, so each process does so once per 1% of the limit.
    """
    _UNMEASURED[folder] = _UNMEASURED.get(folder, limit) + written
    if _UNMEASURED[folder] * 100 < limit:
        return
    _UNMEASURED[folder] = 0
    evicted = evict(folder, limit, spared=key, used_before=time.time() - IN_USE)
    if evicted.damaged:
        _report(f"removed {format_bytes(evicted.damaged)} that were set aside as damaged")
    alone = _use(folder / key[:2] / key).bytes
    if alone > limit and (folder, key) not in _REPORTED:
        _REPORTED.add((folder, key))
        _report(
            f"what this run reads takes {format_bytes(alone)}, more than activations.limit_gb "
            f"allows ({format_bytes(limit)}); it is kept until something else is read"
        )


def evict(folder: Path, to_bytes: int, *, spared: str = "", used_before: float = inf) -> Eviction:
    """Remove entries, the least recently used first, until the store is no larger than `to_bytes`.

    Damaged files are removed before any entry. A process that has mapped an entry's files keeps
    them.

    Args:
        folder: the store.
        to_bytes: the size to reduce the store to.
        spared: the key of an entry that is kept.
        used_before: seconds of the epoch; entries that were used later are kept.
    """
    unfinished = collect_garbage(folder)
    found, damaged = uses(folder), damaged_bytes(folder)
    left = sum(use.bytes for use in found) + damaged
    if left <= to_bytes:
        damaged = 0
    elif damaged:
        left -= damaged
        remove_damaged(folder)
    keys = []
    for use in found:
        if left <= to_bytes:
            break
        if use.path.name != spared and use.last < used_before and _removed(folder, use):
            keys.append(use.path.name)
            left -= use.bytes
    return Eviction(tuple(keys), damaged, unfinished, left)


def _removed(folder: Path, use: Use) -> bool:
    """Remove an entry unless it was used in the meantime; return whether it is gone."""
    with locks.entry_lock(folder, use.path.name):
        if not use.path.is_dir():
            return True
        if _use(use.path).last != use.last:
            return False
        gone = take_away(folder, use.path)
    # Another process may be removing the same folder.
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _use(path: Path) -> Use:
    # A folder without a manifest counts as never used: nothing can be read from it.
    return Use(path, sum(sizes(path).values()), modified_at(path / NAME))


def _report(text: str) -> None:
    print(f"activations: {text}", file=sys.stderr, flush=True)
