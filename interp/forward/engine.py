"""From plans to values: batches of forward passes, with nothing computed that is not needed."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from interp.core.errors import OutOfMemoryError
from interp.forward.checks import check
from interp.forward.exactness import Exactness, exactness
from interp.forward.layout import Ids, Layout, batches, packed, padded
from interp.forward.packing import Packing
from interp.forward.passes import Samples, forward
from interp.forward.plan import CapturePlan
from interp.models.language_model import LanguageModel

# Tokens per batch, padding counted: enough that arithmetic takes longer than reading the weights,
# and few enough that what a block computes stays small compared with the weights.
_TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 32768, "mps": 8192}

Array = NDArray[np.float32]


def read(plans: Sequence[CapturePlan], parts: Sequence[range]) -> Iterator[list[Array]]:
    """Read several plans in the same passes, one part of the prompts after the other.

    Args:
        plans: what is read, at least one plan; all of one model and its prompts, one stack and one
            kind of pooling.
        parts: ranges of prompts whose values are returned together.

    Yields:
        For each part the values of each plan, float32 [layer, sample, *unit].

    Raises:
        ConfigError, OutOfMemoryError, FloatingPointError: as `interp.forward.capture.capture`.
    """
    head = any(plan.plan.unembedding for plan in plans)
    model = plans[0].source.load(head=head)
    for plan in plans:
        check(model, plan)
    exact = exactness(model, plans)
    total = sum(map(len, parts))
    with tqdm(total=total, unit="prompt", delay=1, disable=None, leave=False) as bar:
        bar.set_description(f"reading {model.title}")
        for part in parts:
            values = _read_part(model, plans, part, exact, bar)
            for plan, own in zip(plans, values, strict=True):
                _check_finite(model, plan, own)
            yield values


def _read_part(
    model: LanguageModel,
    plans: Sequence[CapturePlan],
    part: range,
    exact: Exactness,
    bar: Any,
) -> list[Array]:
    """Return what each plan reads of some prompts; batches that do not fit into memory are halved.

    Raises:
        OutOfMemoryError: one prompt alone does not fit into memory.
    """
    ids = _ids(plans, part, exact)
    n_tokens = _TOKENS_PER_BATCH[model.module.device.type]
    waiting = deque(batches(ids, n_tokens, similar=exact.packs and exact.is_causal))
    collected = _Collector(plans, part)
    while waiting:
        batch = waiting.popleft()
        layout, packing = _arranged(model, [ids[i] for i in batch], exact)
        prompts = [part[i] for i in batch]
        samples = [_samples(plan, prompts) for plan in plans]
        try:
            values, _ = forward(model, plans, samples, layout, packing)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise OutOfMemoryError(
                    f"model: one prompt of {len(ids[batch[0]])} tokens does not fit into memory "
                    f"with {model.title}; model.dtype=bfloat16 takes half, model.device_map=auto "
                    "spreads the model"
                ) from error
            # The batches that wait are as large, and would fail in the same way.
            waiting = deque(half for whole in (batch, *waiting) for half in _halves(whole))
            continue
        collected.add(prompts, values)
        bar.update(len(batch))
    return collected.values()


def _ids(plans: Sequence[CapturePlan], part: range, exact: Exactness) -> list[Ids]:
    """Return the ids of each prompt; in a causal model up to the last token that is read."""
    selected = plans[0].selected
    ids = [selected.prompt(prompt) for prompt in part]
    if not exact.is_causal:
        return ids
    last = np.max([plan.selected.last_read[part.start : part.stop] for plan in plans], axis=0)
    return [own[: end + 1] for own, end in zip(ids, last, strict=True)]


def _arranged(
    model: LanguageModel, ids: Sequence[Ids], exact: Exactness
) -> tuple[Layout, Packing | None]:
    """Return the layout of a batch: packed into one row where the model gives the same values."""
    if not exact.packs:
        return padded(ids, model.pad_id), None
    layout = packed(ids, shared=exact.is_causal)
    packing = Packing(layout, is_causal=exact.is_causal, first_position=model.first_position)
    return layout, packing


class _Collector:
    """Puts the values of batches in the order of the samples.

    Values on a GPU are copied while the next batch is computed.
    """

    def __init__(self, plans: Sequence[CapturePlan], part: range) -> None:
        self._plans = plans
        self._firsts = [plan.selected.first_samples[part.start] for plan in plans]
        ends = [plan.selected.first_samples[part.stop] for plan in plans]
        self._counts = [int(end - first) for first, end in zip(self._firsts, ends, strict=True)]
        self._values: list[Array] = []
        self._copies: list[tuple[NDArray[np.int64], list[_HostCopy]]] = []

    def add(self, prompts: Sequence[int], values: list[list[Tensor]]) -> None:
        """Take what each plan reads of a batch: the tensor [sample, *unit] of each layer."""
        if not self._values:
            self._values = [
                np.empty((len(layers), count, *layers[0].shape[1:]), np.float32)
                for count, layers in zip(self._counts, values, strict=True)
            ]
        self._store_copies()
        for plan, first, layers in zip(self._plans, self._firsts, values, strict=True):
            rows = _sample_numbers(plan, prompts) - first
            self._copies.append((rows, [_HostCopy(layer) for layer in layers]))

    def values(self) -> list[Array]:
        """Return the values of each plan, float32 [layer, sample, *unit]."""
        self._store_copies()
        return self._values

    def _store_copies(self) -> None:
        for values, (rows, layers) in zip(self._values, self._copies, strict=False):
            for layer, copy in enumerate(layers):
                values[layer, rows] = copy.values()
        self._copies.clear()


class _HostCopy:
    """A tensor's copy in the memory of the CPU; the wait for a GPU is put off until it is used."""

    def __init__(self, tensor: Tensor) -> None:
        self._event = None
        self._tensor = tensor
        if tensor.device.type == "cuda":
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(tensor.device))

    def values(self) -> Array:
        if self._event is not None:
            self._event.synchronize()
        values: Array = self._tensor.cpu().numpy()
        return values


def _sample_numbers(plan: CapturePlan, prompts: Sequence[int]) -> NDArray[np.int64]:
    first = plan.selected.first_samples
    return np.concatenate([np.arange(first[prompt], first[prompt + 1]) for prompt in prompts])


def _samples(plan: CapturePlan, prompts: Sequence[int]) -> Samples:
    """Return the samples of some prompts as `Reader` takes them."""
    selected = plan.selected
    starts = selected.sample_starts
    return [
        (place, selected.tokens[starts[sample] : starts[sample + 1]])
        for place, prompt in enumerate(prompts)
        for sample in range(selected.first_samples[prompt], selected.first_samples[prompt + 1])
    ]


def _halves(batch: list[int]) -> list[list[int]]:
    middle = -(-len(batch) // 2)
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # The error of the CPU's allocator has no class of its own.
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


def _check_finite(model: LanguageModel, plan: CapturePlan, values: Array) -> None:
    for layer, of_layer in zip(plan.plan.layers, values, strict=True):
        expected = plan.hook.may_be_minus_infinity & (of_layer == -np.inf)
        if not (np.isfinite(of_layer) | expected).all():
            raise FloatingPointError(
                f"{model.title} gives values that are not finite at {plan.hook.site} {layer} in "
                f"{plan.source.dtype}; a wider model.dtype may help"
            )
