"""One entry of the store: the activations of some layers, in chunks of samples."""

import hashlib
import io
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from interp.cache import files, locks, removal
from interp.cache.eviction import keep_within
from interp.cache.files import Damaged, Staged, on_disk
from interp.cache.manifest import NAME, RECORD, File, Manifest, chunk_name


class Missing(KeyError):  # noqa: N818 — not an error: what is missing is computed
    """The store does not have the activations or the record."""


@dataclass(frozen=True)
class FileCheck:
    """The result of verifying a file.

    Attributes:
        key: its entry.
        file: its name.
        bytes: the size with which it was written.
        state: "damaged" where its content differs from what was written, "lost" where it is absent.
    """

    key: str
    file: str
    bytes: int
    state: Literal["sound", "damaged", "lost"]


@dataclass(frozen=True)
class Entry:
    """The activations, or the record, under one key.

    Every method raises a StorageError where the disk is full or the folder cannot be used.

    Attributes:
        folder: the store's folder.
        key: a hexadecimal hash of all that determines the activations.
        limit_bytes: the size of the store above which other entries are removed.
    """

    folder: Path
    key: str
    limit_bytes: int

    @property
    def path(self) -> Path:
        """The entry's own folder, which exists once something has been written."""
        return self.folder / self.key[:2] / self.key

    def missing(self, layers: Sequence[int], n_chunks: int) -> dict[int, tuple[int, ...]]:
        """Return the layers to compute, by chunk; complete chunks are left out.

        Sizes are compared here, checksums when a file is read.
        """
        manifest = self.manifest()
        with on_disk(self.folder):
            sizes = files.sizes(self.path)
        unlike = [name for name, file in manifest.files.items() if sizes.get(name) != file.bytes]
        if unlike:
            self._drop(unlike)
            manifest = self.manifest()
        self._touch()
        absent = {
            chunk: tuple(i for i in layers if chunk_name(i, chunk) not in manifest.files)
            for chunk in range(n_chunks)
        }
        return {chunk: of_chunk for chunk, of_chunk in absent.items() if of_chunk}

    def write(
        self, chunk: int, values: Mapping[int, NDArray[np.float32]], made: Mapping[str, object]
    ) -> None:
        """Add layers of a chunk; a layer that is already there is not replaced.

        Args:
            chunk: its number, from 0.
            values: float32 [sample, *unit] by layer, with the same samples in each.
            made: how they were computed, as JSON values; `interp store` shows `title`, `site`,
                `position` and `prompts`.

        Raises:
            ValueError: values that are not float32, or layers with unequal numbers of samples.
        """
        for layer, of_layer in values.items():
            if of_layer.dtype != np.float32 or of_layer.ndim == 0:
                raise ValueError(f"layer {layer} is {of_layer.dtype} {of_layer.shape}, not float32")
        if len({len(of_layer) for of_layer in values.values()}) > 1:
            raise ValueError("the layers of a chunk have unequal numbers of samples")
        new = {chunk_name(layer, chunk): files.npy(array) for layer, array in values.items()}
        shapes = {chunk_name(layer, chunk): array.shape for layer, array in values.items()}
        self._add(new, shapes, made)

    def read(self, layers: Sequence[int], n_chunks: int) -> dict[int, list[NDArray[np.float32]]]:
        """Return the chunks of each layer, memory-mapped and read-only, as float32 [sample, *unit].

        A file's checksum is verified when this process first reads it.

        Raises:
            Missing: a chunk is absent, or was damaged and has been quarantined; compute what
                `missing` returns then.
        """
        known = self.manifest().files
        found: dict[int, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
        absent, damaged = [], []
        for layer, name in ((i, chunk_name(i, c)) for i in layers for c in range(n_chunks)):
            if name not in known:
                absent.append(name)
                continue
            file = known[name]
            try:
                with on_disk(self.folder, passing=(FileNotFoundError,)):
                    array = files.mapped(self.path / name, file.bytes, file.sha256, file.shape)
                found[layer].append(array)
            except FileNotFoundError:
                absent.append(name)
            except Damaged:
                damaged.append(name)
        if damaged:
            self._drop(damaged)
        if absent or damaged:
            raise Missing(f"{self.key} has no {', '.join((absent + damaged)[:3])}")
        self._touch()
        return found

    def put_record(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Store a small record; one that is already there is not replaced.

        Raises:
            ValueError: an array of Python objects.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
        self._add({RECORD: [buffer.getvalue()]}, {RECORD: ()}, {})

    def get_record(self) -> dict[str, NDArray[np.generic]]:
        """Return the record.

        Raises:
            Missing: there is none, or it was damaged and has been quarantined.
        """
        file = self.manifest().files.get(RECORD)
        if file is None:
            raise Missing(f"{self.key} has no record")
        try:
            with on_disk(self.folder, passing=(FileNotFoundError,)):
                data = (self.path / RECORD).read_bytes()
        except FileNotFoundError:
            raise Missing(f"{self.key} has no record any more") from None
        if hashlib.sha256(data).hexdigest() != file.sha256:
            self._drop([RECORD])
            raise Missing(f"the record of {self.key} was damaged")
        self._touch()
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def manifest(self) -> Manifest:
        """Return the manifest; an entry with a damaged one is quarantined and counts as empty."""
        with on_disk(self.folder):
            try:
                return self._manifest()
            except ValueError:
                with locks.entry_lock(self.folder, self.key):
                    return self._readable_manifest()

    def check(self) -> Iterator[FileCheck]:
        """Read every file, quarantine damaged ones, and yield the result for each."""
        unreadable = []
        with on_disk(self.folder):
            try:
                manifest = self._manifest()
            except ValueError:
                unreadable.append(files.size_of(self.path / NAME))
                manifest = self.manifest()
        # Another process may have quarantined it and written it again.
        if unreadable and not manifest.files:
            yield FileCheck(self.key, NAME, unreadable[0], "damaged")
        for name, file in manifest.files.items():
            if self._is_sound(name, file):
                yield FileCheck(self.key, name, file.bytes, "sound")
            elif state := self._drop([name]).get(name):
                yield FileCheck(self.key, name, file.bytes, state)

    def collect_garbage(self) -> int:
        """Remove files that a process wrote but did not enter in the manifest before it died.

        Returns:
            Their bytes.
        """
        with on_disk(self.folder), locks.entry_lock(self.folder, self.key):
            known = self._readable_manifest().files
            sizes = files.sizes(self.path)
            if not known and self.path.is_dir():
                shutil.rmtree(removal.take_away(self.folder, self.path), ignore_errors=True)
                return sum(sizes.values())
            unknown = sizes.keys() - known.keys() - {NAME}
            for name in unknown:
                (self.path / name).unlink(missing_ok=True)
            return sum(sizes[name] for name in unknown)

    def _manifest(self) -> Manifest:
        try:
            return Manifest.read((self.path / NAME).read_bytes())
        except FileNotFoundError:
            return Manifest()

    def _readable_manifest(self) -> Manifest:
        """Return the manifest, quarantining a damaged entry; the entry's lock must be held."""
        try:
            return self._manifest()
        except ValueError:
            kept = removal.quarantine(self.folder, self.path)
            _report(f"the manifest of {self.key} cannot be read; the entry is set aside as {kept}")
            return Manifest()

    def _add(
        self,
        new: Mapping[str, Sequence[bytes | memoryview]],
        shapes: Mapping[str, tuple[int, ...]],
        made: Mapping[str, object],
    ) -> None:
        needed = sum(len(part) for parts in new.values() for part in parts)
        # Files are written before the lock is taken, since other processes wait for it.
        with on_disk(self.folder, needed), files.staged(self.folder, new) as staged:
            with locks.entry_lock(self.folder, self.key):
                manifest, index = self._readable_manifest().made_as(made)
                added = {
                    name: file
                    for name, file in staged.items()
                    if name not in manifest.files
                    or files.size_of(self.path / name) != manifest.files[name].bytes
                }
                described = {
                    name: File(file.bytes, file.sha256, shapes[name], index)
                    for name, file in added.items()
                }
                if added:
                    self.path.mkdir(parents=True, exist_ok=True)
                    self._place(added, Manifest(manifest.made, {**manifest.files, **described}))
            keep_within(self.folder, self.limit_bytes, self.key, needed)

    def _place(self, added: Mapping[str, Staged], manifest: Manifest) -> None:
        """Put files in their places, and after them the manifest that lists them."""
        with files.staged(self.folder, {NAME: [manifest.text()]}) as last:
            files.place({self.path / name: file for name, file in {**added, **last}.items()})

    def _drop(self, names: Sequence[str]) -> dict[str, Literal["damaged", "lost"]]:
        """Quarantine damaged files, and remove them from the manifest.

        Returns:
            The state of each; a file that another process has replaced is left out.
        """
        wrong: dict[str, Literal["damaged", "lost"]] = {}
        with on_disk(self.folder), locks.entry_lock(self.folder, self.key):
            manifest = self._readable_manifest()
            for name in manifest.files.keys() & set(names):
                if self._is_sound(name, manifest.files[name]):
                    continue
                wrong[name] = "lost"
                if (self.path / name).exists():
                    wrong[name] = "damaged"
                    kept = removal.quarantine(self.folder, self.path / name)
                    _report(f"{name} of {self.key} is not what was written; set aside as {kept}")
            if wrong:
                left = {name: f for name, f in manifest.files.items() if name not in wrong}
                self._place({}, Manifest(manifest.made, left))
        return wrong

    def _is_sound(self, name: str, file: File) -> bool:
        with on_disk(self.folder):
            try:
                return files.is_sound(self.path / name, file.bytes, file.sha256)
            except FileNotFoundError:
                return False

    def _touch(self) -> None:
        """Record the use of the entry, as the time of its manifest's last change."""
        # Reading must work in a read-only store, and another process may just have removed it.
        with suppress(OSError):
            os.utime(self.path / NAME)


def _report(text: str) -> None:
    print(f"activations: {text}", file=sys.stderr, flush=True)
