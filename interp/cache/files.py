"""Files that are wholly there or not at all, and that their checksum tells from damaged ones."""

import errno
import fcntl
import hashlib
import mmap
import os
import resource
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError

TEMPORARY = "temporary"
DAMAGED = "damaged"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Seconds between the creation of a temporary file and the moment when it is surely locked.
_UNLOCKED_AT_MOST = 5.0
_SYNCED_AT_ONCE = 16

# The checksum of each file that this process has read or written: device, inode, size and time of
# the last change tell whether it is still the same.
_KNOWN: dict[tuple[int, int, int, int], str] = {}


@dataclass(frozen=True)
class Staged:
    """A file that lies complete under a temporary name.

    Attributes:
        path: its temporary name; who renames it puts it in its place.
        bytes: its size.
        sha256: its checksum.
    """

    path: Path
    bytes: int
    sha256: str


@contextmanager
def on_disk(
    folder: Path, needed: int = 0, *, passing: type[OSError] | tuple[()] = ()
) -> Iterator[None]:
    """Turn what the operating system refuses inside the context into one line.

    Args:
        folder: the store, as the message calls it.
        needed: the bytes that are about to be written.
        passing: what goes on as it is.

    Raises:
        ConfigError: the disk is full, or the folder cannot be used.
    """
    try:
        yield
    except passing:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise ConfigError(
                f"activations: the disk of {folder} is full ({reason}): {words(needed)} were "
                "needed; make room with `interp store prune to=…`, or choose another folder with "
                "outputs=…"
            ) from error
        raise ConfigError(f"activations: {folder} cannot be used: {reason}") from error


def words(size: int) -> str:
    """Return a size in words, in units of 1000: "12.3 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= 0.9995 * factor:
            return f"{size / factor:.3g} {unit}"
    return f"{-(-size // 1000)} kB"


@contextmanager
def staged(
    folder: Path, contents: Mapping[str, Sequence[bytes | memoryview]]
) -> Iterator[dict[str, Staged]]:
    """Write files under temporary names; those that still have them in the end go.

    Args:
        folder: the store.
        contents: the parts of each file.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    (folder / TEMPORARY).mkdir(parents=True, exist_ok=True)
    complete = {}
    with ExitStack() as stack:
        opened = []
        for name, parts in contents.items():
            path, file = stack.enter_context(_temporary(folder))
            digest, size = hashlib.sha256(), 0
            for part in parts:
                digest.update(part)
                file.write(part)
                size += len(part)
            file.flush()
            opened.append(file.fileno())
            complete[name] = Staged(path, size, digest.hexdigest())
        # A disk on a network may say only now that it is full. Asked for together, small files take
        # the time of one.
        with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
            list(pool.map(os.fsync, opened))
        yield complete


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, BufferedWriter]]:
    path = folder / TEMPORARY / secrets.token_hex(8)
    try:
        with path.open("xb") as file:
            # Held for as long as the process writes, so that `sweep` knows a dead one's file. On a
            # file system without locks nothing is swept.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def place(files: dict[Path, Staged]) -> None:
    """Rename staged files, all in one folder, to their places, the last of them last.

    Raises:
        OSError: one cannot be renamed; then those before it are gone.
    """
    placed: list[Path] = []
    try:
        for path, file in files.items():
            file.path.rename(path)
            placed.append(path)
    except BaseException:
        # The last one tells of the others, so that with it all are there.
        for path in placed if len(placed) < len(files) else ():
            path.unlink(missing_ok=True)
        raise
    for path, file in files.items():
        _KNOWN[_identity(path.stat())] = file.sha256
    # A name outlives a power failure once its folder has been written.
    for folder in {path.parent for path in files}:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def npy(values: NDArray[np.float32]) -> list[bytes | memoryview]:
    """Return the parts of an `.npy` file in version 1.0 of NumPy's format; nothing is copied."""
    header = {"descr": "<f4", "fortran_order": False, "shape": values.shape}
    text = repr(header).encode()
    # The data begins at a multiple of 64 bytes, as the format wants it for memory maps.
    padding = -(10 + len(text) + 1) % 64
    length = len(text) + padding + 1
    start = b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text + b" " * padding + b"\n"
    data = np.ascontiguousarray(values, "<f4")
    return [start, data.reshape(-1).view(np.uint8).data]


def is_sound(path: Path, size: int, sha256: str) -> bool:
    """Whether all of a file, read anew, is what was written with this size and checksum.

    Raises:
        FileNotFoundError: it is gone.
    """
    with path.open("rb") as file:
        return _is_sound(file, size, sha256, again=True)


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_sound(file: BufferedReader, size: int, sha256: str, *, again: bool) -> bool:
    identity = _identity(os.fstat(file.fileno()))
    if identity[2] != size:
        return False
    if again or _KNOWN.get(identity) != sha256:
        # Read and not mapped: what is mapped would count as this process's memory.
        _KNOWN[identity] = hashlib.file_digest(file, "sha256").hexdigest()
    return _KNOWN[identity] == sha256


class Damaged(ValueError):  # noqa: N818 — what is wrong with a file, and no error of the caller's
    """A file that is not what was written."""


def mapped(path: Path, size: int, sha256: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an `.npy` file's array, memory-mapped and read-only.

    A file that has not changed since this process read or wrote all of it is not read again.

    Raises:
        Damaged: its size or checksum is another.
        FileNotFoundError: it is gone.
    """
    try:
        return _mapped(path, size, sha256, shape)
    except OSError as error:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if error.errno != errno.EMFILE or soft == hard:
            raise
    # Each map holds a file open, and the usual limit of 1,024 is there for programs that call
    # select() alone.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _mapped(path, size, sha256, shape)


def _mapped(path: Path, size: int, sha256: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    with path.open("rb") as file:
        if not _is_sound(file, size, sha256, again=False):
            raise Damaged(path)
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    offset = size - 4 * prod(shape)
    return np.ndarray(shape, "<f4", view, offset)


def quarantine(folder: Path, path: Path) -> Path:
    """Move a damaged file or folder out of the way, and return where it is now."""
    damaged = folder / DAMAGED
    damaged.mkdir(parents=True, exist_ok=True)
    kept = damaged / f"{path.parent.name}-{path.name}-{secrets.token_hex(4)}"
    return path.rename(kept)


def damaged_bytes(folder: Path) -> int:
    """Return the bytes of what has been set aside."""
    found = os.walk(folder / DAMAGED)
    return sum(size_of(Path(where, name)) for where, _, names in found for name in names)


def remove_damaged(folder: Path) -> None:
    """Remove what has been set aside."""
    for path in (folder / DAMAGED).iterdir():
        if path.is_dir():
            # Another process may be removing it too.
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def take_away(folder: Path, path: Path) -> Path:
    """Move a folder that is to be removed among the temporary files, and return where it is now."""
    (folder / TEMPORARY).mkdir(parents=True, exist_ok=True)
    return path.rename(folder / TEMPORARY / secrets.token_hex(8))


def sweep(folder: Path) -> int:
    """Remove what processes that died while they wrote have left; return its bytes."""
    swept = 0
    for path in (folder / TEMPORARY).glob("*"):
        if path.is_dir():
            swept += sum(sizes(path).values())
            shutil.rmtree(path, ignore_errors=True)
        else:
            swept += _swept(path)
    return swept


def _swept(path: Path) -> int:
    try:
        with path.open("rb+") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _UNLOCKED_AT_MOST:
                # It may be so new that its writer has not come to lock it.
                return 0
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(file.fileno()).st_size
            path.unlink(missing_ok=True)
            return size
    except OSError:
        # Its writer lives, or has put it in its place.
        return 0


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file in a folder, of none where there is no folder."""
    found = {}
    # The folder, or a file, may go while it is looked at.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found[entry.name] = entry.stat().st_size
    return found


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 where it has just gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def changed(path: Path) -> float:
    """Return when a file was last changed, in seconds of the epoch; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
