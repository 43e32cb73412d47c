"""From prompts to activations: batches of forward passes, with nothing run that is not needed."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from interp.core.errors import ConfigError
from interp.forward.checks import check
from interp.forward.exactness import Exactness, exactness
from interp.forward.layout import batches, packed, padded
from interp.forward.packing import Packing
from interp.forward.passes import forward
from interp.forward.plan import CapturePlan
from interp.hooks.heads import AttentionScores
from interp.models.language_model import LanguageModel

# Tokens a batch, padding counted: so many that arithmetic outweighs reading the weights, and few
# enough that what a block computes stays small beside the weights.
_TOKENS = {"cpu": 2048, "cuda": 32768, "mps": 8192}

Array = NDArray[np.float32]


def read(works: Sequence[CapturePlan], parts: Sequence[range]) -> Iterator[list[Array]]:
    """Read several plans in the same passes, part of the prompts by part.

    Args:
        works: what is read; all of one model and its prompts, one stack and one kind of pooling.
        parts: prompts whose values are wanted together.

    Yields:
        For each part what each plan reads of it, float32 [layer, sample, *unit].

    Raises:
        ConfigError, FloatingPointError: as `capture`.
    """
    what = works[0]
    head = any(work.plan.unembedding for work in works)
    model = what.source.load(head=head)
    for work in works:
        check(model, work)
    exact = exactness(model, works)
    total = sum(map(len, parts))
    with tqdm(total=total, unit="prompt", delay=1, disable=None, leave=False) as bar:
        bar.set_description(f"reading {model.title}")
        for part in parts:
            values = _read(model, works, part, exact, bar)
            for work, of_work in zip(works, values, strict=True):
                _check_finite(model, work, of_work)
            yield values


def _read(
    model: LanguageModel, works: Sequence[CapturePlan], part: range, exact: Exactness, bar: Any
) -> list[Array]:
    what = works[0]
    ids = [what.selected.prompt(prompt) for prompt in part]
    if exact.is_causal:
        last = np.max([work.selected.last_read[part.start : part.stop] for work in works], axis=0)
        ids = [own[: end + 1] for own, end in zip(ids, last, strict=True)]
    tokens = _TOKENS[model.module.device.type]
    waiting = deque(batches(ids, tokens, similar=exact.packs and exact.is_causal))
    found: list[Array] = []
    arriving: list[tuple[list[NDArray[np.int64]], list[list[_Arriving]]]] = []

    def arrive() -> None:
        for rows, layers in arriving:
            for values, own, read_layers in zip(found, rows, layers, strict=True):
                for layer, one in enumerate(read_layers):
                    values[layer, own] = one.values()
        arriving.clear()

    while waiting:
        batch = waiting.popleft()
        of_batch = [ids[i] for i in batch]
        packing = None
        if exact.packs:
            layout = packed(of_batch, shared=exact.is_causal)
            packing = Packing(
                layout,
                is_causal=exact.is_causal,
                first_position=model.first_position,
            )
        else:
            layout = padded(of_batch, model.pad_id)
        chosen = [_samples(work, [part[i] for i in batch]) for work in works]
        try:
            given, _ = forward(model, works, [samples for samples, _ in chosen], layout, packing)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ConfigError(
                    f"model: one prompt of {len(of_batch[0])} tokens does not fit into memory "
                    f"with {model.title}; model.dtype=bfloat16 takes half, model.device_map=auto "
                    "spreads the model"
                ) from error
            # Those that wait are as large, so that they would fail in the same way.
            halves = [half for whole in (batch, *waiting) for half in _halves(whole)]
            waiting = deque(halves)
            continue
        if not found:
            found += [
                np.empty((len(of_work), _count(work, part), *of_work[0].shape[1:]), np.float32)
                for work, of_work in zip(works, given, strict=True)
            ]
        # What the last batch gave arrives while this one is computed.
        arrive()
        offsets = [work.selected.first_samples[part.start] for work in works]
        rows = [own - start for (_, own), start in zip(chosen, offsets, strict=True)]
        arriving.append((rows, [[_Arriving(layer) for layer in of_work] for of_work in given]))
        bar.update(len(batch))
    arrive()
    return found


class _Arriving:
    """A tensor on its way from a GPU, the wait for it put off; on a CPU it is there."""

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


def _samples(
    work: CapturePlan, prompts: Sequence[int]
) -> tuple[list[tuple[int, NDArray[np.int64]]], NDArray[np.int64]]:
    """Return the samples of some prompts as `Reader` takes them, and their numbers."""
    selected = work.selected
    numbers = [
        (place, sample)
        for place, prompt in enumerate(prompts)
        for sample in range(selected.first_samples[prompt], selected.first_samples[prompt + 1])
    ]
    starts = selected.sample_starts
    samples = [(place, selected.tokens[starts[n] : starts[n + 1]]) for place, n in numbers]
    return samples, np.array([number for _, number in numbers])


def _count(work: CapturePlan, part: range) -> int:
    first = work.selected.first_samples
    return int(first[part.stop] - first[part.start])


def _halves(batch: list[int]) -> list[list[int]]:
    middle = -(-len(batch) // 2)
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What the CPU's allocator raises has no class of its own.
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


def _check_finite(model: LanguageModel, work: CapturePlan, values: Array) -> None:
    for layer, of_layer in zip(work.plan.layers, values, strict=True):
        # A score of −∞ is where a token may not look.
        as_expected = isinstance(work.hook, AttentionScores) & (of_layer == -np.inf)
        if not (np.isfinite(of_layer) | as_expected).all():
            raise FloatingPointError(
                f"{model.title} gives values that are not finite at {work.hook.site} {layer} in "
                f"{work.source.dtype}; a wider model.dtype may help"
            )
