"""The result of an analysis, and its files: what is logged, and nothing else."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.stats.tested_series import TestedSeries

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Series:
    """A finite value for each layer; `layers` and `values` are of one length."""

    layers: tuple[int, ...]
    values: NDArray[np.float64]

    @classmethod
    def over(cls, layers: Sequence[int], values: ArrayLike) -> "Series":
        """Build a series.

        Raises:
            ValueError: lengths differ, or a value is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(layers),):
            raise ValueError(f"{len(layers)} layers need as many values, not shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"a series must be finite, not {array.tolist()}")
        return cls(tuple(int(layer) for layer in layers), array)


@dataclass(frozen=True, eq=False)
class Animation:
    """Figures of one size, to be shown one after the other.

    Attributes:
        title: of the animation.
        frames: the figure of each layer.
        names: of the frames, in order.
    """

    title: str
    frames: dict[int, "Figure"]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.frames or len(self.names) != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames cannot have {len(self.names)} names")

    @cached_property
    def pixels(self) -> dict[int, NDArray[np.uint8]]:
        """The frames as RGB images [height, width, 3], rendered once."""
        from interp import plotting

        return {layer: plotting.pixels(figure) for layer, figure in self.frames.items()}


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that a run found.

    Attributes:
        tested: series with their null, test and interval; runs are compared by these, the primary
            one first.
        series: further series over layers, without a test.
        spectra: finite values of components 1, 2, …
        scalars: single finite numbers.
        tables: written as CSV, and shown side by side in MLflow.
        figures: written as PNG and SVG.
        images: figures of one size with the same axes, one per layer, for MLflow's slider.
        animations: as images; written as a GIF and as a page to step through, too.
        folders: folders to keep with the run, such as a trained model.
        finding: the result in a sentence or two.
        null: in a few words, what scores are calibrated against.
    """

    tested: tuple[TestedSeries, ...] = ()
    series: dict[str, Series] = field(default_factory=dict)
    spectra: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    tables: "dict[str, pd.DataFrame]" = field(default_factory=dict)
    figures: dict[str, "Figure"] = field(default_factory=dict)
    images: dict[str, dict[int, "Figure"]] = field(default_factory=dict)
    animations: dict[str, Animation] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    finding: str = ""
    null: str = ""

    def __post_init__(self) -> None:
        for name, value in self.scalars.items():
            if not math.isfinite(value):
                raise ValueError(f"scalar {name} must be finite, not {value}")
        for name, values in self.spectra.items():
            if not np.isfinite(values).all():
                raise ValueError(f"the spectrum {name} must be finite, not {values.tolist()}")
        keys = [key for one in self.tested for key in one.metrics]
        keys += [f"layer/{name}" for name in self.series]
        keys += [f"component/{name}" for name in self.spectra]
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"several series have the name {', '.join(repeated)}")

    @classmethod
    def merged(cls, parts: Sequence["Result"]) -> "Result":
        """Merge the results of several parts, with their findings as paragraphs.

        Where two parts use the same name, the later one wins.
        """
        kept = (
            "series",
            "spectra",
            "scalars",
            "tables",
            "figures",
            "images",
            "animations",
            "folders",
        )
        return cls(
            **{
                name: {key: value for part in parts for key, value in getattr(part, name).items()}
                for name in kept
            },
            finding="\n\n".join(part.finding for part in parts if part.finding),
            null="; ".join(part.null for part in parts if part.null),
            tested=tuple(one for part in parts for one in part.tested),
        )

    @property
    def compared(self) -> tuple[TestedSeries, ...]:
        """The series that runs are compared by: the tested ones, else all that have no test."""
        if self.tested:
            return self.tested
        plain = [
            TestedSeries(name, name.replace("_", " "), series.layers, series.values)
            for name, series in self.series.items()
        ]
        plain += [
            TestedSeries(
                name,
                name.replace("_", " "),
                tuple(range(1, len(values) + 1)),
                values,
                axis="component",
            )
            for name, values in self.spectra.items()
        ]
        return tuple(plain)

    def layer_table(self) -> "pd.DataFrame":
        """Return all series over layers side by side, one row per layer.

        A tested series `x` has the columns `x`, `x_null_mean`, …; a cell without a number is nan.
        """
        import pandas as pd

        columns = {
            key.partition("/")[2]: pd.Series(values, index=one.steps)
            for one in self.tested
            if one.axis == "layer"
            for key, values in one.metrics.items()
        }
        columns |= {name: pd.Series(s.values, index=s.layers) for name, s in self.series.items()}
        return pd.DataFrame(columns).rename_axis("layer").reset_index()

    def summary_table(self) -> "pd.DataFrame":
        """Return the table named "summary", or the table of all series where there is none."""
        return self.tables["summary"] if "summary" in self.tables else self.layer_table()

    @classmethod
    def load(cls, folder: Path) -> "Result":
        """Return the numbers, tables and finding that `save` wrote; figures stay files."""
        import pandas as pd

        numbers = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        metrics = {
            key: {int(step): value for step, value in of.items()}
            for key, of in numbers["tested"]["metrics"].items()
        }
        finding = folder / "finding.txt"
        return cls(
            tested=tuple(
                TestedSeries.from_metrics(one, metrics)
                for one in numbers["tested"]["specifications"]
            ),
            series={
                name: Series.over(of["layers"], of["values"])
                for name, of in numbers["series"].items()
            },
            spectra={name: np.array(values) for name, values in numbers["spectra"].items()},
            scalars=numbers["scalars"],
            tables={
                path.stem: pd.read_csv(path) for path in sorted((folder / "tables").glob("*.csv"))
            },
            finding=finding.read_text(encoding="utf-8").rstrip("\n") if finding.is_file() else "",
        )

    def save(self, folder: Path) -> None:
        """Write result.json, finding.txt, and the folders tables, figures and animations."""
        from interp import plotting

        folder.mkdir(parents=True, exist_ok=True)
        numbers = {
            "scalars": self.scalars,
            "tested": {
                "specifications": [one.specification() for one in self.tested],
                "metrics": {
                    key: {
                        str(step): float(value)
                        for step, value in zip(one.steps, values, strict=True)
                        if math.isfinite(value)
                    }
                    for one in self.tested
                    for key, values in one.metrics.items()
                },
            },
            "series": {
                name: {"layers": list(s.layers), "values": s.values.tolist()}
                for name, s in self.series.items()
            },
            "spectra": {name: values.tolist() for name, values in self.spectra.items()},
        }
        text = json.dumps(numbers, indent=2, allow_nan=False, ensure_ascii=False)
        (folder / "result.json").write_text(text + "\n", encoding="utf-8")
        if self.finding:
            (folder / "finding.txt").write_text(self.finding + "\n", encoding="utf-8")
        for name, table in self.tables.items():
            (folder / "tables").mkdir(exist_ok=True)
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        for name, figure in self.figures.items():
            plotting.save(figure, folder / "figures" / name)
        for name, source in self.folders.items():
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
        for name, animation in self.animations.items():
            frames, path = list(animation.pixels.values()), folder / "animations" / name
            plotting.gif(frames, path.with_suffix(".gif"))
            plotting.player(frames, animation.names, animation.title, path.with_suffix(".html"))
