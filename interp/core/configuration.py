"""The configuration's schema: a choice for each group, and the settings of a run."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import MISSING, DictConfig, OmegaConf

from interp.core.groups import GROUPS


@dataclass
class Tracking:
    """Where MLflow keeps the runs.

    Attributes:
        uri: a tracking server or database; empty for the sqlite database in `outputs`.
        experiment: the MLflow experiment that the runs go to.
        port: where `interp ui` serves the store, and where printed links point.
    """

    uri: str | None = None
    experiment: str = "${analysis.name}"
    port: int = 5000


@dataclass
class StoredActivations:
    """What is kept of captured activations, in the folder `activations` of `outputs`.

    Attributes:
        limit_gb: GB (10⁹ bytes) above which the least recently used are removed.
    """

    limit_gb: float = 50.0


@dataclass
class Settings:
    """What a configuration sets besides the choices of `interp.core.groups.GROUPS`.

    Attributes:
        reference_draws: how many times the weights of a random reference model are drawn.
        imports: modules of your own, which register their components when they are imported.
        rerun: compute again what an equal run has found already.
        dry: report what would be done, and do none of it.
        seed: of everything that the analysis draws at random.
        outputs: the folder for runs, the MLflow database and its artifacts.
        activations: what is kept of captured activations.
        tracking: where MLflow keeps the runs.
    """

    reference_draws: int = 20
    imports: list[str] = field(default_factory=list)
    rerun: bool = False
    dry: bool = False
    seed: int = 0
    outputs: str = "outputs"
    activations: StoredActivations = field(default_factory=StoredActivations)
    tracking: Tracking = field(default_factory=Tracking)


# The root of every configuration. It stands first in the defaults and refuses misspelt keys.
# Each group's value is a component: the `name` that it is registered under, and its fields.
Config = dataclasses.make_dataclass(
    "Config",
    [
        *((group.name, Any, None if group.is_optional else MISSING) for group in GROUPS),
        *(
            (f.name, f.type, field(default=f.default, default_factory=f.default_factory))
            for f in dataclasses.fields(Settings)
        ),
    ],
    namespace={"__module__": __name__},
)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return the configuration with every interpolation filled in."""
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))


def save(settings: dict[str, Any] | DictConfig, path: Path) -> None:
    """Write a configuration as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(settings), path)
