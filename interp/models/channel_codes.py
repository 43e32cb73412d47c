"""Codes in place of projections' outputs, which show where each channel arrives.

Every channel of every projection of a block gets a number, written in digits over several rows.
The model's own reshaping carries the codes to attention, and from attention to the output
projection; decoded there, they are the layout.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interp.models.language_model import LanguageModel
from interp.models.projections import matrix_of, projections_in
from interp.models.tracing import Array, Layout, Probe, Run, trace

# Digits that every floating-point type distinguishes, even after several roundings.
_BASE = 64


def _codes(start: int, n: int, rows: int) -> Tensor:
    """Return the codes [row, n] of the numbers from `start`: ones, then their digits."""
    numbers = torch.arange(start, start + n)
    return torch.stack([torch.ones(n), *(numbers // _BASE**i % _BASE for i in range(rows - 1))])


def decoded(codes: Tensor) -> tuple[NDArray[np.int64], Array]:
    """Return the numbers of codes [row, …], and the factors that they were multiplied by.

    The number is -1 where a value is not a whole number times the factor.
    """
    factors, *coded = codes.float().cpu().numpy()
    with np.errstate(all="ignore"):
        digits = np.nan_to_num(np.clip(np.stack(coded) / factors, -1, _BASE), nan=-1)
    whole = np.round(digits).astype(np.int64)
    clear = (np.abs(digits - whole) < 0.25) & (whole >= 0) & (whole < _BASE)
    places = np.int64(_BASE) ** np.arange(len(whole))
    return np.where(clear.all(0), np.tensordot(places, whole, 1), -1), factors


def trace_codes(
    model: LanguageModel,
    choice: str,
    read: Callable[[Run], Layout],
    parts: Sequence[str] = (),
    *,
    skips_norms: bool = False,
) -> list[Layout]:
    """Run the stack with codes for the outputs of projections before attention, and of attention.

    Args:
        model: the model, with its weights or with constant ones.
        choice: the stack.
        read: called at the end of a block's run.
        parts: paths of the blocks to read; all, where none are given.
        skips_norms: whether norms between projections and attention return their input.

    Raises:
        ConfigError: the weights are not in memory, or the model does not run on made-up values.
    """
    blocks = [model.module.get_submodule(path) for path in model.stack(choice).blocks]
    widths = [sum(max(matrix_of(m).shape) for m in projections_in(block)) for block in blocks]
    n_rows = 1 + math.ceil(math.log(max(_BASE, *widths), _BASE))

    def project(run: Run, output: Tensor) -> Tensor:
        if run.attentions:
            # Small, or half precision would overflow; and varied, or a norm would divide by 0.
            return run.spread(torch.linspace(-1, 1, output.shape[-1])[None], output)
        start = sum(call.returned.shape[-1] for call in run.projections)
        return run.spread(_codes(start, output.shape[-1], n_rows), output)

    def attend(run: Run, zeros: Tensor) -> Tensor:
        flat = zeros.flatten(2)
        return run.spread(_codes(0, flat.shape[-1], n_rows), flat).view_as(zeros)

    probe = Probe((n_rows, 1), project, attend, parts, skips_norms=skips_norms)
    return trace(model, choice, probe, read)
