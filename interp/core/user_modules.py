"""A user's own modules: importing one registers its components, as `imports: [my_module]` says."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from interp.core.errors import ConfigError, nearest

# What `interp.core.versions.code_digest` looks through already.
_OURS = ("interp",)


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

    Of a class that stands in a file, the file counts with all that it imports from its own package,
    or where it is in none from its own folder; of one that was typed into a notebook, its own text.
    """
    cls = type(component)
    if cls.__module__.partition(".")[0] in _OURS:
        return ""
    module = sys.modules.get(cls.__module__)
    if getattr(module, "__file__", None):
        texts = [path.read_bytes() for path in sorted(_with_imported(cls.__module__))]
    else:
        texts = [_typed(cls)]
    return hashlib.sha256(b"|".join(texts)).hexdigest()


def _typed(cls: type) -> bytes:
    """Return the text of a class that stands in no file, as a notebook keeps it."""
    for function in vars(cls).values():
        if inspect.isfunction(function) and function.__module__ == cls.__module__:
            # A class does not know where it was typed; its functions do.
            lines = linecache.getlines(function.__code__.co_filename)
            if lines:
                return "".join(lines).encode()
    # What cannot be read may have changed: nothing is equal to it.
    return uuid.uuid4().bytes


def _with_imported(name: str) -> set[Path]:
    """Return the file of a module that is imported, and those of all that it imports beside it."""
    root = Path(str(sys.modules[name].__file__)).resolve().parent
    is_package = hasattr(sys.modules[name], "__path__")
    for _ in range(name.count(".") + is_package):
        root = root.parent
    found, waiting = set[Path](), {name}
    while waiting:
        module = waiting.pop()
        # What is taken from a module may be a module too, and mostly is not.
        for file in _files(root, module):
            if file not in found:
                found.add(file)
                waiting |= set(_imported(module, file))
    return found


def _files(root: Path, module: str) -> Iterator[Path]:
    place = root.joinpath(*module.split("."))
    for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if file.is_file():
            yield file


def _imported(module: str, file: Path) -> Iterator[str]:
    """Yield the full names of what a module imports, and of what it takes from there."""
    package = module.split(".") if file.stem == "__init__" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            names = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*names, alias.name]) for alias in node.names)
            yield ".".join(names)
