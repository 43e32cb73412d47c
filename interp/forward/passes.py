"""One forward pass over a batch, which ends when all readers are complete."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.forward.layout import Layout
from interp.forward.packing import Packing
from interp.forward.plan import CapturePlan
from interp.forward.reader import Reader
from interp.hooks import AttentionTap
from interp.models.attention import AttentionCall, Kernel, intercept_attention
from interp.models.language_model import LanguageModel

# The tokens of each sample: the prompt's number in the batch, and the tokens' indices.
Samples = Sequence[tuple[int, NDArray[np.int64]]]


class AllRead(Exception):  # noqa: N818 — not an error: all that was planned has been read
    """Ends a forward pass."""


# One pass at a time: hooks are global to the model, the interception of attention to the process.
_PASS = Lock()


@torch.inference_mode()
def forward(
    model: LanguageModel,
    plans: Sequence[CapturePlan],
    samples: Sequence[Samples],
    layout: Layout,
    packing: Packing | None = None,
    *,
    to_the_end: bool = False,
    **options: Any,
) -> tuple[list[list[Tensor]], Any]:
    """Run a batch for several plans at once.

    Args:
        model: the model.
        plans: what is read; of one model, stack and kind of pooling.
        samples: for each plan the tokens of each sample.
        layout: the arrangement of the batch's tokens.
        packing: how attention is computed where the layout is packed.
        to_the_end: whether the pass goes on when everything is read.
        options: further keyword arguments of the model.

    Returns:
        For each plan the values of each layer, float32 [sample, *unit]; and the model's output, or
        None where the pass ended early.

    Raises:
        ConfigError: as `Reader.values`.
    """
    readers: list[Reader] = []

    def done() -> None:
        if not to_the_end and all(reader.is_complete for reader in readers):
            raise AllRead

    readers += [Reader(p, layout, s, done) for p, s in zip(plans, samples, strict=True)]
    attention = _Attention(readers, packing)
    inputs = model.inputs(plans[0].stack, layout.ids, layout.mask)
    if packing:
        inputs = packing.inputs(inputs)
    if plans[0].pooling == "attention":
        inputs["output_attentions"] = True
    output = None
    with _PASS, ExitStack() as hooks:
        for reader in readers:
            hooks.enter_context(reader.attached(model))
        attended = {t.block: t.path for p in plans for t in p.taps if isinstance(t, AttentionTap)}
        for number, path in attended.items():
            block = model.module.get_submodule(path)
            hooks.callback(block.register_forward_pre_hook(attention.begins(number)).remove)
            hooks.callback(block.register_forward_hook(attention.ends).remove)
        if attended or packing:
            hooks.enter_context(intercept_attention(attention))
        with suppress(AllRead):
            output = model.entry(plans[0].stack)(**inputs, **options)
    return [reader.values() for reader in readers], output


class _Attention:
    """Passes each block's first call of attention to the readers; a second is cross-attention."""

    def __init__(self, readers: Sequence[Reader], packing: Packing | None) -> None:
        self._readers = readers
        self._packing = packing
        self._block = -1

    def begins(self, number: int) -> Any:
        def begin(*_: object) -> None:
            self._block = number

        return begin

    def ends(self, *_: object) -> None:
        self._block = -1

    def __call__(
        self, kernel: Kernel, eager: Kernel, call: AttentionCall
    ) -> tuple[Tensor, Tensor | None]:
        block, self._block = self._block, -1
        if self._packing:
            call = self._packing.unpacked(call, masked=kernel is eager)
        if block >= 0:
            for reader in self._readers:
                reader.before_attention(block, call)
        output, pattern = call.by(kernel)
        if block >= 0:
            for reader in self._readers:
                reader.after_attention(block, eager, call, output, pattern)
        if self._packing:
            return self._packing.packed(output), None
        return output, pattern
