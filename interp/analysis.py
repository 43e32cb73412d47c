"""The questions that can be asked: what an analysis is, and the registry of them."""

from collections.abc import Callable
from typing import Protocol

from interp.registry import Registry
from interp.result import Result


class Analysis(Protocol):
    """A frozen dataclass whose fields are its settings and whose parameters are what it needs.

    Its `__call__` names any of the properties of `runner.Provisions`, and returns a `Result`.
    Where it has a `check`, that is called in the same way before any weight is loaded, and refuses
    what cannot work with a ConfigError.
    """

    __call__: Callable[..., Result]


ANALYSES: Registry[Analysis] = Registry("analysis")
