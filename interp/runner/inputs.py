"""The inputs that an analysis may ask for by name, each made when it is first asked for."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from interp.cache import ActivationStore
from interp.core.groups import GROUPS, Group, group_named
from interp.runner.analysis import Analysis, asks_for
from interp.runner.build import Experiment

if TYPE_CHECKING:
    import pandas as pd

    from interp.cache.request import Request
    from interp.data.activations import Activations
    from interp.data.prompts import PromptSet
    from interp.forward.plan import Plan
    from interp.models.language_model import LanguageModel
    from interp.runner.reference_model import Reference

F = TypeVar("F", bound=Callable[..., Any])

# Takes a step's number, and its values by name.
Track = Callable[[int, Mapping[str, float]], None]

# Takes what is read, and yields what other jobs of the sweep will read of the same model and
# prompts.
SiblingRequests = Callable[["Request"], Iterable["Request"]]


def no_siblings(_request: "Request") -> tuple["Request", ...]:
    """Return the sibling requests of a run outside of a sweep: none."""
    return ()


def _discard(_step: int, _values: Mapping[str, float]) -> None:
    """Discard values of a step where no run records them."""


def made_from(*groups: str) -> Callable[[F], F]:
    """Mark a property as an input, made from the choices of these groups."""

    def mark(function: F) -> F:
        vars(function)["groups"] = groups
        return function

    return mark


class Inputs:
    """What an analysis may ask for by name.

    The component of each group is an input under the name that `interp.core.groups` gives it; the
    properties here that are marked with `made_from` are inputs too.
    """

    def __init__(
        self,
        experiment: Experiment,
        outputs: Path,
        store: ActivationStore,
        siblings: SiblingRequests = no_siblings,
    ) -> None:
        self._experiment = experiment
        self._outputs = outputs
        self._store = store
        self._siblings = siblings
        self._track: Track = _discard

    @cached_property
    def _request(self) -> "Request":
        from interp.cache.request import Request

        e = self._experiment
        return Request(e.source, e.prompts, e.hook, e.position)

    @property
    @made_from("prompts")
    def prompts(self) -> "PromptSet":
        """The prompt set."""
        return self._experiment.prompts

    @cached_property
    @made_from()
    def rng(self) -> np.random.Generator:
        """The random generator, from the configured seed."""
        return np.random.default_rng(self._experiment.seed)

    @property
    @made_from()
    def outputs(self) -> Path:
        """The folder that runs share, for what takes long and may be resumed."""
        return self._outputs

    @property
    @made_from()
    def track(self) -> Track:
        """Sends the values of a step to the run while it computes, one curve per name."""
        return self._track

    def record_steps(self, track: Track) -> None:
        """Send the values that the analysis tracks to `track`."""
        self._track = track

    @cached_property
    @made_from("model", "prompts", "hook", "position")
    def plan(self) -> "Plan":
        """What will be read: tokens, layers, samples. No weight is loaded for it."""
        from interp.cache.requests import plan

        return plan(self._request, self._store)

    @property
    @made_from("model", "prompts", "hook", "position")
    def samples(self) -> "pd.DataFrame":
        """The table of samples, one row each, before anything is read."""
        return self.plan.samples.copy()

    @cached_property
    @made_from("model", "prompts", "hook", "position")
    def activations(self) -> "Activations":
        """The activations at hook and position."""
        from interp.cache.requests import activations

        return activations(self._request, self._store, self._siblings)

    # Not kept here: one model is held in memory at a time, by `interp.models.sources`.
    @property
    @made_from("model")
    def model(self) -> "LanguageModel":
        """The model with its weights, and with its language-model head where it has one."""
        return self._experiment.source.load(head=True)

    @cached_property
    @made_from("model", "prompts", "hook", "position", "reference")
    def reference(self) -> "Reference":
        """The reference model; nothing of it is loaded until its activations are read."""
        from interp.cache.requests import activations, plan
        from interp.runner.reference_model import Reference

        e = self._experiment
        # Without a reference there are no draws, and the model itself gives the title.
        source = e.reference or e.source
        request = dataclasses.replace(self._request, source=source)
        planned = plan(request, self._store)

        def capture(i: int) -> "Activations":
            drawn = dataclasses.replace(source, seed=source.seed + i)

            def siblings(_: "Request") -> "Iterable[Request]":
                # Sibling jobs compare the same model with the same reference.
                others = self._siblings(self._request)
                return (dataclasses.replace(other, source=drawn) for other in others)

            return activations(dataclasses.replace(request, source=drawn), self._store, siblings)

        draws = e.reference_draws if source.is_drawn else 1
        return Reference(
            source.title,
            planned.layers,
            planned.samples.copy(),
            planned.space,
            draws if e.reference else 0,
            capture,
        )

    def requests(self) -> "Iterator[Request]":
        """Yield what the analysis would have read, of the model and of its reference."""
        e = self._experiment
        if asks_for(e.analysis, "activations"):
            yield self._request
        if e.reference and asks_for(e.analysis, "reference"):
            for draw in range(e.reference_draws if e.reference.is_drawn else 1):
                source = dataclasses.replace(e.reference, seed=e.reference.seed + draw)
                yield dataclasses.replace(self._request, source=source)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with the inputs that its parameters name.

        Raises:
            TypeError: a parameter names no input.
        """
        names = list(inspect.signature(function).parameters)
        for name in names:
            if name not in inputs():
                raise TypeError(f"{function}: no input {name!r} (there are {sorted(inputs())})")
        return function(**{name: self._input(name) for name in names})

    def _input(self, name: str) -> Any:
        if name in _COMPONENTS:
            return self._experiment.components[_COMPONENTS[name]]
        return getattr(self, name)


# The group whose component is the input of that name. The analysis itself is none.
_COMPONENTS = {one.input: one.name for one in GROUPS if one.name != "analysis"}


@cache
def inputs() -> Mapping[str, tuple[Group, ...]]:
    """Return every input that an analysis may ask for, with the groups that it is made from."""
    found: dict[str, tuple[Group, ...]] = {
        name: (group_named(of),) for name, of in _COMPONENTS.items()
    }
    for name, member in vars(Inputs).items():
        function = getattr(member, "fget", None) or getattr(member, "func", None)
        names = getattr(function, "groups", None)
        if names is not None:
            found[name] = tuple(group_named(of) for of in names)
    return found


def used_groups(analysis: Analysis | type[Analysis]) -> set[Group]:
    """Return the groups that the inputs are made from which the analysis, or its check, names."""
    return {used for name, of in inputs().items() if asks_for(analysis, name) for used in of}


def derived_inputs(analysis: Analysis | type[Analysis]) -> list[str]:
    """Return the inputs that the analysis, or its check, names and that are no component."""
    return [name for name in inputs() if name not in _COMPONENTS and asks_for(analysis, name)]
