"""Which channels of which projections each head's queries, keys, values and outputs are.

Where they stand in fused, grouped or transposed projections is told by the model itself: of a run
with codes in place of the projections' outputs, those that arrive at attention are the layout, head
by head and dimension by dimension, and codes that leave attention tell the output projection's. A
hollow model tells all of it too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interp.core.errors import ConfigError
from interp.models.language_model import LanguageModel
from interp.models.tracing import (
    Array,
    Call,
    Run,
    decoded,
    trace_each_kind,
    with_codes,
    without_interface,
)


@dataclass(frozen=True, eq=False)
class Channels:
    """Channels of a block's projections.

    Attributes:
        calls: the projections, by the number of their first channel.
        numbers: the numbers [head, d_head] of the channels.
        factors: [head, d_head], what they are multiplied by on the way to attention.
    """

    calls: dict[int, Call]
    numbers: NDArray[np.int64]
    factors: Array


@dataclass(frozen=True, eq=False)
class OutputRows:
    """The projection of what attention gives: its rows [head, d_head], and their factors."""

    call: Call
    rows: NDArray[np.int64]
    factors: Array


@dataclass(frozen=True)
class Heads:
    """How many heads a block's attention has, and how many different keys and values they share."""

    query: int
    key: int


@dataclass(frozen=True, eq=False)
class Place:
    """Where vectors of heads stand: channels [head, d_head] of a module, its path in the model."""

    path: str
    channels: NDArray[np.int64]


def head_counts(model: LanguageModel, choice: str) -> dict[int, Heads]:
    """Return the number of heads of each block that has attention.

    Raises:
        ConfigError: attention is not called through transformers' interface.
    """

    def counted(run: Run) -> Heads:
        return Heads(run.attention.query.shape[1], run.attention.key.shape[1])

    return _of_blocks(model, choice, counted)


def projected(
    model: LanguageModel, choice: str, what: Literal["queries", "keys"]
) -> dict[int, Place]:
    """Return where each block's queries or keys leave a projection, before any norm or rotation.

    Raises:
        ConfigError: attention is not called through transformers' interface, or they are put
            together from several projections.
    """

    def place(run: Run) -> Place:
        codes = run.attention.query if what == "queries" else run.attention.key
        found = channels(run, codes, what)
        if len(found.calls) > 1:
            paths = " and ".join(call.path for call in found.calls.values())
            raise ConfigError(
                f"{run.title}: the {what} of its attention are put together from {paths}"
            )
        ((start, call),) = found.calls.items()
        return Place(call.path, found.numbers - start)

    return _in_model(model, choice, _of_blocks(model, choice, place, past_norms=True))


def entering_output(model: LanguageModel, choice: str) -> dict[int, Place]:
    """Return where the heads' outputs enter each block's output projection.

    Raises:
        ConfigError: attention is not called through transformers' interface, or what it gives is
            changed before it is projected.
    """

    def place(run: Run) -> Place:
        found = output_rows(run)
        return Place(found.call.path, found.rows)

    return _in_model(model, choice, _of_blocks(model, choice, place))


Told = TypeVar("Told")


def _of_blocks(
    model: LanguageModel, choice: str, read: Callable[[Run], Told], *, past_norms: bool = False
) -> dict[int, Told]:
    """Return what is told of each block that has attention, by its number."""

    def some(run: Run) -> Told | None:
        return read(run) if run.attentions else None

    trace = partial(with_codes, model, choice, some, past_norms=past_norms)
    found = trace_each_kind(model, choice, trace)
    there = {i: told for i, told in enumerate(found) if told is not None}
    if not there:
        raise without_interface(model.title)
    return there


def _in_model(model: LanguageModel, choice: str, places: dict[int, Place]) -> dict[int, Place]:
    blocks = model.stack(choice).blocks
    return {i: Place(f"{blocks[i]}.{own.path}", own.channels) for i, own in places.items()}


def channels(run: Run, codes: Tensor, what: str) -> Channels:
    """Return which channels the codes [row, head, d_head] at attention come from.

    Raises:
        ConfigError: they are no channels of projections of the block.
    """
    numbers, factors = decoded(codes)
    n_channels = sum(call.returned.shape[-1] for call in run.before_attention)
    each_once = all(len(set(head)) == len(head) for head in numbers.tolist())
    if not each_once or numbers.min() < 0 or numbers.max() >= n_channels:
        raise ConfigError(
            f"{run.title}: the {what} of its attention are not a linear map of the residual "
            "stream: between the projections and attention something other than sorting and "
            "scaling is done with them, such as a norm"
        )
    stop, calls = 0, {}
    for call in run.before_attention:
        start, stop = stop, stop + call.returned.shape[-1]
        if ((numbers >= start) & (numbers < stop)).any():
            calls[start] = call
    return Channels(calls, numbers, factors)


def output_rows(run: Run) -> OutputRows:
    """Return the projection of what attention gives, and which of its rows are which head's.

    Raises:
        ConfigError: what attention gives is changed before it is projected.
    """
    n_heads, width = len(run.attention.query[0]), run.attention.value.shape[-1]
    for call in run.projections[len(run.before_attention) :]:
        if call.given.shape[-1] != n_heads * width or len(call.given) != run.shape[0]:
            continue
        numbers, factors = decoded(run.rows(call.given)[:, 0])
        if np.array_equal(np.sort(numbers), np.arange(n_heads * width)):
            # The column that attention's number i arrives at.
            rows = np.argsort(numbers).reshape(n_heads, width)
            return OutputRows(call, rows, factors[rows])
    raise ConfigError(
        f"{run.title}: what its attention gives is changed before it is projected, as by a norm or "
        "a gate; its heads write nothing that is linear in their values"
    )
