"""Locks: one process at a time computes activations, or changes an entry."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from interp.cache.files import modified_at, on_disk, staged

LOCKS = "locks"

# Seconds after which a waiting process reports what it waits for.
_SILENT = 1.0
# Seconds after which the unused lock of a computation is removed.
_FORGOTTEN = 86_400.0


def entry_lock(folder: Path, key: str) -> BaseFileLock:
    """Return the lock that is held while an entry's files change.

    Entries with the same first two digits share one, so that there are no more than 256.
    """
    (folder / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(folder / LOCKS / f"{key[:2]}.lock")


@contextmanager
def computation_lock(folder: Path, name: str, doing: str) -> Iterator[None]:
    """Hold the lock of a computation for the length of the context.

    A file next to the lock names its owner to waiting processes. The operating system releases the
    lock of a process that has died.

    Args:
        folder: the store.
        name: a hexadecimal hash of what is computed.
        doing: the computation, as other processes report it: "reading gpt2".

    Raises:
        StorageError: the folder cannot be written.
    """
    with on_disk(folder):
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCKS / f"computing-{name}.lock")
        owner_file = folder / LOCKS / f"computing-{name}.json"
        _acquire(lock, owner_file)
    try:
        with on_disk(folder):
            if owner_file.exists():
                _report(f"taking over from {_owner(owner_file)}: it has ended")
            _write_owner(folder, owner_file, doing)
        yield
    finally:
        try:
            owner_file.unlink(missing_ok=True)
        finally:
            lock.release()


def _acquire(lock: BaseFileLock, owner_file: Path) -> None:
    try:
        lock.acquire(timeout=_SILENT)
    except Timeout:
        _report(f"waiting for {_owner(owner_file)}")
        lock.acquire()


def _write_owner(folder: Path, owner_file: Path, doing: str) -> None:
    owner = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "doing": doing,
        "since": time.strftime("%H:%M:%S"),
    }
    with staged(folder, {owner_file.name: [json.dumps(owner).encode()]}) as files:
        files[owner_file.name].path.replace(owner_file)


def _owner(owner_file: Path) -> str:
    try:
        owner = json.loads(owner_file.read_bytes())
    except (FileNotFoundError, ValueError):
        # The lock was taken or released just now.
        return "another process"
    return "process {process} on {host}, which is {doing} (since {since})".format_map(owner)


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def collect_garbage(folder: Path) -> None:
    """Remove the locks of computations that no process has run for a day."""
    for path in (folder / LOCKS).glob("computing-*.lock"):
        if time.time() - modified_at(path) < _FORGOTTEN:
            continue
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        # A process that opens the file at this moment holds a lock of its own, and may compute what
        # another computes as well: twice the work, with the same result.
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        lock.release()
