"""MLflow: one store that several processes may open, and one record for each run."""

import getpass
import json
import logging
import os
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import BaseFileLock, FileLock

from interp.registry import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from interp.prompts import PromptSet
    from interp.result import Result

# Read by MLflow as it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

_LONGEST_PARAM = 6000
_LONGEST_TAG = 5000
_PARAMS_A_BATCH = 100


@dataclass(frozen=True)
class Store:
    """An MLflow tracking store.

    Attributes:
        uri: a server, or a database.
        artifacts: where artifacts lie; empty for a server, which decides itself.
        outputs: the folder of runs; processes on this machine queue there at a lock file.
        port: where `interp ui` serves the store.
    """

    uri: str
    artifacts: str
    outputs: Path
    port: int

    @classmethod
    def of(cls, outputs: str, uri: str | None, port: int) -> "Store":
        """Return the configured store; by default the sqlite database in the outputs folder."""
        folder = Path(outputs).resolve()
        uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        artifacts = "" if uri.startswith("http") else (folder / "artifacts").as_uri()
        return cls(uri, artifacts, folder, port)

    @cached_property
    def client(self) -> "MlflowClient":
        """The MLflow client, once the store exists.

        Raises:
            ConfigError: the store cannot be opened.
        """
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            self.outputs.mkdir(parents=True, exist_ok=True)
            # Several processes that create a sqlite store at once leave it broken for good.
            with self.locked():
                client = MlflowClient(tracking_uri=self.uri)
                client.search_experiments(max_results=1)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"outputs: {self.outputs} cannot be written: {reason}") from error
        except MlflowException as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"tracking.uri: {self.uri} cannot be opened: {reason}") from error
        return client

    def experiment(self, name: str) -> str:
        """Return the id of the MLflow experiment of that name, created where it is missing."""
        from mlflow.exceptions import MlflowException

        if not name:
            raise ConfigError("tracking.experiment needs a name")
        client = self.client
        with self.locked():
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    return str(client.create_experiment(name, self.artifacts or None))
                except MlflowException:
                    # A process on another machine was quicker.
                    found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage != "active":
                raise ConfigError(
                    f"tracking.experiment: {name!r} was deleted in MLflow; restore it there, or "
                    "choose another name"
                )
            return str(found.experiment_id)

    def locked(self) -> BaseFileLock:
        """Return the lock at which the processes of this machine queue."""
        return FileLock(self.outputs / ".mlflow.lock")

    def is_server(self) -> bool:
        """Whether the store is a server, which has a UI of its own."""
        return self.uri.startswith("http")

    def address(self) -> str:
        """Return the address of the MLflow UI: the server's own, or where `interp ui` serves."""
        return self.uri if self.is_server() else f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Job:
    """A sweep's job, as the process that runs it knows it.

    Attributes:
        store: where the whole sweep is logged.
        parent: the MLflow run of the sweep.
        number: the job's number in the sweep, which names its folder.
        name: what tells this job from the others.
    """

    store: Store
    parent: str
    number: int
    name: str


# Set in the process that runs a sweep's job, for the length of it.
CURRENT_JOB: ContextVar[Job | None] = ContextVar("CURRENT_JOB", default=None)


@dataclass(frozen=True)
class Record:
    """One MLflow run."""

    store: Store
    experiment_id: str
    run_id: str

    def url(self) -> str:
        """Return the address of the run's page in the MLflow UI."""
        return f"{self.store.address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def log_setup(
        self, params: Mapping[str, object], tags: Mapping[str, object], prompts: "PromptSet"
    ) -> None:
        """Log what the run is about, before it works: parameters, tags and its prompt set."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        flat = [Param(key, value) for key, value in dict(_flattened(params)).items()]
        for start in range(0, len(flat), _PARAMS_A_BATCH):
            self.store.client.log_batch(self.run_id, params=flat[start : start + _PARAMS_A_BATCH])
        shown = [RunTag(key, str(value)[:_LONGEST_TAG]) for key, value in tags.items()]
        self.store.client.log_batch(self.run_id, tags=shown)
        numbers = prompts.numeric_columns
        names = ("group", "text", "target", *prompts.columns)
        columns = [{"name": n, "type": "double" if n in numbers else "string"} for n in names]
        dataset = Dataset(
            name=" / ".join(prompts.group_names)[:100],
            digest=prompts.content_hash[:36],
            source_type="local",
            source=json.dumps({"uri": "tables/prompts.csv of this run"}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": len(prompts)}),
        )
        context = [InputTag("mlflow.data.context", "prompts")]
        # Runs that are the first to log one dataset at once would collide in the database.
        with self.store.locked():
            self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, context)])

    def log_step(self, step: int, values: Mapping[str, float]) -> None:
        """Log values of a step while the run works: the point of a curve each."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        self.store.client.log_batch(self.run_id, metrics=metrics)

    def log_result(self, result: "Result", folder: Path) -> None:
        """Log what the run found: metrics in one batch, images a layer, tables, and its folder."""
        from mlflow.entities import Metric

        from interp import figures

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in result.scalars.items()]
        for name, series in result.series.items():
            metrics += [
                Metric(f"layer/{name}", float(value), now, layer)
                for layer, value in zip(series.layers, series.values, strict=True)
            ]
        for name, values in result.spectra.items():
            metrics += [
                Metric(f"component/{name}", float(value), now, component)
                for component, value in enumerate(values, start=1)
            ]
        client = self.store.client
        client.log_batch(self.run_id, metrics=metrics)
        for key, images in result.images.items():
            for layer, figure in images.items():
                client.log_image(self.run_id, figures.pixels(figure), key=key, step=layer)
        for key, animation in result.animations.items():
            for layer, image in animation.pixels.items():
                client.log_image(self.run_id, image, key=key, step=layer)
        for name, table in result.tables.items():
            client.log_table(self.run_id, table, f"tables/{name}.json")
        client.log_artifacts(self.run_id, str(folder))
        if result.finding:
            client.set_tag(self.run_id, "mlflow.note.content", result.finding)
        if result.null:
            client.set_tag(self.run_id, "null", result.null)

    def fail(self, error: BaseException, folder: Path) -> None:
        """Mark the run failed, or killed by the keyboard; keep the traceback and what there is."""
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (folder / "traceback.txt").write_text(text, encoding="utf-8")
        self.store.client.set_tag(self.run_id, "error", one_line(error))
        self.store.client.log_artifacts(self.run_id, str(folder))
        killed = isinstance(error, KeyboardInterrupt)
        self.store.client.set_terminated(self.run_id, "KILLED" if killed else "FAILED")


@contextmanager
def recorded(store: Store, experiment: str, name: str, folder: Path) -> Iterator[Record]:
    """Open an MLflow run, under the current sweep where there is one, and end it as it ends.

    An exception marks the run FAILED, with its traceback in `folder` and among the artifacts, and
    goes on.
    """
    job = CURRENT_JOB.get()
    tags = {"mlflow.user": getpass.getuser(), "mlflow.source.name": "interp"}
    if job is None:
        experiment_id = store.experiment(experiment)
    else:
        store, name = job.store, job.name
        experiment_id = store.client.get_run(job.parent).info.experiment_id
        tags |= {"mlflow.parentRunId": job.parent, "job": str(job.number)}
    run = store.client.create_run(experiment_id, tags=tags, run_name=name)
    record = Record(store, experiment_id, run.info.run_id)
    try:
        yield record
    except BaseException as error:
        record.fail(error, folder)
        raise
    store.client.set_terminated(record.run_id, "FINISHED")


@dataclass(frozen=True)
class Child:
    """A sweep's job as MLflow records it: number and name, how and why it ended, its numbers."""

    run_id: str
    number: int
    name: str
    status: str
    error: str
    null: str
    scalars: dict[str, float]


@dataclass(frozen=True)
class Sweep:
    """The MLflow run that a sweep's jobs hang under."""

    store: Store
    run_id: str

    @classmethod
    def begin(cls, store: Store, experiment: str, overrides: list[str]) -> "Sweep":
        """Open the parent run, named after what is swept."""
        tags = {
            "mlflow.user": getpass.getuser(),
            "mlflow.source.name": "interp",
            "sweep": " ".join(overrides)[:_LONGEST_TAG],
        }
        name = f"sweep {' '.join(overrides)}".strip()[:250]
        run = store.client.create_run(store.experiment(experiment), tags=tags, run_name=name)
        return cls(store, run.info.run_id)

    def name(self) -> str:
        """Return what the sweep is called: what it sweeps over."""
        return str(self.store.client.get_run(self.run_id).info.run_name)

    def children(self) -> list[Child]:
        """Return the jobs that have started, in the order of their numbers."""
        experiment = self.store.client.get_run(self.run_id).info.experiment_id
        found: list[Any] = []
        token: str | None = ""
        while token is not None:
            page = self.store.client.search_runs(
                [experiment],
                f"tags.mlflow.parentRunId = '{self.run_id}'",
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = page.token or None
        children = [
            Child(
                run.info.run_id,
                int(run.data.tags.get("job", -1)),
                run.info.run_name,
                run.info.status,
                run.data.tags.get("error", ""),
                run.data.tags.get("null", ""),
                {key: value for key, value in run.data.metrics.items() if "/" not in key},
            )
            for run in found
        ]
        return sorted(children, key=lambda child: child.number)

    def curve(self, child: Child, key: str) -> dict[int, float]:
        """Return a job's values by step, empty where it has none: "layer/score", by layer."""
        history = self.store.client.get_metric_history(child.run_id, key)
        return {metric.step: metric.value for metric in sorted(history, key=lambda m: m.step)}

    def log_folder(self, folder: Path) -> None:
        """Log what a folder holds as the parent's artifacts."""
        self.store.client.log_artifacts(self.run_id, str(folder), folder.name)

    def end(self, *, completed: bool) -> list[Child]:
        """Close the parent and return its jobs.

        It ends FINISHED where all jobs did, FAILED otherwise; a sweep that never came to a job
        is removed, for it tells nothing.
        """
        for run_id in [child.run_id for child in self.children() if child.status == "RUNNING"]:
            # The launcher has returned, so that the job died without a word.
            self.store.client.set_tag(run_id, "error", "the job's process ended before the job")
            self.store.client.set_terminated(run_id, "KILLED")
        children = self.children()
        if not children:
            self.store.client.delete_run(self.run_id)
            return children
        good = completed and all(child.status == "FINISHED" for child in children)
        self.store.client.set_terminated(self.run_id, "FINISHED" if good else "FAILED")
        return children

    def url(self) -> str:
        """Return the address of the MLflow page that charts the jobs side by side."""
        experiment = self.store.client.get_run(self.run_id).info.experiment_id
        query = {
            "workflowType": "machine_learning",
            "compareRunsMode": "CHART",
            "searchFilter": f"tags.mlflow.parentRunId = '{self.run_id}'",
            # Sorted by start time, MLflow folds the jobs into their parent.
            "orderByKey": "tags.`mlflow.runName`",
            "orderByAsc": "true",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "modelVersionFilter": "All Runs",
            "datasetsFilter": "W10=",
        }
        fields = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"{self.store.address()}/#/experiments/{experiment}/runs?{fields}"


def _flattened(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            # The whole value stands in the run's config.yaml.
            cut = text if len(text) <= _LONGEST_PARAM else f"{text[: _LONGEST_PARAM - 1]}…"
            # MLflow takes letters, digits and a few signs, and names of 250 at most.
            yield re.sub(r"[^\w\-. :/]", "_", f"{prefix}{key}")[:250], cut


def one_line(error: BaseException) -> str:
    """Return the error as one line: its kind, unless it speaks for itself, and its message."""
    first = (str(error).strip().splitlines() or [""])[0]
    kind = "" if isinstance(error, ConfigError) else type(error).__name__
    return ": ".join(part for part in (kind, first) if part)[:_LONGEST_TAG]
