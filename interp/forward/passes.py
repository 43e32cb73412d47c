"""One forward pass over a batch, which ends when all readers have what they want."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from interp.forward.layout import Layout
from interp.forward.packing import Packing
from interp.forward.plan import CapturePlan
from interp.forward.reader import Reader
from interp.hooks import AttentionTap
from interp.models.attention import AttentionCall, Kernel, intercepted
from interp.models.language_model import LanguageModel

Samples = Sequence[tuple[int, Any]]


class AllRead(Exception):  # noqa: N818 — not an error: what is asked for has been read
    """Ends a forward pass."""


# Hooks belong to the model, and what intercepts attention to the process.
_PASS = Lock()


@torch.inference_mode()
def forward(
    model: LanguageModel,
    works: Sequence[CapturePlan],
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
        works: what is read; of one model, stack and kind of pooling.
        samples: for each of them the tokens of each sample, as `Reader` takes them.
        layout: where the batch's tokens lie.
        packing: how attention is computed where the layout is packed.
        to_the_end: whether the pass goes on when all is read.
        options: more for the model itself.

    Returns:
        What each plan reads, float32 [sample, *unit] of each layer; and what the model returns,
        where the pass ran to its end.

    Raises:
        ConfigError: as `Reader.values`.
    """
    readers: list[Reader] = []

    def done() -> None:
        if not to_the_end and all(reader.is_complete for reader in readers):
            raise AllRead

    readers += [Reader(w, layout, s, done) for w, s in zip(works, samples, strict=True)]
    watch = _Attention(readers, packing)
    inputs = model.inputs(works[0].stack, layout.ids, layout.mask)
    if packing:
        inputs = packing.inputs(inputs)
    if works[0].pooling == "attention":
        inputs["output_attentions"] = True
    output = None
    with _PASS, ExitStack() as hooks:
        for reader in readers:
            hooks.enter_context(reader.attached(model))
        attended = {t.block: t.path for w in works for t in w.taps if isinstance(t, AttentionTap)}
        for number, path in attended.items():
            block = model.module.get_submodule(path)
            hooks.callback(block.register_forward_pre_hook(watch.begins(number)).remove)
            hooks.callback(block.register_forward_hook(watch.ends).remove)
        if attended or packing:
            hooks.enter_context(intercepted(watch))
        with suppress(AllRead):
            output = model.entry(works[0].stack)(**inputs, **options)
    return [reader.values() for reader in readers], output


class _Attention:
    """Hands each block's first call of attention to the readers; a second one is to others."""

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
        given, pattern = call.by(kernel)
        if block >= 0:
            for reader in self._readers:
                reader.after_attention(block, eager, call, given, pattern)
        if self._packing:
            return self._packing.packed(given), None
        return given, pattern
