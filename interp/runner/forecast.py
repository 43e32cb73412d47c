"""What a run would do, without doing it: whether it is done already, and what it would read."""

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
        name: what it would be called.
        analysis: the question.
        known: when an equal run found it, in local time; "" where none has.
        requests: the activations that it needs, and what the store lacks of them.
        experiment: the MLflow experiment that it would go to.
    """

    name: str
    analysis: str
    known: str
    requests: tuple[tuple[Request, RemainingWork], ...]
    experiment: str


def forecast(config: "DictConfig", experiment: str = "") -> Forecast:
    """Say what a run of the configuration would do.

    The plan of what it reads is kept beside the activations, where the run will find it; nothing
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
    kept = ActivationStore.of(config.outputs, config.activations.limit_gb)
    wanted = () if known else prepared.inputs.requests()
    analysis = prepared.settings["analysis"]["name"]
    return Forecast(
        prepared.name,
        analysis,
        known,
        tuple((request, remaining_work(request, kept)) for request in wanted),
        at,
    )


@dataclass(frozen=True)
class Pass:
    """What one forward pass would read, for all who want something of one model and prompts.

    Attributes:
        title: the model.
        sites: where it is read: site, layers that are missing, position.
        prompts: how many there are.
        tokens: how many they have, at most.
        bytes: about what the files will take.
        products: of two numbers, that it takes at most.
    """

    title: str
    sites: tuple[str, ...]
    prompts: int
    tokens: int
    bytes: int
    products: int


def passes(forecasts: Iterable[Forecast]) -> Iterator[tuple[Request, Pass]]:
    """Yield the forward passes that several runs need together, each with one who asks for it."""
    groups: dict[str, dict[str, list[tuple[Request, RemainingWork]]]] = {}
    for one in forecasts:
        for request, lack in one.requests:
            if lack.layers:
                of_model = groups.setdefault(request.of_model, {})
                of_model.setdefault(request.values, []).append((request, lack))
    for of_model in groups.values():
        sites, size = [], 0
        for asked in of_model.values():
            layers = sorted({layer for _, lack in asked for layer in lack.layers})
            request = asked[0][0]
            site = f"{request.hook.label} {_said(layers)}, {described(request.position)}"
            sites.append(site)
            size += max(lack.bytes // len(lack.layers) for _, lack in asked) * len(layers)
        everyone = [pair for asked in of_model.values() for pair in asked]
        request = everyone[0][0]
        tokens = everyone[0][1].tokens
        parameters = max(lack.parameters for _, lack in everyone)
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


def _said(layers: Sequence[int]) -> str:
    first, last = layers[0], layers[-1]
    if len(layers) > 2 and list(layers) == list(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(map(str, layers))
