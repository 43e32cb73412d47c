"""Names to validated components: a registered frozen dataclass is the component and its schema."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

T = TypeVar("T")
C = TypeVar("C")


class ConfigError(ValueError):
    """What was configured cannot run; the message is one line for the person who configured it."""


def nearest(given: object, known: Iterable[object]) -> str:
    """Say which of the known names comes nearest to the given one, and list them all."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"{guess} (known: {', '.join(names) or 'none'})"


def check_choice(field: str, given: object, known: Iterable[object]) -> None:
    """Refuse a field's value that is not one of the known names.

    Raises:
        ConfigError: naming the field, the value and the nearest valid one.
    """
    names = tuple(known)
    if given not in names:
        raise ConfigError(f"{field} cannot be {given!r}{nearest(given, names)}")


class Registry(Generic[T]):
    """Maps a component's name to its frozen dataclass, and a configuration to an instance of it."""

    def __init__(self, kind: str) -> None:
        """`kind` is the configuration group, as error messages call it: "metric", "model"."""
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[C]], type[C]]:
        """Class decorator that puts a dataclass under `name`; one defined anew takes its place.

        Raises:
            ValueError: where the name is another class's, or the class is not a dataclass.
        """

        def add(cls: type[C]) -> type[C]:
            there = self._classes.get(name, cls)
            # A notebook's cell that is run again defines its class anew.
            if (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"two {self.kind} components are called {name!r}")
            if not dataclasses.is_dataclass(cls):
                raise ValueError(f"{cls.__name__} must be a dataclass: its fields are its schema")
            self._classes[name] = cast("type[T]", cls)
            return cls

        return add

    def __getitem__(self, name: str) -> type[T]:
        """Return the class registered under `name`; a ConfigError names the nearest otherwise."""
        if name not in self._classes:
            raise ConfigError(
                f"{self.kind}.name: unknown {name!r}{nearest(name, self)}; a class of your own "
                "needs imports=[its_module]"
            )
        return self._classes[name]

    def name_of(self, component: T) -> str:
        """Return the name that the component's class is registered under."""
        return next(name for name, cls in self._classes.items() if type(component) is cls)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def build(self, config: DictConfig | Mapping[str, Any], at: str = "") -> T:
        """Return the component that `config` describes: its `name` and exactly its fields.

        `at` is where it stands in the configuration, where that is not under the registry's kind.

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
