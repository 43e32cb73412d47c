"""What a store records of a run, as plain values that can be sent now or kept and sent later."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from interp.tracking.store import Run, Store, experiment_id_of

# The tag that finds a run again whose creation was not confirmed.
_KEY_TAG = "record"


class MetricPoint(NamedTuple):
    """One value of a metric; `at` is in milliseconds since the epoch."""

    name: str
    value: float
    at: int
    step: int


@dataclass(frozen=True)
class RunStart:
    """What is recorded when a run starts.

    Attributes:
        experiment: the MLflow experiment; empty for a sweep's job, which is in the sweep's.
        parent: the MLflow run of the sweep; empty where there is none.
        name: the run's name.
        tags: the run's tags.
        began: the time in milliseconds since the epoch.
        key: unique to the run.
    """

    experiment: str
    parent: str
    name: str
    tags: dict[str, str]
    began: int
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Message:
    """What is recorded of a run that has started; sending it twice changes nothing.

    Attributes:
        artifacts: folders whose contents are the artifacts.
        params: the configuration, flattened.
        metrics: the numbers.
        tags: by name.
        dataset: the fields of the data set; empty for none.
        status: how the run ended; empty while it works.
        ended: the time in milliseconds since the epoch.
    """

    artifacts: Sequence[Path] = ()
    params: dict[str, str] = field(default_factory=dict)
    metrics: Sequence[MetricPoint] = ()
    tags: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, str] = field(default_factory=dict)
    status: str = ""
    ended: int = 0


def now() -> int:
    """Return the time in milliseconds since the epoch, MLflow's unit."""
    return time.time_ns() // 10**6


def create_run(store: Store, start: RunStart) -> Run:
    """Create a run."""
    experiment_id = _experiment_id(store, start)
    tags = {**start.tags, _KEY_TAG: start.key}
    made = store.client.create_run(experiment_id, start.began, tags, start.name)
    return Run(store, experiment_id, made.info.run_id)


def find_or_create_run(store: Store, start: RunStart) -> Run:
    """Return the run that was created from a `RunStart`; create it where it is missing."""
    experiment_id = _experiment_id(store, start)
    query = f"tags.{_KEY_TAG} = '{start.key}'"
    found = store.client.search_runs([experiment_id], query, max_results=1)
    return Run(store, experiment_id, found[0].info.run_id) if found else create_run(store, start)


def _experiment_id(store: Store, start: RunStart) -> str:
    if start.parent:
        return experiment_id_of(store, start.parent)
    return store.experiment_id(start.experiment)


def send(store: Store, run_id: str, message: Message) -> None:
    """Send a message to a store.

    Artifacts go first, so that no tag names an artifact that is missing; the status goes last.
    """
    from mlflow.entities import Metric, Param, RunTag

    client = store.client
    for folder in message.artifacts:
        client.log_artifacts(run_id, str(folder))
    if message.params or message.metrics or message.tags:
        # MLflow's client splits what is more than a batch may hold.
        client.log_batch(
            run_id,
            metrics=[Metric(*point) for point in message.metrics],
            params=[Param(*item) for item in message.params.items()],
            tags=[RunTag(*item) for item in message.tags.items()],
        )
    if message.dataset:
        _log_dataset(store, run_id, message.dataset)
    if message.status:
        client.set_terminated(run_id, message.status, message.ended)


def _log_dataset(store: Store, run_id: str, fields: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    given = DatasetInput(Dataset(**fields), [InputTag("mlflow.data.context", "prompts")])
    # Two runs that both log a new data set at once would collide in the database.
    with store.lock():
        try:
            store.client.log_inputs(run_id, [given])
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            # A run on another machine logged the same data set first; it exists now.
            store.client.log_inputs(run_id, [given])
