"""The jobs of a sweep, known together: what the others will read, one of them reads for all."""

import json
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from experiments.launch.explain import CONFIG_ERRORS

if TYPE_CHECKING:
    from interp.reuse import Request

# The overrides of the current job's siblings.
OTHERS: ContextVar[Sequence[Sequence[str]]] = ContextVar("OTHERS", default=())

# What Hydra composed when it looked whether every job can be.
_COMPOSED: dict[tuple[str, ...], DictConfig] = {}

# What of a configuration decides which activations are read.
_READING = ("model", "prompts", "hook", "position", "metric", "analysis")


def compose_once() -> None:
    """Make Hydra keep the configurations that it composes to see that no job is misspelt.

    Left to itself it composes each once more when the job's turn comes.
    """
    loader: Any = GlobalHydra.instance().config_loader()
    own = loader.load_sweep_config

    def load(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        key = tuple(sweep_overrides)
        if key not in _COMPOSED:
            _COMPOSED[key] = own(master_config, sweep_overrides)
        return _COMPOSED[key]

    loader.load_sweep_config = load


def wanted_by_others() -> Iterator["Request"]:
    """Yield what the current job's siblings will read; of one that cannot run, nothing."""
    from experiments.launch.job import register_analyses
    from interp.analysis import asks_for
    from interp.config import build
    from interp.reuse import Request

    seen: set[str] = set()
    for overrides in OTHERS.get():
        try:
            config = _COMPOSED.get(tuple(overrides)) or compose("config", overrides=list(overrides))
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
