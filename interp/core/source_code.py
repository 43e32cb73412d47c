"""Identity of code: a hash of the definitions that a class or function depends on.

A definition is a function, a class or an assignment at the top of a module. It depends on the
definitions that its code names, in its own module or imported from another, and these on further
ones: together they are its closure. Comments, docstrings, layout and the types of parameters do not
count. Code is read and parsed, never imported. A name that a package's `__init__` imports leads to
the module that defines it, and to nothing else there.

What does not count is listed in `_UNDECISIVE` and `_does_not_decide`: modules that draw, print, log
or store what has been computed, and those that name and build components. A question's `report.py`
counts: its sentences and tables are part of the result. Its figures do not.

Annotations are not followed. An object's class counts where the object is made, which is in the
code of a component or of an input.
"""

import ast
import gc
import hashlib
import inspect
import linecache
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

_PROJECT = "interp"
_PROJECT_ROOT = Path(__file__).resolve().parents[2]

# Packages of the project that do not decide a result.
_UNDECISIVE = (
    "interp.core",
    "interp.cli",
    "interp.plotting",
    "interp.tracking",
    "interp.results.comparison",
    "interp.results.notebook",
    # Stored values are checksummed.
    "interp.cache",
)
# Modules in those packages that decide what is read, all the same.
_DECISIVE = ("interp.cache.requests", "interp.cache.plan_record", "interp.cache.chunk_writer")


def _does_not_decide(module: str) -> bool:
    """Whether a module cannot change a result: it draws, prints, logs, stores or builds."""
    if module in _DECISIVE:
        return False
    last = module.rpartition(".")[2]
    if last == "figures" or last.endswith("_figures"):
        return True
    return any(f"{module}.".startswith(f"{package}.") for package in _UNDECISIVE)


@dataclass(frozen=True, order=True)
class Definition:
    """A name at the top of a module, or a method of a class there: "Cosine", "Inputs.plan"."""

    module: str
    name: str


@dataclass(frozen=True)
class Sources:
    """Where the source files of modules are.

    Attributes:
        packages: the folder that holds each top-level package or module.
        folder: a folder of loose modules that import one another, if there is one.
    """

    packages: tuple[tuple[str, Path], ...]
    folder: Path | None = None

    @classmethod
    def of_project(cls) -> "Sources":
        """Return the sources of the project, in the folder that holds the package `interp`."""
        return cls(((_PROJECT, _PROJECT_ROOT),))

    def file(self, module: str) -> Path | None:
        """Return the file of a module; None where it is another package's."""
        top = module.partition(".")[0]
        root = dict(self.packages).get(top, self.folder)
        if root is None:
            return None
        place = root.joinpath(*module.split("."))
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
        return None


def code_hash(roots: Iterable[object]) -> str:
    """Return a hash of the closures of classes, of components by their class, and of definitions.

    Args:
        roots: classes, instances of them, or `Definition`s of the project.
    """
    project = Sources.of_project()
    with _no_garbage_collection():
        hashes = sorted({_hash_of_root(root, project) for root in roots})
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # Syntax trees are many objects that are all kept: looking for garbage doubles the time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _hash_of_root(root: object, project: Sources) -> str:
    if isinstance(root, Definition):
        return _closure_hash(root, project)
    cls = root if isinstance(root, type) else type(root)
    definition = Definition(cls.__module__, cls.__qualname__)
    if cls.__module__.partition(".")[0] == _PROJECT:
        return _closure_hash(definition, project)
    # What is typed into a notebook is in the module __main__ too.
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file:
        return _closure_hash(definition, _sources_of(cls.__module__, Path(file), project))
    return hashlib.sha256(_typed_text(cls)).hexdigest()


def _sources_of(module: str, file: Path, project: Sources) -> Sources:
    """Return where a module outside of the project finds what it imports from its own code."""
    is_package = file.name == "__init__.py"
    root = file.resolve().parents[module.count(".") + is_package]
    top = module.partition(".")[0]
    # Beside an installed module are the modules of others.
    is_loose = "." not in module and not is_package and "site-packages" not in root.parts
    return Sources((*project.packages, (top, root)), root if is_loose else None)


def _typed_text(cls: type) -> bytes:
    """Return the text of a class that is in no file, as a notebook keeps it."""
    for function in vars(cls).values():
        if inspect.isfunction(function) and function.__module__ == cls.__module__:
            # A class does not know where it was typed; its functions do.
            lines = linecache.getlines(function.__code__.co_filename)
            if lines:
                return "".join(lines).encode()
    # Code that cannot be read may have changed: nothing equals it.
    return uuid.uuid4().bytes


def _closure_hash(root: Definition, sources: Sources) -> str:
    """Return the hash of a definition and of all that it depends on."""
    reader = _reader(sources)
    found, waiting = set[Definition](), [root]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(reader.dependencies(one))
    lines = [f"{one.module}:{one.name} {reader.module(one.module).code(one.name)}" for one in found]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


class _Reader:
    """Reads modules and resolves names between them.

    Files are read once per process: code that runs was imported once too.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._modules: dict[str, _Module] = {}
        self._dependencies: dict[Definition, frozenset[Definition]] = {}
        self._files: dict[str, Path | None] = {}

    def file(self, module: str) -> Path | None:
        if module not in self._files:
            self._files[module] = self._sources.file(module)
        return self._files[module]

    def module(self, name: str) -> "_Module":
        if name not in self._modules:
            file = self.file(name)
            if file is None:
                raise LookupError(f"the source of the module {name} is not there")
            self._modules[name] = _Module(name, file)
        return self._modules[name]

    def dependencies(self, definition: Definition) -> frozenset[Definition]:
        """Return the definitions that the code of one names."""
        if definition not in self._dependencies:
            self._dependencies[definition] = frozenset(self._find(definition))
        return self._dependencies[definition]

    def _find(self, definition: Definition) -> Iterator[Definition]:
        module = self.module(definition.module)
        if definition.name == _TOP:
            yield from self._imported_for_effect(module)
        else:
            yield Definition(definition.module, _TOP)
        code = module.read(definition.name)
        imports = {**module.imports, **code.imports}
        for local, (there, _) in code.imports.items():
            if "." in local:
                yield from self._imported(there, "", "")
        for name, attribute in code.names:
            if name not in code.imports and name in module.definitions:
                yield Definition(module.name, name)
            elif name in imports:
                yield from self._imported(*imports[name], attribute)
            else:
                for star in module.stars:
                    if self._is_own(star) and name in self._names_of(star):
                        yield from self._imported(star, name, attribute)

    def _is_own(self, module: str) -> bool:
        return not _does_not_decide(module) and self.file(module) is not None

    def _imported_for_effect(self, module: "_Module") -> Iterator[Definition]:
        """Yield what a module may import for what that does, not for a name in it.

        In the project that is `import a.b`; in the modules of others, anything that they import.
        """
        is_ours = module.name.partition(".")[0] == _PROJECT
        for there, name in module.imports.values():
            if not (is_ours and name):
                yield from self._imported(there, name, "")

    def _names_of(self, module: str) -> set[str]:
        return {*self.module(module).definitions, *self.module(module).imports}

    def _imported(self, module: str, name: str, attribute: str) -> Iterator[Definition]:
        """Yield what is meant by an imported name, and by an attribute of it where it is a module.

        Args:
            module: what is imported from.
            name: what is imported from there; "" for the module itself.
            attribute: what of it is used; "" where all of it may be.
        """
        if name and self._is_own(f"{module}.{name}") and not self._defines(module, name):
            module, name = f"{module}.{name}", ""
        if not self._is_own(module):
            return
        if not name:
            if not attribute:
                yield from (Definition(module, one) for one in self.module(module).definitions)
                yield Definition(module, _TOP)
                return
            name, attribute = attribute, ""
        there = self.module(module)
        if name in there.definitions:
            yield Definition(module, name)
        elif name in there.imports:
            yield from self._imported(*there.imports[name], attribute)
        elif self._is_own(f"{module}.{name}"):
            yield from self._imported(f"{module}.{name}", "", "")
        else:
            for star in there.stars:
                yield from self._imported(star, name, attribute)

    def _defines(self, module: str, name: str) -> bool:
        return self._is_own(module) and name in self._names_of(module)


@cache
def _reader(sources: Sources) -> _Reader:
    return _Reader(sources)


# Stands for what a module does when it is imported, besides defining names.
_TOP = "<module>"


@dataclass(frozen=True)
class _Code:
    """What the code of a definition is and names.

    Attributes:
        hash: of the syntax tree, without docstrings and annotations.
        names: the names that it uses, each with the attribute that is taken of it, "" for none.
        imports: what it imports itself, by the name that it gives it.
    """

    hash: str
    names: frozenset[tuple[str, str]]
    imports: Mapping[str, tuple[str, str]]


@dataclass(eq=False)
class _Module:
    """The source of one module, and where its names are bound."""

    name: str
    file: Path
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    _top: list[ast.stmt] = field(default_factory=list)
    _read: dict[str, _Code] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for statement in ast.parse(self.file.read_bytes()).body:
            self._sort(statement)

    @cached_property
    def package(self) -> list[str]:
        parts = self.name.split(".")
        return parts if self.file.name == "__init__.py" else parts[:-1]

    def _sort(self, statement: ast.stmt) -> None:
        """Note what a statement at the top of the module binds."""
        if _is_for_type_checkers(statement) or _is_docstring(statement):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._note_import(statement)
            return
        names = list(_bound(statement))
        for name in names:
            self.definitions.setdefault(name, []).append(statement)
        if not names:
            self._top.append(statement)
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self._note_import(inner)

    def _note_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for local, (module, name) in _imports(statement, self.package):
            if name == "*":
                self.stars.append(module)
            else:
                self.imports[local] = (module, name)

    def code(self, name: str) -> str:
        """Return the hash of a definition's own code."""
        return self.read(name).hash

    def read(self, name: str) -> _Code:
        """Read a definition; of a name that the module does not bind, all of the module."""
        if name not in self._read:
            self._read[name] = _read(self._statements(name), self.package)
        return self._read[name]

    def _statements(self, name: str) -> list[ast.stmt]:
        if name == _TOP:
            return self._top
        outer, _, inner = name.partition(".")
        if outer not in self.definitions:
            return [one for of in self.definitions.values() for one in of] + self._top
        found = self.definitions[outer]
        for part in inner.split(".") if inner and "<locals>" not in inner else ():
            bodies = [one.body for one in found if isinstance(one, ast.ClassDef)]
            found = [one for body in bodies for one in body if part in _bound(one)]
        return found


def _is_for_type_checkers(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.If):
        return False
    test = statement.test
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _bound(statement: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds, other than by importing."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if all(isinstance(target, ast.Name) for target in targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
            return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def _imports(
    statement: ast.Import | ast.ImportFrom, package: list[str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the names that an import gives, each with the module and what is taken from it."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            # `import a.b` binds a, under which b is found: of b, everything may be used.
            yield alias.asname or alias.name, (alias.name, "")
        return
    above = package[: len(package) - statement.level + 1] if statement.level else []
    module = ".".join([*above, *([statement.module] if statement.module else [])])
    for alias in statement.names:
        yield alias.asname or alias.name, (module, alias.name)


# Fields of syntax trees that change nothing of what code does.
_SILENT = {"ctx", "type_comment", "kind", "returns"}


def _read(statements: list[ast.stmt], package: list[str]) -> _Code:
    """Hash statements, and collect the names that they use and what they import."""
    names: set[tuple[str, str]] = set()
    imports: dict[str, tuple[str, str]] = {}
    written: list[str] = []
    write = written.append
    # Nodes that wait to be visited, the next one last.
    waiting: list[object] = list(reversed(statements))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.AST):
            write(repr(node))
            continue
        if isinstance(node, ast.Name):
            names.add((node.id, ""))
            write(node.id)
            continue
        write(type(node).__name__)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add((node.value.id, node.attr))
            write(f"{node.value.id}.{node.attr}")
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(_imports(node, package))
            continue
        if isinstance(node, ast.If) and _is_for_type_checkers(node):
            continue
        for name in reversed(node._fields):
            value = getattr(node, name)
            if (
                value is None
                or name in _SILENT
                or (name == "annotation" and isinstance(node, ast.arg))
            ):
                continue
            if type(value) is list:
                if name == "body":
                    value = _decisive(value, isinstance(node, ast.ClassDef))
                write(f"{name}{len(value)}")
                waiting.extend(reversed(value))
            else:
                waiting.append(value)
    text = " ".join(written)
    return _Code(hashlib.sha256(text.encode()).hexdigest(), frozenset(names), imports)


def _decisive(body: list[ast.stmt], in_class: bool) -> list[ast.AST]:
    """Return the statements of a body without docstrings and annotations.

    In the body of a class annotations declare the fields of a dataclass, and count.
    """
    found: list[ast.AST] = []
    for one in body:
        if _is_docstring(one):
            continue
        if isinstance(one, ast.AnnAssign) and not in_class:
            if one.value:
                found.append(ast.Assign([one.target], one.value))
            continue
        found.append(one)
    return found
