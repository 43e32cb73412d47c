"""How representations change through a transformer.

>>> from interp import activations, compose, load, run
>>> outcome = run(compose("metric=linear_cka", "hook.layers=[0,3,6]"))  # a run, logged to MLflow
>>> result = load(outcome.folder)  # what it found, also in another session
>>> captured = activations(compose("model=gpt2", "prompts=him_her"))  # what a run would read
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.cli.session import activations, compose, load, run

__all__ = ["activations", "compose", "load", "run"]


def __getattr__(name: str) -> object:
    # Imported when it is asked for: `import interp.metrics` needs neither Hydra nor the questions.
    if name in __all__:
        from interp.cli import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
