"""The jobs of a sweep, known together: what the others will read, one of them reads for all."""

import json
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig, OmegaConf

from interp.cli.errors import EXPLAINED_ERRORS
from interp.cli.hydra.composition import JOB_COMPOSER, without_hydra
from interp.cli.hydra.imports import register

if TYPE_CHECKING:
    from interp.cache.request import Request

# The overrides of the current job's siblings.
SIBLINGS: ContextVar[Sequence[Sequence[str]]] = ContextVar("SIBLINGS", default=())

# What of a configuration decides which activations of a model and its prompts are read.
_READING = ("hook", "position", "metric", "analysis")


def requests_of_siblings(config: DictConfig, own: "Request") -> Iterator["Request"]:
    """Yield what the current job's siblings will read of the same model and prompts.

    A sibling that cannot run reads nothing.

    Args:
        config: the current job's configuration.
        own: what the current job reads.
    """
    from interp.cache.request import Request
    from interp.runner.analysis import asks_for
    from interp.runner.build import build

    of_own, seen = _resolved(config, ("model", "prompts")), set[str]()
    for overrides in SIBLINGS.get():
        try:
            sibling = _composed(overrides)
            reading = _resolved(sibling, _READING)
            if _resolved(sibling, ("model", "prompts")) != of_own or reading in seen:
                continue
            seen.add(reading)
            register(sibling)
            # A million prompts are not loaded once for each sibling.
            experiment = build(without_hydra(sibling), own.prompts)
            if asks_for(experiment.analysis, "activations"):
                yield Request(own.source, own.prompts, experiment.hook, experiment.position)
        except EXPLAINED_ERRORS:
            # Its own job will report what is wrong with it.
            continue


def _composed(overrides: Sequence[str]) -> DictConfig:
    """Return a job's configuration, as this process knows it or composed anew in a worker."""
    if composer := JOB_COMPOSER.get():
        return composer.compose(overrides)
    composed: DictConfig = hydra.compose("config", overrides=list(overrides))
    return composed


def _resolved(config: DictConfig, keys: Sequence[str]) -> str:
    """Return parts of a configuration as text, every interpolation filled in."""
    return json.dumps([OmegaConf.to_container(config[key], resolve=True) for key in keys])
