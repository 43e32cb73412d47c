"""The channels of the projections that feed each neuron of an MLP, and its output projection.

An MLP is identified by which channels change which: in a run of ones a random choice of channels of
every projection is changed, another choice in each row. The projection each of whose inputs changes
exactly with one channel of other projections is the MLP's output. No name is used.
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
from interp.models.projections import is_experts, matrix_of, projections_in
from interp.models.tracing import Call, Probe, Run, same, trace


@dataclass(frozen=True, eq=False)
class Part:
    """Channels of a projection, one per neuron.

    Attributes:
        call: the projection's run.
        norm: the norm of its input; the identity where there is none.
        channels: its channels.
        is_linear: whether they are factors of the neurons as they are, like the "up" half of a
            gated MLP; else an activation function is applied to them.
    """

    call: Call
    norm: nn.Module
    channels: slice
    is_linear: bool


@dataclass(frozen=True, eq=False)
class MlpLayout:
    """The parts that feed a block's neurons, by name, and the projection of the neurons."""

    parts: dict[str, Part]
    output: Call


def mlp_layouts(model: LanguageModel, choice: str, parts: Sequence[str] = ()) -> list[MlpLayout]:
    """Return the layout of each block's MLP; a model with constant weights will do.

    Args:
        model: the model.
        choice: the stack.
        parts: paths of the blocks; all, where none are given.

    Raises:
        ConfigError: some block has a mixture of experts, or no MLP of projections around
            an elementwise function, or several.
    """
    return trace(model, choice, Probe((_N_BITS + 2, 2), _changed, parts=parts), _layout)


# Enough random rows that no wrong layout agrees with all of them in every neuron.
_N_BITS = 24
# The least relative change of any activation function between the two values of its input.
_CHANGE = 0.05


def _bits(projection: int, n: int) -> NDArray[np.bool_]:
    """Return which of the n channels of a projection change in each row, [row, channel]."""
    return np.random.default_rng(projection).random((_N_BITS, n)) < 0.5


def _changed(run: Run, output: Tensor) -> Tensor:
    """Return rows of ones: unchanged, with the first token changed, with some channels changed."""
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
            parts = _parts(run, call)
            if parts:
                found.append((call, parts))
    shapes = {matrix_of(call.module).shape for call, _ in found}
    ran = {call.module for call in run.projections}
    idle = [m for m in projections_in(run.module) if m not in ran and matrix_of(m).shape in shapes]
    sent = [c for c in run.projections if len(c.given.flatten(0, -2)) < math.prod(run.shape)]
    if idle or (sent and not found) or any(map(is_experts, run.module.modules())):
        raise ConfigError(
            f"{run.title}: its MLP is a mixture of experts, which has no weights that apply to "
            "every token"
        )
    if len(found) != 1:
        raise ConfigError(
            f"{run.title}: its MLP cannot be identified from its structure: {len(found)} of its "
            "projections read, neuron by neuron, the outputs of other projections of the same token"
        )
    ((call, parts),) = found
    return MlpLayout(parts, call)


def _parts(run: Run, output: Call) -> dict[str, Part]:
    """Return the parts of projections whose channels change the output's inputs one by one.

    Empty where other tokens change them too, as in attention, or where channels mix.
    """
    base, elsewhere, *rest = run.rows(output.given)[:, -1].float().cpu().numpy()
    least = _CHANGE * np.abs(base)
    changes = np.stack(rest) - base
    changed = np.abs(changes) > least
    n, width = len(base), run.given.shape[-1]
    bits: dict[tuple[Call, int], NDArray[np.bool_]] = {}
    for i, call in enumerate(run.projections):
        n_channels = call.returned.shape[-1]
        if call is not output and call.given.shape[-1] == width and n_channels % n == 0:
            drawn = _bits(i, n_channels)
            parts = {start: drawn[:, start : start + n] for start in range(0, n_channels, n)}
            bits |= {(call, start): b for start, b in parts.items() if not (b & ~changed).any()}
    from_elsewhere = (np.abs(elsewhere - base) > least).any()
    if not bits or from_elsewhere or not np.array_equal(np.any(list(bits.values()), 0), changed):
        return {}

    def enters_as_it_is(part: tuple[Call, int]) -> bool:
        # A factor that is changed alone, from 1 to 2, doubles the product.
        alone = bits[part] & (np.sum(list(bits.values()), 0) == 1)
        return not (alone & (np.abs(changes - base) > least)).any()

    # Where a block ends in a norm, the norm's output is the stream itself.
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
