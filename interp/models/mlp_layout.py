"""Which channels of which projections each neuron of an MLP reads with, and what projects it.

An MLP is told by which channels move which: in a run of ones some channels of every projection are
moved, other ones in each row, and the projection whose inputs move exactly with those is the MLP's
output. Nothing is read off names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.language_model import LanguageModel
from interp.models.tracing import (
    Call,
    Run,
    is_experts,
    matrix_of,
    projections_in,
    same,
    traced,
)


@dataclass(frozen=True, eq=False)
class Part:
    """Channels of a projection that a neuron each reads with.

    Attributes:
        call: the projection's run.
        norm: the norm in front of it; one that changes nothing where there is none.
        channels: which of its channels.
        is_linear: whether they enter the product of the neuron as they are, as the "up" of a gated
            MLP does; else an activation function is applied to them.
    """

    call: Call
    norm: nn.Module
    channels: slice
    is_linear: bool


@dataclass(frozen=True, eq=False)
class MlpLayout:
    """The parts that a block's neurons read with, by name, and the projection of the neurons."""

    parts: dict[str, Part]
    output: Call


def mlp_layouts(model: LanguageModel, choice: str, parts: Sequence[str] = ()) -> list[MlpLayout]:
    """Return the layout of each block's MLP; a hollow model tells it too.

    Args:
        model: the model.
        choice: the stack.
        parts: which of the blocks; all, where none are given.

    Raises:
        ConfigError: some block has a mixture of experts, or not one MLP of projections around
            something elementwise.
    """
    return traced(model, choice, (_N_BITS + 2, 2), _moved, _layout, parts)


# So many draws that no wrong layout agrees with all of them in every neuron.
_N_BITS = 24
# The least that any activation function changes, between the two values that it is given.
_CHANGE = 0.05


def _bits(projection: int, n: int) -> NDArray[np.bool_]:
    """Return which of the n channels of a block's projection, by its number, move in which row."""
    return np.random.default_rng(projection).random((_N_BITS, n)) < 0.5


def _moved(run: Run, output: Tensor) -> Tensor:
    """Return ones, then ones with the first token moved, then ones with some channels moved."""
    n_rows, n_tokens = run.shape
    n = output.shape[-1]
    codes = torch.ones(n_rows, n_tokens, n)
    codes[1, 0] = 2
    codes[2:] += torch.from_numpy(_bits(len(run.projections), n))[:, None]
    return run.spread(codes, output)


def _layout(run: Run) -> MlpLayout:
    width = run.given.shape[-1]
    found = []
    for call in run.projections:
        n_neurons = call.given.numel() // math.prod(run.shape)
        if call.returned.shape[-1] == width and call.given.shape[-1] == n_neurons:
            parts = _moving(run, call)
            if parts:
                found.append((call, parts))
    shapes = {matrix_of(call.module).shape for call, _ in found}
    ran = {call.module for call in run.projections}
    idle = [m for m in projections_in(run.module) if m not in ran and matrix_of(m).shape in shapes]
    sent = [c for c in run.projections if len(c.given.flatten(0, -2)) < math.prod(run.shape)]
    if idle or (sent and not found) or any(map(is_experts, run.module.modules())):
        raise ConfigError(
            f"{run.title}: its MLP is a mixture of experts, which has no weights of its own that "
            "every token meets"
        )
    if len(found) != 1:
        raise ConfigError(
            f"{run.title}: its MLP cannot be told from its structure: {len(found)} of its "
            "projections read, neuron by neuron, what other projections of the same token give"
        )
    ((call, parts),) = found
    return MlpLayout(parts, call)


def _moving(run: Run, output: Call) -> dict[str, Part]:
    """Return the parts of projections whose channels move the output's inputs one by one.

    Empty where other tokens move them too, as in attention, or where channels mix.
    """
    base, elsewhere, *rest = run.rows(output.given)[:, -1].float().cpu().numpy()
    least = _CHANGE * np.abs(base)
    changes = np.stack(rest) - base
    moved = np.abs(changes) > least
    n, width = len(base), run.given.shape[-1]
    bits: dict[tuple[Call, int], NDArray[np.bool_]] = {}
    for i, call in enumerate(run.projections):
        n_channels = call.returned.shape[-1]
        if call is not output and call.given.shape[-1] == width and n_channels % n == 0:
            drawn = _bits(i, n_channels)
            parts = {start: drawn[:, start : start + n] for start in range(0, n_channels, n)}
            bits |= {(call, start): b for start, b in parts.items() if not (b & ~moved).any()}
    from_elsewhere = (np.abs(elsewhere - base) > least).any()
    if not bits or from_elsewhere or not np.array_equal(np.any(list(bits.values()), 0), moved):
        return {}

    def enters_as_it_is(part: tuple[Call, int]) -> bool:
        # What is moved alone, from 1 to 2, doubles what comes of it.
        alone = bits[part] & (np.sum(list(bits.values()), 0) == 1)
        return not (alone & (np.abs(changes - base) > least)).any()

    # The norm's output is the stream itself where blocks end in one.
    post_norm = any(c.is_norm and same(c.returned, run.calls[-1].returned) for c in run.calls)
    last_names = [call.path.rpartition(".")[2] for call in {call: () for call, _ in bits}]
    found = {}
    for call, start in bits:
        norms = [] if post_norm else run.norms_before(call)
        norm = norms[0].module if norms else nn.Identity()
        name = call.path.rpartition(".")[2]
        if last_names.count(name) > 1:
            name = call.path
        fused = {part[1]: enters_as_it_is(part) for part in bits if part[0] is call}
        if len(fused) == 2 and sum(fused.values()) == 1:
            name = "up" if fused[start] else "gate"
        elif len(fused) > 1:
            name += f".{start // n}"
        found[name] = Part(call, norm, slice(start, start + n), fused[start])
    return found
