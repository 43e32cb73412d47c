"""The jobs of a sweep, known together: what the others will read, one of them reads for all."""

import json
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hydra import compose
from omegaconf import OmegaConf

from experiments.launch.composition import composed
from experiments.launch.explain import CONFIG_ERRORS

if TYPE_CHECKING:
    from interp.reuse import Request

# The overrides of the current job's siblings.
OTHERS: ContextVar[Sequence[Sequence[str]]] = ContextVar("OTHERS", default=())

# What of a configuration decides which activations are read.
_READING = ("model", "prompts", "hook", "position", "metric", "analysis")


def wanted_by_others() -> Iterator["Request"]:
    """Yield what the current job's siblings will read; of one that cannot run, nothing."""
    from experiments.launch.job import register_analyses
    from interp.analysis import asks_for
    from interp.config import build
    from interp.reuse import Request

    seen: set[str] = set()
    for overrides in OTHERS.get():
        try:
            config = composed(overrides) or compose("config", overrides=list(overrides))
            reading = OmegaConf.to_container(OmegaConf.masked_copy(config, list(_READING)))
            if (settings := json.dumps(reading)) in seen:
                continue
            seen.add(settings)
            register_analyses(OmegaConf.select(config, "analysis.name"))
            task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            e = build(task)
            if asks_for(e.analysis, "activations"):
                yield Request(e.source, e.prompts, e.hook, e.position)
        except CONFIG_ERRORS:
            # Its own job will say what is wrong with it.
            continue
