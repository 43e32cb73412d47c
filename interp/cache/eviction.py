"""What goes when the store grows above its limit: the entries that were used longest ago."""

import shutil
import sys
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from interp.cache import locks
from interp.cache.files import (
    changed,
    damaged_bytes,
    remove_damaged,
    sizes,
    sweep,
    take_away,
    words,
)
from interp.cache.manifest import NAME, is_digest

# Seconds for which an entry that any process has used stays, whatever the limit: it may be half
# written, or about to be read.
IN_USE = 60.0

# Bytes that this process has written to a store since it last looked how large it was.
_UNSEEN: dict[Path, int] = {}
_TOLD: set[tuple[Path, str]] = set()


@dataclass(frozen=True)
class Use:
    """An entry's folder: how large it is, and when it was last used, in seconds of the epoch."""

    path: Path
    bytes: int
    last: float


@dataclass(frozen=True)
class Evicted:
    """What has gone, and what is left.

    Attributes:
        keys: the entries that went.
        damaged: the bytes of files that had been set aside.
        unfinished: the bytes that processes had left when they died.
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
        if is_digest(path.name) and path.name.startswith(path.parent.name) and path.is_dir()
    )
    return sorted(map(_use, entries), key=lambda use: use.last)


def keep_within(folder: Path, limit: int, key: str, written: int) -> None:
    """Evict what is above the limit, now that `written` bytes have been added to the entry `key`.

    It takes a look at the whole store, so each process does so once for 1 % of the limit.
    """
    _UNSEEN[folder] = _UNSEEN.get(folder, limit) + written
    if _UNSEEN[folder] * 100 < limit:
        return
    _UNSEEN[folder] = 0
    evicted = evict(folder, limit, spared=key, used_before=time.time() - IN_USE)
    if evicted.damaged:
        _say(f"{words(evicted.damaged)} that were set aside as damaged made room")
    alone = _use(folder / key[:2] / key).bytes
    if alone > limit and (folder, key) not in _TOLD:
        _TOLD.add((folder, key))
        _say(
            f"what this run reads takes {words(alone)}, more than activations.limit_gb allows "
            f"({words(limit)}); it is kept until something else is read"
        )


def evict(folder: Path, to_bytes: int, *, spared: str = "", used_before: float = inf) -> Evicted:
    """Remove entries, the least recently used first, until the store is no larger than `to_bytes`.

    What was set aside as damaged goes before any entry. Who has an entry's files mapped keeps them.

    Args:
        folder: the store.
        to_bytes: the size to come down to.
        spared: the key of an entry that stays.
        used_before: seconds of the epoch; entries that were used later stay.
    """
    unfinished = sweep(folder)
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
        if use.path.name != spared and use.last < used_before and _has_gone(folder, use):
            keys.append(use.path.name)
            left -= use.bytes
    return Evicted(tuple(keys), damaged, unfinished, left)


def _has_gone(folder: Path, use: Use) -> bool:
    """Remove an entry unless it has been used meanwhile; whether it is no longer there."""
    with locks.of_entry(folder, use.path.name):
        if not use.path.is_dir():
            return True
        if _use(use.path).last != use.last:
            return False
        gone = take_away(folder, use.path)
    # Another process may be sweeping the same folder away.
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _use(path: Path) -> Use:
    # Of a folder without a manifest nothing can be read.
    return Use(path, sum(sizes(path).values()), changed(path / NAME))


def _say(text: str) -> None:
    print(f"activations: {text}", file=sys.stderr, flush=True)
