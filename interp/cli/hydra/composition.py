"""Composing the jobs of a sweep: each once, and what their choices of files decide once for all.

Hydra composes every job when it looks whether none is misspelt, and again when the job's turn
comes; and each time it walks the defaults lists and merges the files anew, though most jobs differ
from one another in a value alone.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from hydra._internal import config_loader_impl
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

# What Hydra composed when it looked whether every job can be.
_COMPOSED: dict[tuple[str, ...], DictConfig] = {}

_OWN = config_loader_impl.create_defaults_list


def compose_once() -> None:
    """Make Hydra keep what it composes of this process's sweep, until `forget` is called.

    For jobs that run in this process: what Hydra composes with goes to every other one.
    """
    forget()
    loader: Any = GlobalHydra.instance().config_loader()
    own = loader.load_sweep_config

    def load(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        key = tuple(sweep_overrides)
        if key not in _COMPOSED:
            _COMPOSED[key] = own(master_config, sweep_overrides)
        return _COMPOSED[key]

    loader.load_sweep_config = load
    loader._compose_config_from_defaults_list = _merged(loader._compose_config_from_defaults_list)
    config_loader_impl.create_defaults_list = _listed(_OWN)


def forget() -> None:
    """Leave Hydra as it was for what is composed next, and keep nothing."""
    _COMPOSED.clear()
    config_loader_impl.create_defaults_list = _OWN


def composed(overrides: Sequence[str]) -> DictConfig | None:
    """Return the configuration of the job with these overrides; None where it was not composed."""
    return _COMPOSED.get(tuple(overrides))


def _listed(own: Callable[..., Any]) -> Callable[..., Any]:
    """Keep defaults lists, which the overrides that choose files decide, and no others."""
    known: dict[tuple[object, ...], Any] = {}

    def create(repo: Any, config_name: str, overrides_list: list[Any], **how: bool) -> Any:
        values = [
            override
            for override in overrides_list
            if isinstance(override.value(), dict) or not repo.group_exists(override.key_or_group)
        ]
        chosen = (o.input_line for o in overrides_list if all(o is not value for value in values))
        sources = (source.path for source in repo.get_sources())
        key = (config_name, *chosen, *sources, *how.items())
        if key not in known:
            known[key] = own(
                repo=repo, config_name=config_name, overrides_list=overrides_list, **how
            )
        return dataclasses.replace(known[key], config_overrides=values)

    return create


def _merged(own: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Keep what files give that are laid over one another in the same order."""
    known: dict[tuple[object, ...], DictConfig] = {}

    def compose(defaults: list[Any], repo: Any) -> DictConfig:
        files = (dataclasses.astuple(default) for default in defaults)
        key = (*files, *(source.path for source in repo.get_sources()))
        if key not in known:
            known[key] = own(defaults=defaults, repo=repo)
        # What is composed is changed afterwards, by the overrides that are values.
        return copy.deepcopy(known[key])

    return compose
