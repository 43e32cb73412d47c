"""Moving damaged files out of the way, and removing what is no longer needed."""

import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path

from interp.cache.files import TEMPORARY, size_of, sizes

DAMAGED = "damaged"

# Seconds after its creation by which a temporary file is locked by its writer.
_LOCKED_WITHIN = 5.0


def quarantine(folder: Path, path: Path) -> Path:
    """Move a damaged file or folder to the folder of damaged ones, and return its new path."""
    damaged = folder / DAMAGED
    damaged.mkdir(parents=True, exist_ok=True)
    kept = damaged / f"{path.parent.name}-{path.name}-{secrets.token_hex(4)}"
    return path.rename(kept)


def damaged_bytes(folder: Path) -> int:
    """Return the bytes in the folder of damaged files."""
    found = os.walk(folder / DAMAGED)
    return sum(size_of(Path(where, name)) for where, _, names in found for name in names)


def remove_damaged(folder: Path) -> None:
    """Remove all damaged files."""
    for path in (folder / DAMAGED).iterdir():
        if path.is_dir():
            # Another process may be removing it at the same time.
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def take_away(folder: Path, path: Path) -> Path:
    """Move a folder that will be removed to the temporary files, and return its new path."""
    (folder / TEMPORARY).mkdir(parents=True, exist_ok=True)
    return path.rename(folder / TEMPORARY / secrets.token_hex(8))


def collect_garbage(folder: Path) -> int:
    """Remove the files of processes that died while writing; return their bytes."""
    collected = 0
    for path in (folder / TEMPORARY).glob("*"):
        if path.is_dir():
            collected += sum(sizes(path).values())
            shutil.rmtree(path, ignore_errors=True)
        else:
            collected += _collected(path)
    return collected


def _collected(path: Path) -> int:
    """Remove a temporary file whose writer has died; return its bytes, 0 while it is in use."""
    try:
        with path.open("rb+") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _LOCKED_WITHIN:
                # Its writer may not have locked it yet.
                return 0
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(file.fileno()).st_size
            path.unlink(missing_ok=True)
            return size
    except OSError:
        # Its writer is alive, or has just renamed it.
        return 0
