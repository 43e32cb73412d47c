"""How representations change through a transformer.

>>> from interp import compose, run
>>> outcome = run(compose("metric=linear_cka", "hook.layers=[0,3,6]"))
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.cli.session import compose, run

__all__ = ["compose", "run"]


def __getattr__(name: str) -> object:
    # The library knows neither Hydra nor the questions that are asked with it: this is the door of
    # the whole project, and nothing of it is imported until somebody knocks.
    if name in __all__:
        from interp.cli import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
