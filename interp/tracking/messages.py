"""What a store is told of a run, as plain values, and how it is told, now or later."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from interp.tracking.store import Run, Store, experiment_of

# The tag by which a run is found again whose creation nobody was told of.
_KEY = "record"


class Point(NamedTuple):
    """A value of a metric; `at` is in milliseconds of the epoch."""

    name: str
    value: float
    at: int
    step: int


@dataclass(frozen=True)
class Opening:
    """What is told of a run as it begins.

    Attributes:
        experiment: the MLflow experiment; empty for a sweep's job, which goes where its sweep is.
        parent: the run of its sweep; empty where there is none.
        name: what it is called.
        tags: what it is.
        began: in milliseconds of the epoch.
        key: unlike any other run's.
    """

    experiment: str
    parent: str
    name: str
    tags: dict[str, str]
    began: int
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Part:
    """Something that is told of a run; to be told it twice does a store no harm.

    Attributes:
        artifacts: folders whose contents are its artifacts.
        params: its configuration.
        metrics: its numbers.
        tags: by name.
        dataset: the fields of the data set that it reads; empty for none.
        status: how it ended; empty while it goes on.
        ended: when, in milliseconds of the epoch.
    """

    artifacts: Sequence[Path] = ()
    params: dict[str, str] = field(default_factory=dict)
    metrics: Sequence[Point] = ()
    tags: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, str] = field(default_factory=dict)
    status: str = ""
    ended: int = 0


def now() -> int:
    """Return the time in milliseconds of the epoch, as MLflow counts it."""
    return time.time_ns() // 10**6


def create(store: Store, opening: Opening) -> Run:
    """Create a run."""
    experiment_id = _experiment(store, opening)
    tags = {**opening.tags, _KEY: opening.key}
    made = store.client.create_run(experiment_id, opening.began, tags, opening.name)
    return Run(store, experiment_id, made.info.run_id)


def created(store: Store, opening: Opening) -> Run:
    """Return the run of that opening, created where it is missing."""
    experiment_id = _experiment(store, opening)
    query = f"tags.{_KEY} = '{opening.key}'"
    found = store.client.search_runs([experiment_id], query, max_results=1)
    return Run(store, experiment_id, found[0].info.run_id) if found else create(store, opening)


def _experiment(store: Store, opening: Opening) -> str:
    if opening.parent:
        return experiment_of(store, opening.parent)
    return store.experiment(opening.experiment)


def tell(store: Store, run_id: str, part: Part) -> None:
    """Tell a store a part of a run: artifacts first, so that no tag tells of one that is missing,
    and the end last.
    """
    from mlflow.entities import Metric, Param, RunTag

    client = store.client
    for folder in part.artifacts:
        client.log_artifacts(run_id, str(folder))
    if part.params or part.metrics or part.tags:
        # MLflow's client splits what is more than a batch may hold.
        client.log_batch(
            run_id,
            metrics=[Metric(*point) for point in part.metrics],
            params=[Param(*item) for item in part.params.items()],
            tags=[RunTag(*item) for item in part.tags.items()],
        )
    if part.dataset:
        _tell_dataset(store, run_id, part.dataset)
    if part.status:
        client.set_terminated(run_id, part.status, part.ended)


def _tell_dataset(store: Store, run_id: str, fields: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    given = DatasetInput(Dataset(**fields), [InputTag("mlflow.data.context", "prompts")])
    # Runs that are the first to log one dataset at once would collide in the database.
    with store.locked():
        try:
            store.client.log_inputs(run_id, [given])
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            # One on another machine was quicker, and the dataset is there now.
            store.client.log_inputs(run_id, [given])
