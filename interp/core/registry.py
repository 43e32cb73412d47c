"""Names to validated components: a registered frozen dataclass is the component and its schema."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from interp.core.errors import ConfigError, nearest

T = TypeVar("T")
C = TypeVar("C")


class Registry(Generic[T]):
    """Maps a component's name to its frozen dataclass, and a configuration to an instance of it.

    Installed packages, this one included, declare their components as entry points of one group; a
    component's module is imported when its name is first asked for, so that a package which cannot
    be imported breaks no run that does not use it. Where another package declares a name that the
    project has, the project's own component is used. A module on the path, as `imports:` names it,
    registers its classes with the decorator.
    """

    def __init__(self, kind: str, entry_points: str) -> None:
        """Build a registry.

        Args:
            kind: the configuration group, as error messages call it: "metric", "model".
            entry_points: the group of entry points that declares components: "interp.metrics".
        """
        self.kind = kind
        self.entry_points = entry_points
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[C]], type[C]]:
        """Return a class decorator that registers a dataclass under `name`.

        A class that is defined again, as a notebook's cell does, replaces the earlier one.

        Raises:
            ValueError: where the name is another class's, or the class is not a dataclass.
        """

        def add(cls: type[C]) -> type[C]:
            there = self._classes.get(name, cls)
            if (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"two {self.kind} components are called {name!r}")
            if not dataclasses.is_dataclass(cls):
                raise ValueError(f"{cls.__name__} must be a dataclass: its fields are its schema")
            self._classes[name] = cast("type[T]", cls)
            return cls

        return add

    def __getitem__(self, name: str) -> type[T]:
        """Return the class registered under `name`, importing its module where needed.

        Raises:
            ConfigError: an unknown name, or a package whose component cannot be imported.
        """
        if name not in self._classes:
            self._load(name)
        return self._classes[name]

    def _load(self, name: str) -> None:
        entry = _declared(self.entry_points).get(name)
        if entry is None:
            raise ConfigError(
                f"{self.kind}.name: unknown {name!r}{nearest(name, self)}; a class of your own "
                "needs imports=[its_module]"
            )
        try:
            cls = entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else entry.module
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"{self.kind}={name}, of the package {package}, cannot be imported: "
                f"{type(error).__name__}: {reason}"
            ) from error
        self.register(name)(cls)

    def name_of(self, component: T) -> str:
        """Return the name that the component's class is registered under."""
        return next(name for name, cls in self._classes.items() if type(component) is cls)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._classes, *_declared(self.entry_points)}))

    def build(self, config: DictConfig | Mapping[str, Any], at: str = "") -> T:
        """Return the component that `config` describes: its `name` and exactly its fields.

        `at` is its key in the configuration, the registry's kind by default.

        Raises:
            ConfigError: an unknown name or field, a wrong type, a missing value, or a value that
                the component itself refuses.
        """
        at = at or self.kind
        if not isinstance(config, (DictConfig, Mapping)):
            raise ConfigError(f"{at}: expected a mapping with a name, got {config!r}")
        if not isinstance(config, DictConfig):
            config = OmegaConf.create(dict(config))
        fields = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))
        if "name" not in fields:
            raise ConfigError(f"{at}.name is missing{nearest('', self)}")
        cls = self[str(fields.pop("name"))]
        known = [field.name for field in dataclasses.fields(cast("Any", cls)) if field.init]
        for key in fields:
            if key not in known:
                raise ConfigError(f"{at}: unknown field {str(key)!r}{nearest(key, known)}")
        try:
            merged = OmegaConf.merge(OmegaConf.structured(cls), fields)
            return cast("T", OmegaConf.to_object(merged))
        except MissingMandatoryValue as error:
            raise ConfigError(f"{at}.{error.full_key} needs a value") from None
        except OmegaConfBaseException as error:
            reason = str(error.msg or error).splitlines()[0]
            raise ConfigError(f"{at}.{error.full_key}: {reason}") from None
        except ConfigError as error:
            raise ConfigError(f"{at}.{error}") from None


@cache
def _declared(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of two with one name, the project's own."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        if entry.name not in found or (entry.dist and entry.dist.name == "interp"):
            found[entry.name] = entry
    return found
