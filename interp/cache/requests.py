"""Activations that were read before come from the store; what is missing is read in one pass.

Neither torch nor the model's code is needed for what the store has: a record kept beside the values
says what a plan says.
"""

import dataclasses
import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.cache import ActivationStore, Entry, Missing
from interp.core.errors import ConfigError
from interp.core.user_modules import code_of
from interp.core.versions import code_digest, versions
from interp.data.activations import Activations, StoredLayers, Values
from interp.data.positions import POSITIONS, Position, described
from interp.data.prompts import PromptSet
from interp.forward.plan import CapturePlan, Plan, SelectedTokens, plan_capture, with_kernel
from interp.hooks import HOOKS, HookPoint, LayeredHookPoint
from interp.models import ModelSource

# The code that decides what is read, and the libraries that decide what comes of it.
_READERS = (
    "forward",
    "hooks",
    "models",
    "data/positions.py",
    "cache/requests.py",
    "data/tokenized_batch.py",
)
_CODE = tuple(f"interp/{place}" for place in _READERS)
_LIBRARIES = ("torch", "transformers", "tokenizers")

# What of a plan is an array, beside the table of samples.
_ARRAYS = ("lengths", "duplicate_of")

# Bytes of values up to which they are held in memory at once; more are read layer by layer.
_HELD_AT_ONCE = 2**28

# Tokens whose values are made before they are written, and the bytes, of all layers together, that
# are made before files are: of residual vectors, where heads and neurons have more.
_TOKENS_A_BLOCK = 16_384
_BYTES_A_CHUNK = 2**28


@dataclass(frozen=True)
class Request:
    """What is to be read: of which model, of which prompts, where, and at which tokens."""

    source: ModelSource
    prompts: PromptSet
    hook: HookPoint
    position: Position

    @cached_property
    def of_model(self) -> str:
        """A digest of the weights, how they are computed with, and the prompts."""
        source = self.source
        weights = (type(source).__name__, source.revision, source.dtype, source.attention)
        code = (code_digest(*_CODE), code_of(source))
        return _digest(weights, self.prompts.content_hash, code, _libraries())

    @cached_property
    def key(self) -> str:
        """A digest of all that decides what will be read."""
        return _digest(self.of_model, self._site, self._layers, self._tokens)

    @cached_property
    def values(self) -> str:
        """A digest of all that decides the values, whichever layers are asked for."""
        return _digest(self.of_model, self._site, self._tokens)

    @property
    def _site(self) -> list[object]:
        fields = vars(self.hook)
        said = {k: v for k, v in fields.items() if k != "layers"}
        return [HOOKS.name_of(self.hook), said, code_of(self.hook)]

    @property
    def _layers(self) -> object:
        return getattr(self.hook, "layers", "all")

    @property
    def _tokens(self) -> list[object]:
        return [POSITIONS.name_of(self.position), vars(self.position), code_of(self.position)]


def plan(request: Request, store: ActivationStore) -> Plan:
    """Return what will be read; nothing of the model where an equal request was made before.

    Raises:
        ConfigError: as `interp.forward.plan.plan`.
    """
    return _known(request, store).plan


def activations(
    request: Request,
    store: ActivationStore,
    siblings: Callable[[Request], Iterable[Request]] = lambda _: (),
) -> Activations:
    """Return the activations, from the store where it has them.

    Processes that need activations of one model and prompts make one of them read; the others wait.

    Args:
        request: what is wanted.
        store: where it is looked for, and kept.
        siblings: what others will want of the same model and prompts, asked for only where something is
            missing: it is read in the same pass.

    Raises:
        ConfigError, FloatingPointError: as `capture`.
    """
    known = _known(request, store)
    entry, n_chunks = store.entry(request.values), len(known.bounds) - 1
    while True:
        try:
            chunks = entry.read(known.plan.layers, n_chunks)
        except Missing:
            with store.computing(request.of_model, f"reading {request.source.title}"):
                if entry.missing(known.plan.layers, n_chunks):
                    _read_with(request, siblings(request), store)
        else:
            source = with_kernel(request.source, request.position)
            return known.plan.label(_together(list(chunks.values())), source)


@dataclass(frozen=True)
class RemainingWork:
    """What would have to be read for a request, and about how much that is.

    Attributes:
        layers: the layers that the store lacks; none where it has all.
        tokens: of all prompts; a causal model runs those alone that the tokens read depend on.
        parameters: of the blocks that are run, with each of which every token is multiplied.
        bytes: of the files, as residual vectors: heads and neurons may take more or less.
    """

    layers: tuple[int, ...]
    tokens: int
    parameters: int
    bytes: int


def remaining_work(request: Request, store: ActivationStore) -> RemainingWork:
    """Say what a request lacks in the store; nothing is read.

    Raises:
        ConfigError: as `plan`.
    """
    known = _known(request, store)
    missing = store.entry(request.values).missing(known.plan.layers, len(known.bounds) - 1)
    layers = sorted({layer for of_chunk in missing.values() for layer in of_chunk})
    if not layers:
        return RemainingWork((), 0, 0, 0)
    work = plan_capture(request.source, request.prompts, request.hook, request.position)
    parameters = _parameters(work.source, work.stack, max(tap.block for tap in work.taps))
    first = work.selected.first_samples
    samples = sum(
        int(first[known.bounds[chunk + 1]] - first[known.bounds[chunk]]) * len(of_chunk)
        for chunk, of_chunk in missing.items()
    )
    tokens = int(work.selected.lengths.sum())
    return RemainingWork(tuple(layers), tokens, parameters, samples * work.width * 4)


@lru_cache(maxsize=64)
def _parameters(source: ModelSource, stack: str, highest: int) -> int:
    """Return how many parameters the blocks have up to one; -1 stands before the first."""
    model = source.skeleton()
    blocks = model.stack(stack).blocks[: highest + 1] if highest >= 0 else ()
    run = [model.module.get_submodule(path) for path in blocks]
    return sum(p.numel() for block in run for p in block.parameters())


@dataclass(frozen=True, eq=False)
class _Known:
    """A plan, and where its values are cut into files.

    Attributes:
        plan: what will be read.
        bounds: the first prompt of each chunk, and the end of the last.
    """

    plan: Plan
    bounds: tuple[int, ...]


def _known(request: Request, store: ActivationStore) -> _Known:
    try:
        return _recalled(store.get_record(request.key))
    except Missing:
        work = plan_capture(request.source, request.prompts, request.hook, request.position)
        known = _Known(work.plan, _bounds(work))
        store.put_record(request.key, _record(known))
        return known


def _read_with(request: Request, siblings: Iterable[Request], store: ActivationStore) -> None:
    """Read what is missing of a request, and of others where they can be read with it."""
    wanted = {request.key: request}
    for other in siblings:
        # What is wrong with it, or with its values below, whoever asks for it will be told.
        with suppress(ConfigError):
            if other.of_model == request.of_model and other.key not in wanted:
                _known(other, store)
                wanted[other.key] = other
    try:
        _read(list(wanted.values()), store)
    except (ConfigError, FloatingPointError):
        if len(wanted) == 1:
            raise
        _read([request], store)


def _read(requests: Sequence[Request], store: ActivationStore) -> None:
    """Read what the store lacks for requests of one model, in as few passes as there can be."""
    from interp.forward.engine import read

    by_values: dict[str, list[Request]] = {}
    for request in requests:
        by_values.setdefault(request.values, []).append(request)
    makers = [_Maker.of(of_values, store) for of_values in by_values.values()]
    waiting = [maker for maker in makers if maker.missing]
    while waiting:
        together = [maker for maker in waiting if maker.runs_as == waiting[0].runs_as]
        waiting = [maker for maker in waiting if maker not in together]
        blocks = [
            block
            for block in _blocks(together[0].work.selected)
            if any(maker.chunk_of(block) in maker.missing for maker in together)
        ]
        for block, values in zip(
            blocks, read([maker.work for maker in together], blocks), strict=True
        ):
            for maker, of_maker in zip(together, values, strict=True):
                maker.take(block, of_maker)


@dataclass(eq=False)
class _Maker:
    """Puts what is read block by block into the chunks of one entry.

    Attributes:
        entry: where it goes.
        work: what is read: of the layers that are missing somewhere.
        missing: the layers that are missing, by chunk.
        bounds: the first prompt of each chunk, and the end of the last.
        made: how it is made, for whoever looks at the store.
    """

    entry: Entry
    work: CapturePlan
    missing: dict[int, tuple[int, ...]]
    bounds: tuple[int, ...]
    made: dict[str, object]
    _values: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, requests: Sequence[Request], store: ActivationStore) -> "_Maker":
        """Return what makes the values of requests that differ in their layers alone."""
        first, layers = requests[0], set[int]()
        bounds: tuple[int, ...] = ()
        for request in requests:
            known = _known(request, store)
            layers |= set(known.plan.layers)
            bounds = known.bounds
        entry = store.entry(first.values)
        missing = entry.missing(sorted(layers), len(bounds) - 1)
        absent = sorted({layer for of_chunk in missing.values() for layer in of_chunk})
        hook = first.hook
        if isinstance(hook, LayeredHookPoint) and absent:
            hook = replace(hook, layers=absent)
        made: dict[str, object] = {
            "title": first.source.title,
            "revision": first.source.revision,
            "dtype": first.source.dtype,
            "site": hook.label,
            "position": described(first.position),
            "prompts": f"{len(first.prompts)} prompts ({first.prompts.content_hash[:8]})",
            **_libraries(),
        }
        work = plan_capture(first.source, first.prompts, hook, first.position)
        return cls(entry, work, missing, bounds, made)

    @property
    def runs_as(self) -> tuple[object, ...]:
        """What passes that run together have in common."""
        return self.work.source, self.work.stack, self.work.pooling == "attention"

    def chunk_of(self, block: range) -> int:
        """Return the chunk that a block of prompts is part of."""
        return bisect_right(self.bounds, block.start) - 1

    def take(self, block: range, values: NDArray[np.float32]) -> None:
        """Take the values of a block of prompts; a chunk is written when its last one comes."""
        chunk = self.chunk_of(block)
        if chunk not in self.missing:
            return
        samples = self.work.selected.first_samples
        start, end = samples[[self.bounds[chunk], self.bounds[chunk + 1]]]
        if self._values is None:
            self._values = np.empty((len(values), end - start, *values.shape[2:]), np.float32)
        first = samples[block.start] - start
        self._values[:, first : first + values.shape[1]] = values
        if block.stop == self.bounds[chunk + 1]:
            at = {layer: i for i, layer in enumerate(self.work.plan.layers)}
            found = {layer: self._values[at[layer]] for layer in self.missing[chunk]}
            self.entry.write(chunk, found, self.made)
            self._values = None


def _blocks(selected: SelectedTokens) -> list[range]:
    """Cut prompts into runs whose values are made before any is written."""
    blocks = np.cumsum(selected.lengths) // _TOKENS_A_BLOCK
    bounds = [*np.flatnonzero(np.diff(blocks, prepend=-1)).tolist(), len(selected)]
    return list(map(range, bounds[:-1], bounds[1:]))


def _bounds(work: CapturePlan) -> tuple[int, ...]:
    """Put the blocks together that make one file; the same ones whichever layers are asked for."""
    bounds, size = [0], 0
    for block in _blocks(work.selected):
        first, last = work.selected.first_samples[[block.start, block.stop]]
        size += int(last - first) * work.width * 4 * work.plan.n_layers
        if size >= _BYTES_A_CHUNK or block.stop == len(work.selected):
            bounds.append(block.stop)
            size = 0
    return tuple(bounds)


def _together(
    chunks: Sequence[Sequence[NDArray[np.float32]]],
) -> Values:
    """Return chunks [layer][chunk] as one array, or as one that reads a layer at a time."""
    layers = StoredLayers(chunks)
    return np.stack(list(layers)) if layers.nbytes <= _HELD_AT_ONCE else layers


def _record(known: _Known) -> dict[str, NDArray[Any]]:
    """Return what is kept of a plan, as arrays; `_recalled` undoes it."""
    import pandas as pd

    said = {
        field.name: getattr(known.plan, field.name)
        for field in dataclasses.fields(Plan)
        if field.name not in ("samples", *_ARRAYS)
    }
    record: dict[str, NDArray[Any]] = {name: getattr(known.plan, name) for name in _ARRAYS}
    labels: dict[str, list[str]] = {}
    for name, column in known.plan.samples.items():
        if column.dtype.kind in "iu":
            record[f"samples.{name}"] = column.to_numpy()
        else:
            # Of a million labels most are the same few.
            codes, words = pd.factorize(column)
            record[f"samples.{name}"], labels[str(name)] = codes, list(words)
    text = json.dumps({"said": said, "labels": labels, "bounds": known.bounds})
    # As bytes: an array of texts takes four for each letter.
    return {**record, "text": np.frombuffer(text.encode(), np.uint8)}


def _recalled(record: Mapping[str, NDArray[Any]]) -> _Known:
    import pandas as pd

    text = json.loads(record["text"].tobytes())
    samples = {}
    for name in (key.removeprefix("samples.") for key in record if key.startswith("samples.")):
        column = record[f"samples.{name}"]
        if name in text["labels"]:
            column = np.array(text["labels"][name], dtype=object)[column]
        samples[name] = column
    said: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in text["said"].items()
    }
    said |= {name: record[name] for name in _ARRAYS}
    return _Known(Plan(samples=pd.DataFrame(samples), **said), tuple(text["bounds"]))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=list).encode()).hexdigest()


def _libraries() -> dict[str, str]:
    return {name: versions()[name] for name in _LIBRARIES}
