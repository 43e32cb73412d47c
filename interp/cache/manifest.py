"""The manifest of an entry: its files, their checksums, and how they were computed."""

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
# The checksum is that of the entry's text exactly as it is written here.
_TEXT = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "entry": (.*)\}\n', re.S)


def is_hash(key: str) -> bool:
    """Whether a key is a hexadecimal hash, as the name of an entry's folder is."""
    return re.fullmatch(r"[0-9a-f]{8,128}", key) is not None


def chunk_name(layer: int, chunk: int) -> str:
    """Return the name of the file of one layer and chunk."""
    return f"layer-{layer:03d}_chunk-{chunk:05d}.npy"


@dataclass(frozen=True)
class File:
    """A file in the manifest.

    Attributes:
        bytes: its size.
        sha256: its checksum.
        shape: of the float32 array in it, [sample, *unit]; empty for a record.
        made: the index in the manifest's `made` of how it was computed.
    """

    bytes: int
    sha256: str
    shape: tuple[int, ...]
    made: int


@dataclass(frozen=True)
class Manifest:
    """An entry's contents.

    Attributes:
        made: each way in which files of the entry were computed: what the writer passed, the
            versions of the libraries, and when the first of them was written.
        files: the files by name.
    """

    made: tuple[Mapping[str, object], ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)

    def text(self) -> bytes:
        """Return the manifest as JSON that contains its own checksum."""
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
        """Return the manifest of a text that the method `text` wrote.

        Raises:
            ValueError: the text is damaged, or has another format.
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
        """Return the layers that have a chunk, in ascending order."""
        chunks = map(_CHUNK.fullmatch, self.files)
        return tuple(sorted({int(chunk[1]) for chunk in chunks if chunk}))

    def samples(self) -> int:
        """Return the number of samples in the chunks of the entry."""
        chunks = {m[2]: self.files[name] for name in self.files if (m := _CHUNK.fullmatch(name))}
        return sum(file.shape[0] for file in chunks.values())

    def made_as(self, made: Mapping[str, object]) -> tuple["Manifest", int]:
        """Return a manifest that includes this way of computing files, and its index."""
        way = {**json.loads(json.dumps(made)), "versions": versions()}
        for index, known in enumerate(self.made):
            if {key: value for key, value in known.items() if key != "created"} == way:
                return self, index
        way["created"] = datetime.now(UTC).isoformat(timespec="seconds")
        return Manifest((*self.made, way), self.files), len(self.made)


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
