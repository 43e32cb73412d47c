"""What an analysis is, the registry of analyses, and checks that several of them need."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from interp.core.errors import ConfigError
from interp.core.registry import Registry
from interp.results.result import Result

if TYPE_CHECKING:
    from interp.hooks import HookPoint


class Analysis(Protocol):
    """A frozen dataclass: its fields are the settings, the parameters of its methods the inputs.

    Its `__call__` names any of the inputs of `interp.runner.inputs`, and returns a `Result`. Where
    it has a `check`, that is called in the same way before any weight is loaded, and refuses what
    cannot work with a ConfigError.
    """

    __call__: Callable[..., Result]


def asks_for(analysis: Analysis | type[Analysis], *names: str) -> bool:
    """Whether the analysis, or its check, names one of these among its parameters."""
    functions = [analysis.__call__, getattr(analysis, "check", lambda: None)]
    return any(name in inspect.signature(f).parameters for f in functions for name in names)


ANALYSES: Registry[Analysis] = Registry("analysis", "interp.analyses")


def refuse_scores(hook: "HookPoint", analysis: str) -> None:
    """Refuse attention scores as points: they are −∞ for the tokens that are masked.

    Raises:
        ConfigError: the hook reads scores.
    """
    if hook.site == "attn_scores":
        raise ConfigError(
            f"hook: {analysis} compares finite numbers, and attn_scores are −∞ for masked "
            "tokens; use hook=pattern"
        )


@contextmanager
def at_layer(
    hook: "HookPoint", layer: int, layers: tuple[int, ...], model: str = ""
) -> Iterator[None]:
    """Turn a ValueError of a metric into a ConfigError that names the layer.

    Args:
        hook: where activations are read.
        layer: the layer that the metric is evaluated at.
        layers: all layers that are read.
        model: the model's name, where there are two.

    Raises:
        ConfigError: the metric is not defined at the layer; the message names the others.
    """
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        others = ",".join(str(other) for other in layers if other != layer)
        way_out = f"leave the layer out with hook.layers=[{others}], or " if others else ""
        raise ConfigError(
            f"{hook.label} {layer}{f' of {model}' * bool(model)}: {error}; {way_out}read another "
            "position"
        ) from error
