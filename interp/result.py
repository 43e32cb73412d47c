"""What an analysis returns, and how it lies on disk: exactly what is logged, and nothing else."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Series:
    """A finite value for each layer; `layers` and `values` are of one length."""

    layers: tuple[int, ...]
    values: NDArray[np.float64]

    @classmethod
    def over(cls, layers: Sequence[int], values: ArrayLike) -> "Series":
        """Build a series; a ValueError where lengths differ or a value is not finite."""
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(layers),):
            raise ValueError(f"{len(layers)} layers need as many values, not shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"a series must be finite, not {array.tolist()}")
        return cls(tuple(int(layer) for layer in layers), array)


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that a run found.

    Attributes:
        series: a value for each layer; MLflow draws one curve a run, with step = layer.
        scalars: single numbers, finite.
        tables: written as CSV and shown side by side in MLflow.
        figures: written as PNG and SVG.
        images: figures of one size and the same axes, one a layer, for MLflow's slider.
        finding: what came out, in a sentence or two.
        null: what the series `score` is calibrated against, in a few words.
    """

    series: dict[str, Series] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: dict[str, "Figure"] = field(default_factory=dict)
    images: dict[str, dict[int, "Figure"]] = field(default_factory=dict)
    finding: str = ""
    null: str = ""

    def __post_init__(self) -> None:
        for name, value in self.scalars.items():
            if not math.isfinite(value):
                raise ValueError(f"scalar {name} must be finite, not {value}")

    def layer_table(self) -> pd.DataFrame:
        """Return all series side by side, one row a layer."""
        columns = {name: pd.Series(s.values, index=s.layers) for name, s in self.series.items()}
        return pd.DataFrame(columns).rename_axis("layer").reset_index()

    def save(self, folder: Path) -> None:
        """Write result.json, finding.txt, tables/*.csv, figures/*.png and figures/*.svg."""
        from interp import figures

        folder.mkdir(parents=True, exist_ok=True)
        numbers = {
            "scalars": self.scalars,
            "series": {
                name: {"layers": list(s.layers), "values": s.values.tolist()}
                for name, s in self.series.items()
            },
        }
        text = json.dumps(numbers, indent=2, allow_nan=False, ensure_ascii=False)
        (folder / "result.json").write_text(text + "\n", encoding="utf-8")
        if self.finding:
            (folder / "finding.txt").write_text(self.finding + "\n", encoding="utf-8")
        for name, table in self.tables.items():
            (folder / "tables").mkdir(exist_ok=True)
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        for name, figure in self.figures.items():
            figures.save(figure, folder / "figures" / name)
