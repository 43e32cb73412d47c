"""The jobs of a sweep, known together: what the others will read, one of them reads for all."""

import json
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from interp.cli.errors import CONFIG_ERRORS
from interp.cli.hydra.composition import composed

if TYPE_CHECKING:
    from interp.cache.requests import Request

# The overrides of the current job's siblings.
OTHERS: ContextVar[Sequence[Sequence[str]]] = ContextVar("OTHERS", default=())

# What of a configuration decides which activations of a model and its prompts are read.
_READING = ("hook", "position", "metric", "analysis")


def wanted_by_others(config: DictConfig, own: "Request") -> Iterator["Request"]:
    """Yield what the current job's siblings will read of the same model and prompts.

    Of one that cannot run, nothing.

    Args:
        config: the current job's configuration.
        own: what the current job reads.
    """
    from interp.cache.requests import Request
    from interp.cli.hydra.job import register
    from interp.runner.analysis import asks_for
    from interp.runner.build import build

    of_own, seen = _resolved(config, ("model", "prompts")), set[str]()
    for overrides in OTHERS.get():
        try:
            other = composed(overrides) or compose("config", overrides=list(overrides))
            reading = _resolved(other, _READING)
            if _resolved(other, ("model", "prompts")) != of_own or reading in seen:
                continue
            seen.add(reading)
            register(other)
            task = OmegaConf.masked_copy(other, [str(key) for key in other if key != "hydra"])
            # A million prompts are not loaded once for each sibling.
            e = build(task, own.prompts)
            if asks_for(e.analysis, "activations"):
                yield Request(own.source, own.prompts, e.hook, e.position)
        except CONFIG_ERRORS:
            # Its own job will say what is wrong with it.
            continue


def _resolved(config: DictConfig, keys: Sequence[str]) -> str:
    """Return parts of a configuration as text, every interpolation filled in."""
    return json.dumps([OmegaConf.to_container(config[key], resolve=True) for key in keys])
