"""Reading what the store lacks: several requests in one pass, written chunk by chunk."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.cache import ActivationStore, Entry
from interp.cache.plan_record import blocks, chunked_plan
from interp.core.errors import ConfigError, OutOfMemoryError
from interp.forward.plan import CapturePlan, plan_capture
from interp.hooks import LayeredHookPoint

if TYPE_CHECKING:
    from interp.cache.request import Request


def read_missing(request: "Request", siblings: Iterable["Request"], store: ActivationStore) -> None:
    """Read what the store lacks of a request, and of siblings that the same pass can read.

    Raises:
        ConfigError, OutOfMemoryError, FloatingPointError: as `interp.forward.capture.capture`, of
            the request itself.
    """
    wanted = {request.key: request}
    for sibling in siblings:
        # An error of a sibling, here or in its values below, is raised by the sibling's own run.
        with suppress(ConfigError):
            if sibling.of_model == request.of_model and sibling.key not in wanted:
                chunked_plan(sibling, store)
                wanted[sibling.key] = sibling
    try:
        _read(list(wanted.values()), store)
    except (ConfigError, OutOfMemoryError, FloatingPointError):
        if len(wanted) == 1:
            raise
        _read([request], store)


def _read(requests: Sequence["Request"], store: ActivationStore) -> None:
    """Read what the store lacks for requests of one model, in as few passes as possible."""
    from interp.forward.engine import read

    by_values: dict[str, list[Request]] = {}
    for request in requests:
        by_values.setdefault(request.values, []).append(request)
    writers = [ChunkWriter.of(of_values, store) for of_values in by_values.values()]
    waiting = [writer for writer in writers if writer.missing]
    while waiting:
        of_pass = [writer for writer in waiting if writer.pass_kind == waiting[0].pass_kind]
        waiting = [writer for writer in waiting if writer not in of_pass]
        needed = [
            block
            for block in blocks(of_pass[0].capture_plan.selected)
            if any(writer.chunk_of(block) in writer.missing for writer in of_pass)
        ]
        values_of_blocks = read([writer.capture_plan for writer in of_pass], needed)
        for block, values in zip(needed, values_of_blocks, strict=True):
            for writer, own in zip(of_pass, values, strict=True):
                writer.add(block, own)


@dataclass(eq=False)
class ChunkWriter:
    """Collects the values of one entry block by block, and writes each chunk when it is complete.

    Attributes:
        entry: where they are written.
        capture_plan: what is read: the layers that any chunk lacks.
        missing: the layers that are missing, by chunk.
        bounds: the first prompt of each chunk, and the end of the last.
        made: how the values are computed, as `interp store` shows it.
    """

    entry: Entry
    capture_plan: CapturePlan
    missing: dict[int, tuple[int, ...]]
    bounds: tuple[int, ...]
    made: dict[str, object]
    _values: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, requests: Sequence["Request"], store: ActivationStore) -> "ChunkWriter":
        """Return the writer of requests that differ in their layers alone."""
        first, layers = requests[0], set[int]()
        bounds: tuple[int, ...] = ()
        for request in requests:
            known = chunked_plan(request, store)
            layers |= set(known.plan.layers)
            bounds = known.bounds
        entry = store.entry(first.values)
        missing = entry.missing(sorted(layers), len(bounds) - 1)
        absent = sorted({layer for of_chunk in missing.values() for layer in of_chunk})
        hook = first.hook
        if isinstance(hook, LayeredHookPoint) and absent:
            hook = replace(hook, layers=absent)
        capture_plan = plan_capture(first.source, first.prompts, hook, first.position)
        return cls(entry, capture_plan, missing, bounds, first.provenance())

    @property
    def pass_kind(self) -> tuple[object, ...]:
        """What the plans of one pass have in common."""
        plan = self.capture_plan
        return plan.source, plan.stack, plan.pooling == "attention"

    def chunk_of(self, block: range) -> int:
        """Return the number of the chunk that a block of prompts belongs to."""
        return bisect_right(self.bounds, block.start) - 1

    def add(self, block: range, values: NDArray[np.float32]) -> None:
        """Add the values of a block of prompts; the last block of a chunk writes the chunk.

        Args:
            block: the prompts, in ascending order from call to call.
            values: float32 [layer, sample, *unit].
        """
        chunk = self.chunk_of(block)
        if chunk not in self.missing:
            return
        samples = self.capture_plan.selected.first_samples
        start, end = samples[[self.bounds[chunk], self.bounds[chunk + 1]]]
        if self._values is None:
            self._values = np.empty((len(values), end - start, *values.shape[2:]), np.float32)
        first = samples[block.start] - start
        self._values[:, first : first + values.shape[1]] = values
        if block.stop == self.bounds[chunk + 1]:
            at = {layer: i for i, layer in enumerate(self.capture_plan.plan.layers)}
            complete = {layer: self._values[at[layer]] for layer in self.missing[chunk]}
            self.entry.write(chunk, complete, self.made)
            self._values = None
