"""The record that is kept of a plan, so that stored activations are found without the model.

The record lies beside the values: what a plan says, and where the values are cut into files.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from interp.cache import ActivationStore, Missing
from interp.forward.plan import CapturePlan, Plan, plan_capture
from interp.forward.selected_tokens import SelectedTokens

if TYPE_CHECKING:
    from interp.cache.request import Request

# The fields of a plan that are arrays, other than the table of samples.
_ARRAYS = ("lengths", "duplicate_of")

# Tokens whose values are computed before they are written.
_TOKENS_PER_BLOCK = 16_384
# Bytes, of all layers together, after which a file is closed. They are those of residual vectors;
# heads and neurons have more.
_BYTES_PER_CHUNK = 2**28


@dataclass(frozen=True, eq=False)
class ChunkedPlan:
    """A plan, and where its values are cut into files.

    Attributes:
        plan: what will be read.
        bounds: the first prompt of each chunk, and the end of the last.
    """

    plan: Plan
    bounds: tuple[int, ...]

    @property
    def n_chunks(self) -> int:
        """The number of files per layer."""
        return len(self.bounds) - 1

    @classmethod
    def of(cls, capture_plan: CapturePlan) -> "ChunkedPlan":
        """Cut a plan into chunks: the same ones whichever layers are read."""
        selected, plan = capture_plan.selected, capture_plan.plan
        bounds, size = [0], 0
        for block in blocks(selected):
            first, last = selected.first_samples[[block.start, block.stop]]
            size += int(last - first) * capture_plan.width * 4 * plan.n_layers
            if size >= _BYTES_PER_CHUNK or block.stop == len(selected):
                bounds.append(block.stop)
                size = 0
        return cls(plan, tuple(bounds))

    def record(self) -> dict[str, NDArray[Any]]:
        """Return the plan as arrays, for `ActivationStore.put_record`."""
        import pandas as pd

        fields = {
            field.name: getattr(self.plan, field.name)
            for field in dataclasses.fields(Plan)
            if field.name not in ("samples", *_ARRAYS)
        }
        record: dict[str, NDArray[Any]] = {name: getattr(self.plan, name) for name in _ARRAYS}
        labels: dict[str, list[str]] = {}
        for name, column in self.plan.samples.items():
            if column.dtype.kind in "iu":
                record[f"samples.{name}"] = column.to_numpy()
            else:
                # A million labels have few different values.
                codes, values = pd.factorize(column)
                record[f"samples.{name}"], labels[str(name)] = codes, list(values)
        text = json.dumps({"fields": fields, "labels": labels, "bounds": self.bounds})
        # As bytes: an array of text takes four bytes per character.
        return {**record, "text": np.frombuffer(text.encode(), np.uint8)}

    @classmethod
    def from_record(cls, record: Mapping[str, NDArray[Any]]) -> "ChunkedPlan":
        """Return the plan that `record` turned into arrays."""
        import pandas as pd

        text = json.loads(record["text"].tobytes())
        samples = {}
        for name in (key.removeprefix("samples.") for key in record if key.startswith("samples.")):
            column = record[f"samples.{name}"]
            if name in text["labels"]:
                column = np.array(text["labels"][name], dtype=object)[column]
            samples[name] = column
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in text["fields"].items()
        }
        fields |= {name: record[name] for name in _ARRAYS}
        return cls(Plan(samples=pd.DataFrame(samples), **fields), tuple(text["bounds"]))


def chunked_plan(request: "Request", store: ActivationStore) -> ChunkedPlan:
    """Return the plan of a request, from the store where an equal request was planned before.

    Raises:
        ConfigError: as `interp.forward.plan.plan`.
    """
    try:
        return ChunkedPlan.from_record(store.get_record(request.key))
    except Missing:
        found = ChunkedPlan.of(
            plan_capture(request.source, request.prompts, request.hook, request.position)
        )
        store.put_record(request.key, found.record())
        return found


def blocks(selected: SelectedTokens) -> list[range]:
    """Cut the prompts into ranges whose values are computed before any of them is written."""
    numbers = np.cumsum(selected.lengths) // _TOKENS_PER_BLOCK
    bounds = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(selected)]
    return list(map(range, bounds[:-1], bounds[1:]))
