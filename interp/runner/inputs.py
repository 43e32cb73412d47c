"""What an analysis may ask for by name."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.cache import ActivationStore
from interp.core.configuration import Experiment

if TYPE_CHECKING:
    import pandas as pd

    from interp.cache.requests import Request
    from interp.clusterings import Clustering
    from interp.data.activations import Activations
    from interp.data.positions import Position
    from interp.data.prompts import PromptSet, PromptSource
    from interp.forward.plan import Plan
    from interp.hooks import HookPoint
    from interp.metrics import Metric
    from interp.models import ModelSource
    from interp.models.language_model import LanguageModel
    from interp.reductions import Reduction
    from interp.runner.reference_model import Reference

# Takes a step's number, and its values by name.
Track = Callable[[int, Mapping[str, float]], None]

# Takes what is read, and tells what others will read of the same model and prompts.
SiblingRequests = Callable[["Request"], Iterable["Request"]]


def _nowhere(_step: int, _values: Mapping[str, float]) -> None:
    """Stand in for a run that has not begun."""


def alone(_request: "Request") -> tuple["Request", ...]:
    """Stand in for the siblings of a run that has none."""
    return ()


class Provisions:
    """What an analysis may ask for by name, each made when it is first asked for.

    Attributes:
        outputs: the folder that runs share: what takes long may be kept there, to go on from.
        track: sends values of a step to the run while it works, one curve a name.
    """

    def __init__(
        self,
        experiment: Experiment,
        outputs: Path,
        store: ActivationStore,
        siblings: SiblingRequests = alone,
    ) -> None:
        self._experiment = experiment
        self._store = store
        self._siblings = siblings
        self.outputs = outputs
        self.track: Track = _nowhere

    @cached_property
    def _request(self) -> "Request":
        from interp.cache.requests import Request

        e = self._experiment
        return Request(e.source, e.prompts, e.hook, e.position)

    @property
    def prompts(self) -> "PromptSet":
        """The prompt set."""
        return self._experiment.prompts

    @property
    def prompt_source(self) -> "PromptSource":
        """Where the prompts come from: the rule that made them, with its settings."""
        return self._experiment.prompt_source

    @property
    def source(self) -> "ModelSource":
        """The model's description: its title, without its weights."""
        return self._experiment.source

    @property
    def hook(self) -> "HookPoint":
        """Where activations are read."""
        return self._experiment.hook

    @property
    def position(self) -> "Position":
        """Which tokens are read."""
        return self._experiment.position

    @property
    def reduction(self) -> "Reduction":
        """The reduction."""
        return self._experiment.reduction

    @property
    def clustering(self) -> "Clustering":
        """The clustering."""
        return self._experiment.clustering

    @property
    def metric(self) -> "Metric":
        """The metric."""
        return self._experiment.metric

    @cached_property
    def rng(self) -> np.random.Generator:
        """The random generator, from the configured seed."""
        return np.random.default_rng(self._experiment.seed)

    @cached_property
    def plan(self) -> "Plan":
        """What will be read: tokens, layers, samples; no weight is loaded for it."""
        from interp.cache.requests import plan

        return plan(self._request, self._store)

    @property
    def samples(self) -> "pd.DataFrame":
        """The table of samples, one row each, before anything is read."""
        return self.plan.samples.copy()

    @property
    def model(self) -> "LanguageModel":
        """The model with its weights, and its head where it has one."""
        return self._experiment.source.load(head=True)

    @property
    def reference_source(self) -> "ModelSource | None":
        """The description of the model that the run is held against, where there is one."""
        return self._experiment.reference

    @cached_property
    def reference(self) -> "Reference":
        """The model that the run is held against; nothing of it is loaded until it is read."""
        from interp.cache.requests import activations, plan
        from interp.runner.reference_model import Reference

        e = self._experiment
        # Without one there is nothing to draw, and the model stands in for its title.
        source = e.reference or e.source
        request = dataclasses.replace(self._request, source=source)
        what = plan(request, self._store)

        def drawn(i: int) -> "Activations":
            twin = dataclasses.replace(source, seed=source.seed + i)

            def siblings_of_twin(_: "Request") -> "Iterable[Request]":
                # SiblingRequests hold the same model against the same reference.
                others = self._siblings(self._request)
                return (dataclasses.replace(other, source=twin) for other in others)

            return activations(
                dataclasses.replace(request, source=twin), self._store, siblings_of_twin
            )

        draws = e.reference_draws if source.is_drawn else 1
        draws = draws if e.reference else 0
        return Reference(source.title, what.layers, what.samples.copy(), what.space, draws, drawn)

    def requests(self) -> "Iterator[Request]":
        """Yield what the analysis would have read, of the model and of its reference."""
        from interp.runner.analysis import asks_for

        e = self._experiment
        if asks_for(e.analysis, "activations"):
            yield self._request
        if e.reference and asks_for(e.analysis, "reference"):
            for draw in range(e.reference_draws if e.reference.is_drawn else 1):
                source = dataclasses.replace(e.reference, seed=e.reference.seed + draw)
                yield dataclasses.replace(self._request, source=source)

    @cached_property
    def activations(self) -> "Activations":
        """The activations at hook and position."""
        from interp.cache.requests import activations

        return activations(self._request, self._store, self._siblings)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function with the provisions that its parameters name.

        Raises:
            TypeError: a parameter that names none of them.
        """
        names = list(inspect.signature(function).parameters)
        known = [n for n in dir(self) if not n.startswith("_") and n not in ("call", "requests")]
        for name in names:
            if name not in known:
                raise TypeError(f"{function}: no provision {name!r} (there are {known})")
        return function(**{name: getattr(self, name) for name in names})
