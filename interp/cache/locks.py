"""Who computes what, and who changes an entry: one process at a time."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from interp.cache.files import changed, on_disk, staged

LOCKS = "locks"

# Seconds that a process waits in silence.
_SILENT = 1.0
# Seconds after which the lock of a computation that nobody makes is removed.
_FORGOTTEN = 86_400.0


def of_entry(folder: Path, key: str) -> BaseFileLock:
    """Return the lock under which an entry's files change, for a moment each time.

    Entries whose keys begin alike share one, so that there are no more than 256.
    """
    (folder / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(folder / LOCKS / f"{key[:2]}.lock")


@contextmanager
def of_maker(folder: Path, name: str, doing: str) -> Iterator[None]:
    """Hold the lock of whoever computes `name`; a file beside it tells waiters what for.

    The operating system frees the lock of a process that has died.

    Raises:
        ConfigError: the folder cannot be written.
    """
    with on_disk(folder):
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCKS / f"making-{name}.lock")
        told = folder / LOCKS / f"making-{name}.json"
        _acquire(lock, told)
    try:
        with on_disk(folder):
            if told.exists():
                _say(f"taking over from {_owner(told)}: it has ended")
            _tell(folder, told, doing)
        yield
    finally:
        try:
            told.unlink(missing_ok=True)
        finally:
            lock.release()


def _acquire(lock: BaseFileLock, told: Path) -> None:
    try:
        lock.acquire(timeout=_SILENT)
    except Timeout:
        _say(f"waiting for {_owner(told)}")
        lock.acquire()


def _tell(folder: Path, told: Path, doing: str) -> None:
    owner = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "doing": doing,
        "since": time.strftime("%H:%M:%S"),
    }
    with staged(folder, {told.name: [json.dumps(owner).encode()]}) as files:
        files[told.name].path.replace(told)


def _owner(told: Path) -> str:
    try:
        owner = json.loads(told.read_bytes())
    except (FileNotFoundError, ValueError):
        # The lock was taken or freed just now.
        return "another process"
    return "process {process} on {host}, which is {doing} (since {since})".format_map(owner)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sweep(folder: Path) -> None:
    """Remove the locks of computations that nobody has made for a day."""
    for path in (folder / LOCKS).glob("making-*.lock"):
        if time.time() - changed(path) < _FORGOTTEN:
            continue
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        # Who opens the file at this very moment holds a lock of its own, and computes what another
        # may compute as well: work done twice, and nothing that is wrong.
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        lock.release()
