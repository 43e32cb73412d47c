"""What a run would do: whether an equal one has finished, and which activations are missing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.cache import ActivationStore
from interp.cache.request import Request
from interp.cache.requests import RemainingWork, remaining_work
from interp.data.positions import described
from interp.runner.run import prepare
from interp.tracking import Store, find_finished_runs

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True, eq=False)
class Forecast:
    """What one run would do.

    Attributes:
        name: its name.
        analysis: the question.
        known: when an equal run finished, in local time; "" where none has.
        requests: the activations that it needs, each with what the store lacks of them.
        experiment: the MLflow experiment that it would go to.
    """

    name: str
    analysis: str
    known: str
    requests: tuple[tuple[Request, RemainingWork], ...]
    experiment: str


def forecast(config: "DictConfig", experiment: str = "") -> Forecast:
    """Return what a run of the configuration would do.

    The plan of what it reads is stored with the activations, where the run will find it; nothing
    else is written.

    Args:
        config: the configuration.
        experiment: the MLflow experiment of the sweep that the run is a job of; its own otherwise.

    Raises:
        ConfigError: something is wrong with the configuration.
    """
    prepared = prepare(config)
    store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
    at = experiment or prepared.settings["tracking"]["experiment"]
    known = ""
    if store.exists() and not config.rerun:
        found = find_finished_runs(store, at, str(prepared.tags["fingerprint"]))
        known = next((run.ended for run in found), "")
    activations = ActivationStore.of(config.outputs, config.activations.limit_gb)
    wanted = () if known else prepared.inputs.requests()
    analysis = prepared.settings["analysis"]["name"]
    return Forecast(
        prepared.name,
        analysis,
        known,
        tuple((request, remaining_work(request, activations)) for request in wanted),
        at,
    )


@dataclass(frozen=True)
class Pass:
    """What one forward pass would read, for all requests of one model and its prompts.

    Attributes:
        title: the model.
        sites: what is read, each as site, missing layers and position.
        prompts: the number of prompts.
        tokens: the number of their tokens, at most.
        bytes: the size of the files, about.
        products: the number of multiplications, at most.
    """

    title: str
    sites: tuple[str, ...]
    prompts: int
    tokens: int
    bytes: int
    products: int


def passes(forecasts: Iterable[Forecast]) -> Iterator[tuple[Request, Pass]]:
    """Yield the forward passes that several runs need together, each with one of its requests."""
    groups: dict[str, dict[str, list[tuple[Request, RemainingWork]]]] = {}
    for one in forecasts:
        for request, work in one.requests:
            if work.layers:
                of_model = groups.setdefault(request.of_model, {})
                of_model.setdefault(request.values, []).append((request, work))
    for of_model in groups.values():
        sites, size = [], 0
        for of_values in of_model.values():
            layers = sorted({layer for _, work in of_values for layer in work.layers})
            request = of_values[0][0]
            named = f"{request.hook.label} {_list_layers(layers)}, {described(request.position)}"
            sites.append(named)
            size += max(work.bytes // len(work.layers) for _, work in of_values) * len(layers)
        pairs = [pair for of_values in of_model.values() for pair in of_values]
        request = pairs[0][0]
        tokens = pairs[0][1].tokens
        parameters = max(work.parameters for _, work in pairs)
        yield (
            request,
            Pass(
                request.source.title,
                tuple(sites),
                len(request.prompts),
                tokens,
                size,
                tokens * parameters,
            ),
        )


def _list_layers(layers: Sequence[int]) -> str:
    first, last = layers[0], layers[-1]
    if len(layers) > 2 and list(layers) == list(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(map(str, layers))
