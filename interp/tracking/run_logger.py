"""One MLflow run: its configuration when it starts, its result when it ends."""

import getpass
import json
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from interp.core.errors import InterpError
from interp.tracking import outbox, series_tags
from interp.tracking.availability import guarded_connection
from interp.tracking.charts import job_colour
from interp.tracking.messages import Message, MetricPoint, RunStart, create_run, now, send
from interp.tracking.store import LONGEST_PARAM, LONGEST_TAG, Run, Store, StoreUnavailableError
from interp.tracking.sweep import CURRENT_JOB

if TYPE_CHECKING:
    import pandas as pd

    from interp.data.prompts import PromptSet
    from interp.results.result import Result

# How many names of single numbers are recorded in their order, for MLflow's charts.
_MOST_SCALARS = 20
# MLflow loads a whole table into the browser.
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class RunLogger(Run):
    """Logs one MLflow run as it works, or keeps it on disk for a later start to send.

    Attributes:
        start: what was recorded when the run started.
        logged_steps: names of the metrics that were logged while the run worked.
    """

    start: RunStart
    logged_steps: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def begin(cls, store: Store, start: RunStart) -> "RunLogger":
        """Create the run in the store, or on disk where the store does not answer."""
        try:
            with guarded_connection(store):
                run = create_run(store, start)
        except StoreUnavailableError:
            run = Run(store, "", "")
            outbox.begin(run, start)
        return cls(store, run.experiment_id, run.run_id, start)

    def is_waiting(self) -> bool:
        """Whether some of the run waits on disk."""
        return outbox.has_run(self.store, self.start)

    def send(self, message: Message) -> None:
        """Send a message to the store; where that fails it and all later ones wait on disk."""
        if not self.is_waiting():
            try:
                with guarded_connection(self.store):
                    return send(self.store, self.run_id, message)
            except StoreUnavailableError:
                outbox.begin(self, self.start)
        return outbox.append(self.start.key, message)

    def log_setup(self, params: Mapping[str, object], prompts: "PromptSet") -> None:
        """Log the configuration and the prompt set, before the run works."""
        numbers = prompts.numeric_columns
        names = ("group", "text", "target", *prompts.columns)
        columns = [{"name": n, "type": "double" if n in numbers else "string"} for n in names]
        dataset = {
            "name": " / ".join(prompts.group_names)[:100],
            "digest": prompts.content_hash[:36],
            "source_type": "local",
            "source": json.dumps({"uri": "tables/prompts.csv of this run"}),
            "schema": json.dumps({"mlflow_colspec": columns}),
            "profile": json.dumps({"num_rows": len(prompts)}),
        }
        self.send(Message(params=dict(_flattened(params)), dataset=dataset))

    def log_step(self, step: int, values: Mapping[str, float]) -> None:
        """Log values of a step while the run works: one point of a curve each."""
        at = now()
        points = [MetricPoint(name, float(value), at, step) for name, value in values.items()]
        self.logged_steps.update(values)
        self.send(Message(metrics=points))

    def log_result(self, result: "Result", folder: Path) -> None:
        """Log a result: its folder, one image per layer, tables, then all numbers at once.

        MLflow gets the first 10,000 rows of a table, under a name with that number; the CSV file in
        the folder is complete.
        """
        from interp import plotting
        from interp.tracking.buffered_client import BufferedClient

        with TemporaryDirectory() as staged:
            images = BufferedClient(self.store.uri, Path(staged))
            for key, drawn in result.images.items():
                for layer, figure in drawn.items():
                    images.log_image(self.run_id, plotting.pixels(figure), key=key, step=layer)
            for key, animation in result.animations.items():
                for layer, image in animation.pixels.items():
                    images.log_image(self.run_id, image, key=key, step=layer)
            tags = images.tags | _write_tables(result.tables, Path(staged))
            if result.finding:
                tags["mlflow.note.content"] = result.finding
            if result.null:
                tags["null"] = result.null
            tags |= series_tags.to_tags(result.compared)
            if result.scalars:
                tags["scalars"] = json.dumps(list(result.scalars)[:_MOST_SCALARS])
            points = [p for p in _points(result) if p.name not in self.logged_steps]
            self.send(Message([Path(staged), folder], metrics=points, tags=tags))

    def fail(self, error: BaseException, folder: Path) -> None:
        """Mark the run FAILED, or KILLED by the keyboard; log the traceback and the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (folder / "traceback.txt").write_text(text, encoding="utf-8")
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        self.send(Message([folder], tags={"error": one_line(error)}, status=status, ended=now()))


@contextmanager
def recorded_run(
    store: Store, experiment: str, name: str, folder: Path, tags: Mapping[str, object] | None = None
) -> Iterator[RunLogger]:
    """Open an MLflow run, under the current sweep where there is one, and close it at the end.

    Tags are set when the run is created. An exception marks the run FAILED, with the traceback in
    `folder` and among the artifacts, and is raised again.
    """
    job = CURRENT_JOB.get()
    given = {key: str(value)[:LONGEST_TAG] for key, value in (tags or {}).items()}
    given |= {"mlflow.user": getpass.getuser(), "mlflow.source.name": "interp"}
    if job is None:
        start = RunStart(experiment, "", name, given, now())
    else:
        store = job.store
        given |= {"mlflow.parentRunId": job.parent, "job": str(job.number)}
        given["mlflow.runColor"] = job_colour(job.number)
        start = RunStart("", job.parent, job.name, given, now())
    logger = RunLogger.begin(store, start)
    try:
        yield logger
    except BaseException as error:
        logger.fail(error, folder)
        raise
    logger.send(Message(status="FINISHED", ended=now()))


def _write_tables(tables: Mapping[str, "pd.DataFrame"], folder: Path) -> dict[str, str]:
    """Write tables in the format of MLflow's `log_table`, and return the tag that lists them."""
    (folder / "tables").mkdir()
    paths = []
    for name, table in tables.items():
        cut = f" (first {_MOST_ROWS} rows)" if len(table) > _MOST_ROWS else ""
        paths.append(f"tables/{name}{cut}.json")
        shown = table.head(_MOST_ROWS)
        shown.to_json(folder / paths[-1], orient="split", index=False, date_format="iso")
    entries = [{"path": path, "type": "table"} for path in paths]
    return {"mlflow.loggedArtifacts": json.dumps(entries)} if entries else {}


def _points(result: "Result") -> list[MetricPoint]:
    """Return scalars at step 0, series with the layer and spectra with the component as step.

    A tested series has its own axis as step; MLflow has no value where it is undefined.
    """
    at = now()
    points = [MetricPoint(name, value, at, 0) for name, value in result.scalars.items()]
    for tested in result.tested:
        for key, numbers in tested.metrics.items():
            points += [
                MetricPoint(key, float(number), at, step)
                for step, number in zip(tested.steps, numbers, strict=True)
                if math.isfinite(number)
            ]
    for name, series in result.series.items():
        points += [
            MetricPoint(f"layer/{name}", float(value), at, layer)
            for layer, value in zip(series.layers, series.values, strict=True)
        ]
    for name, values in result.spectra.items():
        points += [
            MetricPoint(f"component/{name}", float(value), at, component)
            for component, value in enumerate(values, start=1)
        ]
    return points


def _flattened(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            # The run's config.yaml holds the whole value.
            cut = text if len(text) <= LONGEST_PARAM else f"{text[: LONGEST_PARAM - 1]}…"
            # MLflow allows letters, digits and a few other characters, 250 at most.
            yield re.sub(r"[^\w\-. :/]", "_", f"{prefix}{key}")[:250], cut


def one_line(error: BaseException) -> str:
    """Return the error as one line: its message, after its type unless it is an InterpError."""
    first = (str(error).strip().splitlines() or [""])[0]
    kind = "" if isinstance(error, InterpError) else type(error).__name__
    return ": ".join(part for part in (kind, first) if part)[:LONGEST_TAG]
