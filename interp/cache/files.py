"""Atomic, checksummed files: complete or absent, and verified when they are read."""

import errno
import fcntl
import hashlib
import mmap
import os
import resource
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import StorageError

TEMPORARY = "temporary"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SYNCED_AT_ONCE = 16

# The checksum of each file that this process has read or written, by device, inode, size and time
# of the last change, so that an unchanged file is read for its checksum only once per process.
_KNOWN: dict[tuple[int, int, int, int], str] = {}


@dataclass(frozen=True)
class Staged:
    """A complete file under a temporary name.

    Attributes:
        path: its temporary name; renaming it puts it in its place.
        bytes: its size.
        sha256: its checksum.
    """

    path: Path
    bytes: int
    sha256: str


@contextmanager
def on_disk(
    folder: Path, needed: int = 0, *, passing: tuple[type[OSError], ...] = ()
) -> Iterator[None]:
    """Turn an OSError inside the context into a StorageError of one line.

    Args:
        folder: the store, as the message names it.
        needed: the bytes that are about to be written.
        passing: errors that are raised unchanged.

    Raises:
        StorageError: the disk is full, or the folder cannot be used.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, (StorageError, *passing)):
            raise
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise StorageError(
                f"activations: the disk of {folder} is full ({reason}): {format_bytes(needed)} "
                "were needed; make room with `interp store prune to=…`, or choose another folder "
                "with outputs=…"
            ) from error
        raise StorageError(f"activations: {folder} cannot be used: {reason}") from error


def format_bytes(size: int) -> str:
    """Return a size with its unit, in powers of 1000: "12.3 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= 0.9995 * factor:
            return f"{size / factor:.3g} {unit}"
    return f"{-(-size // 1000)} kB"


@contextmanager
def staged(
    folder: Path, contents: Mapping[str, Sequence[bytes | memoryview]]
) -> Iterator[dict[str, Staged]]:
    """Write files under temporary names; those that are not renamed in the context are removed.

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
            checksum, size = hashlib.sha256(), 0
            for part in parts:
                checksum.update(part)
                file.write(part)
                size += len(part)
            file.flush()
            opened.append(file.fileno())
            complete[name] = Staged(path, size, checksum.hexdigest())
        # A network disk may report only now that it is full. In parallel, many small files take the
        # time of one.
        with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
            list(pool.map(os.fsync, opened))
        yield complete


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, BufferedWriter]]:
    path = folder / TEMPORARY / secrets.token_hex(8)
    try:
        with path.open("xb") as file:
            # Held while the process writes, so that `collect_garbage` recognises a dead process's
            # file. On a file system without locks nothing is collected.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def place(files: dict[Path, Staged]) -> None:
    """Rename staged files, all in one folder, to their places, in the given order.

    Raises:
        OSError: one cannot be renamed; those before it are removed again.
    """
    placed: list[Path] = []
    try:
        for path, file in files.items():
            file.path.rename(path)
            placed.append(path)
    except BaseException:
        # The last one lists the others: once it is in place, all of them are.
        for path in placed if len(placed) < len(files) else ():
            path.unlink(missing_ok=True)
        raise
    for path, file in files.items():
        _KNOWN[_identity(path.stat())] = file.sha256
    # A new name survives a power failure only once its folder is written to disk.
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
    # The format aligns the data to 64 bytes, for memory maps.
    padding = -(10 + len(text) + 1) % 64
    length = len(text) + padding + 1
    start = b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text + b" " * padding + b"\n"
    data = np.ascontiguousarray(values, "<f4")
    return [start, data.reshape(-1).view(np.uint8).data]


def is_sound(path: Path, size: int, sha256: str) -> bool:
    """Whether a file, read again in full, has this size and checksum.

    Raises:
        FileNotFoundError: it does not exist.
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
        # Read, not mapped: mapped pages would count as this process's memory.
        _KNOWN[identity] = hashlib.file_digest(file, "sha256").hexdigest()
    return _KNOWN[identity] == sha256


class Damaged(ValueError):  # noqa: N818 — a state of a file, not an error of the caller
    """A file that is not what was written."""


def mapped(path: Path, size: int, sha256: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an `.npy` file's array, memory-mapped and read-only.

    A file that has not changed since this process read or wrote all of it is not read again.

    Raises:
        Damaged: its size or checksum differs.
        FileNotFoundError: it does not exist.
    """
    try:
        return _mapped(path, size, sha256, shape)
    except OSError as error:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if error.errno != errno.EMFILE or soft == hard:
            raise
    # Each map keeps a file open. The usual limit of 1,024 only protects programs that call
    # select().
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _mapped(path, size, sha256, shape)


def _mapped(path: Path, size: int, sha256: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    with path.open("rb") as file:
        if not _is_sound(file, size, sha256, again=False):
            raise Damaged(path)
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    offset = size - 4 * prod(shape)
    return np.ndarray(shape, "<f4", view, offset)


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file in a folder; empty where there is no folder."""
    found = {}
    # Another process may remove the folder or a file in the meantime.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found[entry.name] = entry.stat().st_size
    return found


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 where it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def modified_at(path: Path) -> float:
    """Return the time of a file's last change, in seconds of the epoch; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
