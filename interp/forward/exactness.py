"""Which short cuts leave a model's values as they are, as two prompts of its own tell.

In a causal model no token depends on those after it, so that these need not run. In most models
nothing but attention, called through transformers' interface, looks at other tokens, so that all
prompts may share a row. Neither is taken for granted: one prompt and its beginning, each run
plainly by itself, tell whether the model is causal; run again in one row, they tell whether rows
may be shared. It takes the blocks up to the last that is unlike all before it. Where that gives
other values, or no values at all, the model runs plainly.

In half precision what one token learns of another may be smaller than rounding. There the ids that
must not matter are exchanged for others, and the values must stay the same to the last bit.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.forward.layout import Ids, Layout, packed, padded
from interp.forward.packing import Packing
from interp.forward.passes import forward
from interp.forward.plan import CapturePlan
from interp.hooks import AttentionTap, Tap
from interp.models.attention import KERNELS_WITH_MASKS
from interp.models.language_model import LanguageModel
from interp.models.residual_stream import structure

# The median difference of a token's values, relative to their median size, that rounding may make.
# Medians, since a few dimensions of trained models are a thousand times larger than all others.
_ROUNDING = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


Array = NDArray[np.float32]


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


def exactness(model: LanguageModel, works: Sequence[CapturePlan]) -> Exactness:
    """Return what may be left out of the passes for these plans.

    Nothing where finding out would cost more than is saved.
    """
    what = works[0]
    tops = [tap.block for work in works for tap in work.taps]
    if what.pooling == "attention" or min(tops) < 0 or not model.stacks:
        return PLAIN
    if _looks_at_the_longest(model):
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


def _tried(model: LanguageModel, what: CapturePlan, top: int, prompt: int) -> Exactness:
    whole = what.selected.prompt(prompt)
    half = max(1, len(whole) // 2)
    beginning, changed = whole[:half], np.concatenate([whole[:half], whole[half:][::-1]])
    blocks = model.stack(what.stack).blocks[: top + 1]
    stream = replace(what, taps=(Tap(blocks[top], "output", top),), pooling="mean")
    # What heads give shows what they look at, where it is little beside the stream.
    taps = tuple(AttentionTap("output", path, block) for block, path in enumerate(blocks))
    works = [stream, replace(stream, taps=taps)]
    takes = inspect.signature(model.entry(what.stack).forward).parameters
    packs = model.attention_kernel in KERNELS_WITH_MASKS and "position_ids" in takes

    def plainly(ids: Ids) -> list[Array]:
        return _read(model, works, [ids], padded([ids], model.pad_id))

    try:
        of_whole = plainly(whole)
    except ConfigError:
        # Some block does not attend, or calls attention by itself.
        works, packs = [stream], False
        of_whole = plainly(whole)
    of_beginning = plainly(beginning)
    exact = what.source.dtype != "float32"
    is_causal = _alike([own[:half] for own in of_whole], of_beginning, what.source.dtype)
    if exact and is_causal:
        is_causal = _equal(of_whole, plainly(changed), slice(half))
    try:
        if packs:
            row = _in_a_row(model, works, [beginning, whole], is_causal)
            both = zip(of_beginning, of_whole, strict=True)
            packs = _alike(row, list(map(np.concatenate, both)), what.source.dtype)
            if exact and packs:
                other = _in_a_row(model, works, [beginning[::-1].copy(), whole], is_causal)
                packs = _equal(row, other, slice(half, None))
    except Exception:
        # Whatever a model raises here, it does not read rows that prompts share.
        packs = False
    return Exactness(is_causal, packs, len(whole))


def _in_a_row(
    model: LanguageModel, works: list[CapturePlan], prompts: list[Ids], is_causal: bool
) -> list[Array]:
    layout = packed(prompts, shared=False)
    packing = Packing(layout, is_causal=is_causal, first_position=model.first_position)
    return _read(model, works, prompts, layout, packing)


def _read(
    model: LanguageModel,
    works: list[CapturePlan],
    prompts: list[Ids],
    layout: Layout,
    packing: Packing | None = None,
) -> list[Array]:
    """Return what each plan reads at every token, float32 [token, layer, units]."""
    tokens = [(p, np.array([t])) for p, ids in enumerate(prompts) for t in range(len(ids))]
    given, _ = forward(model, works, [tokens] * len(works), layout, packing)
    return [
        # Blocks may be spread over several devices.
        torch.stack([layer.flatten(1).cpu() for layer in read], dim=1).numpy()
        for read in given
    ]


def _looks_at_the_longest(model: LanguageModel) -> bool:
    """Whether the angles of rotary positions depend on the longest prompt that runs beside."""
    config = model.module.config
    said = [getattr(config, name, None) for name in ("rope_parameters", "rope_scaling")]
    return any(kind in str(said) for kind in ("longrope", "dynamic"))


def _alike(ours: list[Array], plain: list[Array], dtype: str) -> bool:
    """Whether values differ by rounding alone, token by token and layer by layer."""
    return all(
        bool(
            (np.median(np.abs(a - b), axis=-1) <= _ROUNDING[dtype] * np.median(np.abs(b), -1)).all()
        )
        for a, b in zip(ours, plain, strict=True)
    )


def _equal(ours: list[Array], others: list[Array], tokens: slice) -> bool:
    """Whether some tokens have the same values to the last bit."""
    return all(np.array_equal(a[tokens], b[tokens]) for a, b in zip(ours, others, strict=True))
