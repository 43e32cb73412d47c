"""One MLflow run: what it is about as it begins, what it found as it ends."""

import getpass
import json
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from interp.headline import to_text
from interp.registry import ConfigError
from interp.tracking.store import LONGEST_PARAM, LONGEST_TAG, Store, experiment_of
from interp.tracking.sweep import CURRENT_JOB
from interp.tracking.view import colour

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Metric

    from interp.prompts import PromptSet
    from interp.result import Result

# The browser holds all of a table that MLflow shows.
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Record:
    """One MLflow run."""

    store: Store
    experiment_id: str
    run_id: str

    def url(self) -> str:
        """Return the address of the run's page in the MLflow UI."""
        return f"{self.store.address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def log_setup(self, params: Mapping[str, object], prompts: "PromptSet") -> None:
        """Log what the run is about, before it works: parameters and its prompt set."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        flat = dict(_flattened(params))
        # MLflow's client splits what is more than a batch may hold.
        self.store.client.log_batch(self.run_id, params=[Param(*item) for item in flat.items()])
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
        """Log what the run found: its folder, images a layer and tables, then all numbers at once.

        Of a table MLflow gets the first 10,000 rows, and a name that says so where there are more;
        the CSV in the folder is whole.
        """
        from mlflow.entities import RunTag

        from interp import figures
        from interp.tracking.gathering import Gathering

        client = self.store.client
        with TemporaryDirectory() as staged:
            images = Gathering(self.store.uri, Path(staged))
            for key, drawn in result.images.items():
                for layer, figure in drawn.items():
                    images.log_image(self.run_id, figures.pixels(figure), key=key, step=layer)
            for key, animation in result.animations.items():
                for layer, image in animation.pixels.items():
                    images.log_image(self.run_id, image, key=key, step=layer)
            tags = images.tags | _write_tables(result.tables, Path(staged))
            client.log_artifacts(self.run_id, staged)
        client.log_artifacts(self.run_id, str(folder))
        if result.finding:
            tags["mlflow.note.content"] = result.finding
        if result.null:
            tags["null"] = result.null
        if result.headlines:
            tags["headlines"] = to_text(result.headlines)
        # Last, so that no tag tells of an artifact that is not there.
        client.log_batch(
            self.run_id,
            metrics=_metrics(result),
            tags=[RunTag(key, value) for key, value in tags.items()],
        )

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
def recorded(
    store: Store, experiment: str, name: str, folder: Path, tags: Mapping[str, object] | None = None
) -> Iterator[Record]:
    """Open an MLflow run, under the current sweep where there is one, and end it as it ends.

    It has its tags from the first moment. An exception marks it FAILED, with its traceback in
    `folder` and among the artifacts, and goes on.
    """
    job = CURRENT_JOB.get()
    given = {key: str(value)[:LONGEST_TAG] for key, value in (tags or {}).items()}
    given |= {"mlflow.user": getpass.getuser(), "mlflow.source.name": "interp"}
    if job is None:
        experiment_id = store.experiment(experiment)
    else:
        store, name = job.store, job.name
        experiment_id = experiment_of(store, job.parent)
        given |= {"mlflow.parentRunId": job.parent, "job": str(job.number)}
        given["mlflow.runColor"] = colour(job.number)
    run = store.client.create_run(experiment_id, tags=given, run_name=name)
    record = Record(store, experiment_id, run.info.run_id)
    try:
        yield record
    except BaseException as error:
        record.fail(error, folder)
        raise
    store.client.set_terminated(record.run_id, "FINISHED")


def _write_tables(tables: Mapping[str, "pd.DataFrame"], folder: Path) -> dict[str, str]:
    """Write tables as MLflow's `log_table` does, and return the tag by which it finds them."""
    (folder / "tables").mkdir()
    paths = []
    for name, table in tables.items():
        cut = f" (first {_MOST_ROWS} rows)" if len(table) > _MOST_ROWS else ""
        paths.append(f"tables/{name}{cut}.json")
        shown = table.head(_MOST_ROWS)
        shown.to_json(folder / paths[-1], orient="split", index=False, date_format="iso")
    entries = [{"path": path, "type": "table"} for path in paths]
    return {"mlflow.loggedArtifacts": json.dumps(entries)} if entries else {}


def _metrics(result: "Result") -> list["Metric"]:
    """Return scalars at step 0, series with the layer and spectra with the component as step."""
    from mlflow.entities import Metric

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
    return metrics


def _flattened(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            # The whole value stands in the run's config.yaml.
            cut = text if len(text) <= LONGEST_PARAM else f"{text[: LONGEST_PARAM - 1]}…"
            # MLflow takes letters, digits and a few signs, and names of 250 at most.
            yield re.sub(r"[^\w\-. :/]", "_", f"{prefix}{key}")[:250], cut


def one_line(error: BaseException) -> str:
    """Return the error as one line: its kind, unless it speaks for itself, and its message."""
    first = (str(error).strip().splitlines() or [""])[0]
    kind = "" if isinstance(error, ConfigError) else type(error).__name__
    return ": ".join(part for part in (kind, first) if part)[:LONGEST_TAG]
