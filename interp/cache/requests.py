"""What is to be read, and what of it the store lacks; what is missing is read in one pass.

Neither torch nor the model's code is needed for what the store has (see `plan_record`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from interp.cache import ActivationStore, Missing
from interp.cache.chunk_writer import read_missing
from interp.cache.plan_record import chunked_plan
from interp.cache.request import Request
from interp.data.activations import Activations, StoredLayers, Values
from interp.forward.plan import Plan, plan_capture, with_kernel
from interp.models import ModelSource

# Bytes of values up to which all are held in memory; above, each layer is read when it is used.
_HELD_AT_ONCE = 2**28


def plan(request: Request, store: ActivationStore) -> Plan:
    """Return what will be read; the model is not needed where an equal request was planned before.

    Raises:
        ConfigError: as `interp.forward.plan.plan`.
    """
    return chunked_plan(request, store).plan


def activations(
    request: Request,
    store: ActivationStore,
    siblings: Callable[[Request], Iterable[Request]] = lambda _: (),
) -> Activations:
    """Return the activations, from the store where it has them.

    Of several processes that need activations of one model and prompts, one reads them and the
    others wait.

    Args:
        request: what is wanted.
        store: where it is looked up and kept.
        siblings: yields what other runs will read of the same model and prompts. It is called only
            where something is missing; all of it is read in the same pass.

    Raises:
        ConfigError, OutOfMemoryError, FloatingPointError: as `interp.forward.capture.capture`.
        StorageError: the store's folder is full or cannot be used.
    """
    known = chunked_plan(request, store)
    entry = store.entry(request.values)
    while True:
        try:
            chunks = entry.read(known.plan.layers, known.n_chunks)
        except Missing:
            with store.computing(request.of_model, f"reading {request.source.title}"):
                if entry.missing(known.plan.layers, known.n_chunks):
                    read_missing(request, siblings(request), store)
        else:
            source = with_kernel(request.source, request.position)
            return known.plan.label(_joined(list(chunks.values())), source)


@dataclass(frozen=True)
class RemainingWork:
    """What would have to be read for a request, and about how much that is.

    Attributes:
        layers: the layers that the store lacks; none where it has all.
        tokens: of all prompts; a causal model runs fewer, only those that the tokens read depend
            on.
        parameters: of the blocks that are run; each token is multiplied by every one of them.
        bytes: of the files, as residual vectors: heads and neurons may take more or less.
    """

    layers: tuple[int, ...]
    tokens: int
    parameters: int
    bytes: int


def remaining_work(request: Request, store: ActivationStore) -> RemainingWork:
    """Return what the store lacks of a request; nothing is read.

    Raises:
        ConfigError: as `plan`.
    """
    known = chunked_plan(request, store)
    missing = store.entry(request.values).missing(known.plan.layers, known.n_chunks)
    layers = sorted({layer for of_chunk in missing.values() for layer in of_chunk})
    if not layers:
        return RemainingWork((), 0, 0, 0)
    capture_plan = plan_capture(request.source, request.prompts, request.hook, request.position)
    highest = max(tap.block for tap in capture_plan.taps)
    parameters = _parameters(capture_plan.source, capture_plan.stack, highest)
    first = capture_plan.selected.first_samples
    samples = sum(
        int(first[known.bounds[chunk + 1]] - first[known.bounds[chunk]]) * len(of_chunk)
        for chunk, of_chunk in missing.items()
    )
    tokens = int(capture_plan.selected.lengths.sum())
    return RemainingWork(tuple(layers), tokens, parameters, samples * capture_plan.width * 4)


@lru_cache(maxsize=64)
def _parameters(source: ModelSource, stack: str, highest: int) -> int:
    """Return the number of parameters of the blocks up to `highest`; -1 is before the first."""
    model = source.skeleton()
    blocks = model.stack(stack).blocks[: highest + 1] if highest >= 0 else ()
    run = [model.module.get_submodule(path) for path in blocks]
    return sum(p.numel() for block in run for p in block.parameters())


def _joined(chunks: Sequence[Sequence[NDArray[np.float32]]]) -> Values:
    """Return chunks [layer][chunk] as one array, or as layers that are read when they are used."""
    layers = StoredLayers(chunks)
    return np.stack(list(layers)) if layers.nbytes <= _HELD_AT_ONCE else layers
