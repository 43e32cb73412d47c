"""What an entry says of itself: its files, their checksums, and how they were made."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

NAME = "manifest.json"
RECORD = "record.npz"

_FORMAT = 1
_LIBRARIES = ("interp", "numpy", "torch", "transformers")
_CHUNK = re.compile(r"layer-(-?\d+)_chunk-(\d+)\.npy")
# The entry stands in the text letter by letter as it was when its checksum was taken.
_TEXT = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "entry": (.*)\}\n', re.S)


def is_digest(key: str) -> bool:
    """Whether a key is a hexadecimal digest, as the name of an entry's folder."""
    return re.fullmatch(r"[0-9a-f]{8,128}", key) is not None


def chunk_name(layer: int, chunk: int) -> str:
    """Return the name of the file of one layer and chunk."""
    return f"layer-{layer:03d}_chunk-{chunk:05d}.npy"


@dataclass(frozen=True)
class File:
    """A file as the manifest knows it.

    Attributes:
        bytes: its size.
        sha256: its checksum.
        shape: of the float32 array in it, [sample, *unit]; empty for a record.
        made: the index of how it was made, in the manifest's `made`.
    """

    bytes: int
    sha256: str
    shape: tuple[int, ...]
    made: int


@dataclass(frozen=True)
class Manifest:
    """An entry's contents.

    Attributes:
        made: each way in which files of the entry were made: what the writer said of it, the
            versions of the libraries, and when the first of them was written.
        files: each file by its name.
    """

    made: tuple[Mapping[str, object], ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)

    def text(self) -> bytes:
        """Return the manifest as JSON that holds its own checksum."""
        entry = {
            "format": _FORMAT,
            "dtype": "float32",
            "made": self.made,
            "files": {name: vars(file) for name, file in self.files.items()},
        }
        text = json.dumps(entry, ensure_ascii=False).encode()
        sha256 = hashlib.sha256(text).hexdigest().encode()
        return b'{"sha256": "%b", "entry": %b}\n' % (sha256, text)

    @classmethod
    def read(cls, text: bytes) -> "Manifest":
        """Return the manifest that `text` gives.

        Raises:
            ValueError: it is not what `text` wrote.
        """
        match = _TEXT.fullmatch(text)
        if match is None or hashlib.sha256(match[2]).hexdigest().encode() != match[1]:
            raise ValueError("the manifest is not what was written")
        entry = json.loads(match[2])
        if entry["format"] != _FORMAT:
            raise ValueError(f"the manifest has format {entry['format']}, not {_FORMAT}")
        files = {
            name: File(**{**file, "shape": tuple(file["shape"])})
            for name, file in entry["files"].items()
        }
        return cls(tuple(entry["made"]), files)

    def layers(self) -> tuple[int, ...]:
        """Return the layers of which there is a chunk, in ascending order."""
        chunks = map(_CHUNK.fullmatch, self.files)
        return tuple(sorted({int(chunk[1]) for chunk in chunks if chunk}))

    def samples(self) -> int:
        """Return the number of samples in the chunks that there are."""
        chunks = {m[2]: self.files[name] for name in self.files if (m := _CHUNK.fullmatch(name))}
        return sum(file.shape[0] for file in chunks.values())

    def made_as(self, made: Mapping[str, object]) -> tuple["Manifest", int]:
        """Return a manifest that knows this way of making files, and the index of it."""
        told = {**json.loads(json.dumps(made)), "versions": versions()}
        for index, known in enumerate(self.made):
            if {key: value for key, value in known.items() if key != "created"} == told:
                return self, index
        told["created"] = datetime.now(UTC).isoformat(timespec="seconds")
        return Manifest((*self.made, told), self.files), len(self.made)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that activations depend on."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
