"""Which short cuts leave a model's values as they are, as two prompts of its own tell.

In a causal model no token depends on those after it, so that these need not run. In most models
nothing but attention, called through transformers' interface, looks at other tokens, so that all
prompts may share a row. Neither is taken for granted: of one prompt and its beginning, run plainly,
the beginning tells whether the model is causal; run again in one row, both tell whether rows may be
shared. It takes the blocks up to the last that is unlike all before it. Where that gives other
values, or no values at all, the model runs plainly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interp.capture.layout import packed, padded
from interp.capture.packing import Packing
from interp.capture.passes import forward
from interp.hooks import Tap
from interp.models.attention import KERNELS_WITH_MASKS
from interp.models.language_model import LanguageModel
from interp.models.residual_stream import structure
from interp.plan import Prepared

# The median difference of a token's values, relative to their median size, that rounding may make.
# Medians, since a few dimensions of trained models are a thousand times larger than all others.
_ROUNDING = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


@dataclass(frozen=True)
class Exactness:
    """What may be left out of a model's passes.

    Attributes:
        is_causal: tokens after the last one that is read.
        packs: padding, by putting all prompts into one row.
        length: the longest prompt, in tokens, that this was found for.
    """

    is_causal: bool
    packs: bool
    length: int


PLAIN = Exactness(is_causal=False, packs=False, length=0)

# Prompts that tell how much may be left out.
_LOOKED_AT = 1024

# What was found, by the weights, the kernel, the stack and the highest block that ran.
_FOUND: dict[tuple[object, ...], Exactness] = {}


def exactness(model: LanguageModel, works: Sequence[Prepared]) -> Exactness:
    """Return what may be left out of the passes for these plans.

    Nothing where finding out would cost more than is saved.
    """
    what = works[0]
    tops = [tap.block for work in works for tap in work.taps]
    if what.pooling == "attention" or min(tops) < 0 or not model.stacks:
        return PLAIN
    lengths = what.selected.lengths
    longest = int(lengths.max())
    some = range(min(len(lengths), _LOOKED_AT))
    read = np.max([work.selected.last_read for work in works], axis=0)[: len(some)] + 1
    cut = sorted((what.selected.prompt(i)[: read[i]] for i in some), key=bytes)
    needed = packed(cut, shared=True).ids.size / len(some)
    # A pass over a few tokens takes as long as one over some twenty: weights are read either way.
    if (longest - needed) * len(lengths) < 4 * (20 + 2 * longest):
        return PLAIN
    top = _last_of_its_kind(model, what.stack, max(tops))
    key = (what.source, what.revision, what.stack, top)
    found = _FOUND.get(key, PLAIN)
    if found.length < longest:
        found = _FOUND[key] = _tried(model, what, top, int(lengths.argmax()))
    return found


def _last_of_its_kind(model: LanguageModel, stack: str, top: int) -> int:
    """Return the block, up to the highest that runs, by which each kind of block has run."""
    blocks = model.stack(stack).blocks[: top + 1]
    types = getattr(model.module.config, "layer_types", None) or [""] * len(blocks)
    kinds = [
        (structure(model.module.get_submodule(path)), of_type)
        for path, of_type in zip(blocks, types, strict=False)
    ]
    return max(map(kinds.index, kinds))


def _tried(model: LanguageModel, what: Prepared, top: int, prompt: int) -> Exactness:
    whole = what.selected.prompt(prompt)
    beginning = whole[: max(1, len(whole) // 2)]
    output = Tap(model.stack(what.stack).blocks[top], "output", top)
    one = replace(what, taps=(output,), pooling="mean")
    samples = [
        (p, np.array([t])) for p, ids in enumerate((whole, beginning)) for t in range(len(ids))
    ]
    (plain,), _ = forward(model, [one], [samples], padded([whole, beginning], model.pad_id))
    expected = _values(plain)
    dtype = what.source.dtype
    is_causal = _alike(expected[: len(beginning)], expected[len(whole) :], dtype)
    entry = model.entry(what.stack)
    layout = packed([beginning, whole], shared=False)
    packing = Packing(layout, is_causal=is_causal, first_position=model.first_position, entry=entry)
    packs = False
    if model.attention_kernel in KERNELS_WITH_MASKS and packing.is_taken:
        turned = [(1 - p, tokens) for p, tokens in samples]
        try:
            (row,), _ = forward(model, [one], [turned], layout, packing)
        except Exception:
            # Whatever a model raises here, it does not read rows that prompts share.
            packs = False
        else:
            packs = _alike(_values(row), expected, dtype)
    return Exactness(is_causal, packs, len(whole))


def _values(read: list[Tensor]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = read[0].cpu().numpy()
    return values


def _alike(ours: NDArray[np.float32], plain: NDArray[np.float32], dtype: str) -> bool:
    apart = np.median(np.abs(ours - plain), axis=-1)
    size = np.median(np.abs(plain), axis=-1)
    return bool((apart <= _ROUNDING[dtype] * size).all())
