"""Which short cuts leave a model's values unchanged, tested on two prompts before they are used.

In a causal model no token depends on later ones, so that these need not run. In most models only
attention, called through transformers' interface, reads other tokens, so that all prompts may share
a row. Both are tested. One prompt and its beginning, each run by itself without short cuts, show
whether the model is causal; run again in one row, they show whether prompts may share a row. The
test runs the blocks up to the first of the last kind. Where the values differ, or the run fails,
the model runs without short cuts.

In half precision the influence of one token on another may be smaller than rounding. There the ids
that must not matter are replaced by others, and the values must stay the same to the last bit.
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
from interp.models.block_sites import structure
from interp.models.language_model import LanguageModel

# The largest median difference between a token's values, relative to their median size, that is
# taken for rounding. Medians, since a few dimensions of trained models are a thousand times larger.
_ROUNDING = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Exactness:
    """Which short cuts change a model's values by rounding alone.

    Attributes:
        is_causal: whether tokens after the last one that is read may be left out.
        packs: whether all prompts may share one row, without padding.
        length: the longest prompt, in tokens, for which this was tested.
    """

    is_causal: bool
    packs: bool
    length: int


PLAIN = Exactness(is_causal=False, packs=False, length=0)

# Prompts from which the number of tokens that short cuts save is estimated.
_SAMPLED = 1024

# Results by source, revision, stack and highest block that ran, kept for the process: a test costs
# a few forward passes.
_RESULTS: dict[tuple[object, ...], Exactness] = {}


def exactness(model: LanguageModel, plans: Sequence[CapturePlan]) -> Exactness:
    """Return the short cuts for the passes of some plans; none where a test would cost more.

    Args:
        model: the model, with its weights.
        plans: what is read in the same passes.
    """
    first = plans[0]
    tops = [tap.block for plan in plans for tap in plan.taps]
    if first.pooling == "attention" or min(tops) < 0 or not model.stacks:
        return PLAIN
    if _rotation_depends_on_batch(model):
        return PLAIN
    lengths = first.selected.lengths
    longest = int(lengths.max())
    sampled = range(min(len(lengths), _SAMPLED))
    read = np.max([plan.selected.last_read for plan in plans], axis=0)[: len(sampled)] + 1
    cut = sorted((first.selected.prompt(i)[: read[i]] for i in sampled), key=bytes)
    needed = packed(cut, shared=True).ids.size / len(sampled)
    # A pass over few tokens takes as long as one over about twenty: it reads all the weights.
    if (longest - needed) * len(lengths) < 4 * (20 + 2 * longest):
        return PLAIN
    top = _first_of_last_kind(model, first.stack, max(tops))
    key = (first.source, first.revision, first.stack, top)
    found = _RESULTS.get(key, PLAIN)
    if found.length < longest:
        found = _RESULTS[key] = _tested(model, first, top, int(lengths.argmax()))
    return found


def _first_of_last_kind(model: LanguageModel, stack: str, top: int) -> int:
    """Return the lowest block by which each kind of block up to `top` has run."""
    blocks = model.stack(stack).blocks[: top + 1]
    types = getattr(model.module.config, "layer_types", None) or [""] * len(blocks)
    kinds = [
        (structure(model.module.get_submodule(path)), of_type)
        for path, of_type in zip(blocks, types, strict=False)
    ]
    return max(map(kinds.index, kinds))


def _tested(model: LanguageModel, plan: CapturePlan, top: int, prompt: int) -> Exactness:
    """Test both short cuts on a prompt and its first half, in the blocks up to `top`."""
    whole, dtype = plan.selected.prompt(prompt), plan.source.dtype
    half = max(1, len(whole) // 2)
    beginning, changed = whole[:half], np.concatenate([whole[:half], whole[half:][::-1]])
    blocks = model.stack(plan.stack).blocks[: top + 1]
    stream = replace(plan, taps=(Tap(blocks[top], "output", top),), pooling="mean")
    # The heads' outputs show the influence of other tokens where it is small in the stream.
    taps = tuple(AttentionTap("output", path, block) for block, path in enumerate(blocks))
    plans = [stream, replace(stream, taps=taps)]
    parameters = inspect.signature(model.entry(plan.stack).forward).parameters
    packs = model.attention_kernel in KERNELS_WITH_MASKS and "position_ids" in parameters

    def alone(ids: Ids) -> list[Array]:
        return _read(model, plans, [ids], padded([ids], model.pad_id))

    try:
        of_whole = alone(whole)
    except ConfigError:
        # Some block has no attention, or does not call it through transformers' interface.
        plans, packs = [stream], False
        of_whole = alone(whole)
    of_beginning = alone(beginning)
    is_half_precision = dtype != "float32"
    is_causal = _are_close([own[:half] for own in of_whole], of_beginning, dtype)
    if is_half_precision and is_causal:
        is_causal = _are_equal(of_whole, alone(changed), slice(half))
    try:
        if packs:
            row = _in_one_row(model, plans, [beginning, whole], is_causal)
            both = zip(of_beginning, of_whole, strict=True)
            packs = _are_close(row, list(map(np.concatenate, both)), dtype)
            if is_half_precision and packs:
                other = _in_one_row(model, plans, [beginning[::-1].copy(), whole], is_causal)
                packs = _are_equal(row, other, slice(half, None))
    except Exception:
        # A model's own code may raise anything here: it cannot read rows that prompts share.
        packs = False
    return Exactness(is_causal, packs, len(whole))


def _in_one_row(
    model: LanguageModel, plans: list[CapturePlan], prompts: list[Ids], is_causal: bool
) -> list[Array]:
    layout = packed(prompts, shared=False)
    packing = Packing(layout, is_causal=is_causal, first_position=model.first_position)
    return _read(model, plans, prompts, layout, packing)


def _read(
    model: LanguageModel,
    plans: list[CapturePlan],
    prompts: list[Ids],
    layout: Layout,
    packing: Packing | None = None,
) -> list[Array]:
    """Return what each plan reads at every token, float32 [token, layer, units]."""
    tokens = [(p, np.array([t])) for p, ids in enumerate(prompts) for t in range(len(ids))]
    values, _ = forward(model, plans, [tokens] * len(plans), layout, packing)
    return [
        # Blocks may be spread over several devices.
        torch.stack([layer.flatten(1).cpu() for layer in layers], dim=1).numpy()
        for layers in values
    ]


def _rotation_depends_on_batch(model: LanguageModel) -> bool:
    """Whether the angles of rotary positions depend on the longest prompt of the batch."""
    config = model.module.config
    settings = [getattr(config, name, None) for name in ("rope_parameters", "rope_scaling")]
    return any(kind in str(settings) for kind in ("longrope", "dynamic"))


def _are_close(ours: list[Array], plain: list[Array], dtype: str) -> bool:
    """Whether the values of each token and layer differ by rounding alone."""
    return all(
        bool(
            (np.median(np.abs(a - b), axis=-1) <= _ROUNDING[dtype] * np.median(np.abs(b), -1)).all()
        )
        for a, b in zip(ours, plain, strict=True)
    )


def _are_equal(ours: list[Array], others: list[Array], tokens: slice) -> bool:
    """Whether some tokens have the same values to the last bit."""
    return all(np.array_equal(a[tokens], b[tokens]) for a, b in zip(ours, others, strict=True))
