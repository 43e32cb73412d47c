"""One MLflow run: what it is about as it begins, what it found as it ends."""

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

from interp.core.errors import ConfigError
from interp.results.primary_series import to_text
from interp.tracking import outbox, series_tags
from interp.tracking.availability import reaching
from interp.tracking.charts import colour
from interp.tracking.messages import Opening, Part, Point, create, now, tell
from interp.tracking.store import LONGEST_PARAM, LONGEST_TAG, NoAnswerError, Run, Store
from interp.tracking.sweep import CURRENT_JOB

if TYPE_CHECKING:
    import pandas as pd

    from interp.data.prompts import PromptSet
    from interp.results.result import Result

# The browser holds all of a table that MLflow shows.
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Record(Run):
    """One MLflow run, which is told to its store as it goes, or waits on disk for a later start."""

    opening: Opening
    # Names of the metrics that were logged while the run worked.
    logged_steps: set[str] = field(default_factory=set, compare=False)

    @classmethod
    def begin(cls, store: Store, opening: Opening) -> "Record":
        """Create a run."""
        try:
            with reaching(store):
                run = create(store, opening)
        except NoAnswerError:
            run = Run(store, "", "")
            outbox.wait(run, opening)
        return cls(store, run.experiment_id, run.run_id, opening)

    def waits(self) -> bool:
        """Whether it, or some of it, waits on disk."""
        return outbox.waits(self.store, self.opening)

    def tell(self, part: Part) -> None:
        """Tell the store a part of the run; if that cannot be, it and what follows wait."""
        if not self.waits():
            try:
                with reaching(self.store):
                    return tell(self.store, self.run_id, part)
            except NoAnswerError:
                outbox.wait(self, self.opening)
        return outbox.keep(self.opening.key, part)

    def log_setup(self, params: Mapping[str, object], prompts: "PromptSet") -> None:
        """Log what the run is about, before it works: parameters and its prompt set."""
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
        self.tell(Part(params=dict(_flattened(params)), dataset=dataset))

    def log_step(self, step: int, values: Mapping[str, float]) -> None:
        """Log values of a step while the run works: the point of a curve each."""
        at = now()
        points = [Point(name, float(value), at, step) for name, value in values.items()]
        self.logged_steps.update(values)
        self.tell(Part(metrics=points))

    def log_result(self, result: "Result", folder: Path) -> None:
        """Log what the run found: its folder, images a layer and tables, then all numbers at once.

        Of a table MLflow gets the first 10,000 rows, and a name that says so where there are more;
        the CSV in the folder is whole.
        """
        from interp import plotting
        from interp.tracking.buffered_client import Gathering

        with TemporaryDirectory() as staged:
            images = Gathering(self.store.uri, Path(staged))
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
            tags |= series_tags.to_tags(result.tested)
            if result.headlines:
                tags["headlines"] = to_text(result.headlines)
            points = [p for p in _points(result) if p.name not in self.logged_steps]
            self.tell(Part([Path(staged), folder], metrics=points, tags=tags))

    def fail(self, error: BaseException, folder: Path) -> None:
        """Mark the run failed, or killed by the keyboard; keep the traceback and what there is."""
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (folder / "traceback.txt").write_text(text, encoding="utf-8")
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        self.tell(Part([folder], tags={"error": one_line(error)}, status=status, ended=now()))


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
        opening = Opening(experiment, "", name, given, now())
    else:
        store = job.store
        given |= {"mlflow.parentRunId": job.parent, "job": str(job.number)}
        given["mlflow.runColor"] = colour(job.number)
        opening = Opening("", job.parent, job.name, given, now())
    record = Record.begin(store, opening)
    try:
        yield record
    except BaseException as error:
        record.fail(error, folder)
        raise
    record.tell(Part(status="FINISHED", ended=now()))


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


def _points(result: "Result") -> list[Point]:
    """Return scalars at step 0, series with the layer and spectra with the component as step.

    A tested series has its own axis as step; MLflow has no value where it is undefined.
    """
    at = now()
    points = [Point(name, value, at, 0) for name, value in result.scalars.items()]
    for tested in result.tested:
        for key, numbers in tested.metrics.items():
            points += [
                Point(key, float(number), at, step)
                for step, number in zip(tested.steps, numbers, strict=True)
                if math.isfinite(number)
            ]
    for name, series in result.series.items():
        points += [
            Point(f"layer/{name}", float(value), at, layer)
            for layer, value in zip(series.layers, series.values, strict=True)
        ]
    for name, values in result.spectra.items():
        points += [
            Point(f"component/{name}", float(value), at, component)
            for component, value in enumerate(values, start=1)
        ]
    return points


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
