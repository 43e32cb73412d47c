"""A user's own modules: importing one registers its components, as `imports: [my_module]` says."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from interp.registry import ConfigError, nearest

# What `interp.versions.code_digest` looks through already.
_OURS = ("interp", "experiments")


def register_from(modules: Sequence[str], folders: Iterable[Path]) -> None:
    """Import modules, which register their classes as they are imported.

    Args:
        modules: their names, "my_metrics" or "my_package.metrics".
        folders: where they are looked for, after all that Python finds anyway.

    Raises:
        ConfigError: there is no such module, or it cannot be imported.
    """
    if not modules:
        return
    places = list(dict.fromkeys(str(folder.resolve()) for folder in folders))
    # Last, so that nothing that Python finds anyway is hidden.
    sys.path.extend(place for place in places if place not in sys.path)
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else ""
            if missing and f"{name}.".startswith(f"{missing}."):
                known = [path.stem for place in places for path in Path(place).glob("*.py")]
                where = f" in {' or '.join(places)}{nearest(name, known)}"
                raise ConfigError(f"imports: there is no module {missing!r}{where}") from None
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"imports: {name} cannot be imported: {type(error).__name__}: {reason}"
            ) from error


def code_of(component: object) -> str:
    """Return a digest of the code of a component's class, "" where it is one of the project's.

    Of a class that stands in a file, the file counts with all that it imports from its own folder;
    of one that was typed into a notebook, its own text.
    """
    cls = type(component)
    package = cls.__module__.partition(".")[0]
    if package in _OURS:
        return ""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file:
        texts = [path.read_bytes() for path in sorted(set(_with_imported(Path(file).resolve())))]
    else:
        try:
            texts = [inspect.getsource(cls).encode()]
        except (OSError, TypeError):
            # What cannot be read may have changed: nothing is equal to it.
            texts = [uuid.uuid4().bytes]
    return hashlib.sha256(b"|".join(texts)).hexdigest()


def _with_imported(file: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield a file, and those that it imports which lie in its folder or below."""
    yield file
    for name in _imported(file):
        parts = name.split(".")
        for place in (file.parent.joinpath(*parts), file.parent.joinpath(*parts[1:])):
            for path in (place.with_suffix(".py"), place / "__init__.py"):
                if path.is_file() and path not in seen and path != file:
                    yield from _with_imported(path, seen | {file, path})


def _imported(file: Path) -> Iterator[str]:
    """Yield the names of what a file imports, and of what it takes from there."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{node.module}." if node.module else ""
            yield base.rstrip(".")
            yield from (f"{base}{alias.name}" for alias in node.names)
