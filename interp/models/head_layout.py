"""Which channels of which projections each head's queries, keys, values and outputs are.

Where they stand in fused, grouped or transposed projections is told by the model itself: of a run
with codes in place of the projections' outputs, those that arrive at attention are the layout, head
by head and dimension by dimension, and codes that leave attention tell the output projection's. A
hollow model tells all of it too.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interp.models.language_model import LanguageModel
from interp.models.tracing import Array, Call, Run, decoded, of_each_kind, with_codes
from interp.registry import ConfigError


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


def head_counts(model: LanguageModel, choice: str) -> list[Heads]:
    """Return the number of heads of each block.

    Raises:
        ConfigError: attention is not called through transformers' interface.
    """

    def counted(run: Run) -> Heads:
        (attention,) = run.attention
        return Heads(attention.query.shape[1], attention.key.shape[1])

    return of_each_kind(model, choice, partial(with_codes, model, choice, counted))


def projected(model: LanguageModel, choice: str, what: Literal["queries", "keys"]) -> list[Place]:
    """Return where each block's queries or keys leave a projection, before any norm or rotation.

    Raises:
        ConfigError: attention is not called through transformers' interface, or they are put
            together from several projections.
    """

    def place(run: Run) -> Place:
        (attention,) = run.attention
        found = channels(run, attention.query if what == "queries" else attention.key, what)
        if len(found.calls) > 1:
            paths = " and ".join(call.path for call in found.calls.values())
            raise ConfigError(
                f"{run.title}: the {what} of its attention are put together from {paths}"
            )
        ((start, call),) = found.calls.items()
        return Place(call.path, found.numbers - start)

    past_norms = partial(with_codes, model, choice, place, past_norms=True)
    return _in_model(model, choice, of_each_kind(model, choice, past_norms))


def entering_output(model: LanguageModel, choice: str) -> list[Place]:
    """Return where the heads' outputs enter each block's output projection.

    Raises:
        ConfigError: attention is not called through transformers' interface, or what it gives is
            changed before it is projected.
    """

    def place(run: Run) -> Place:
        found = output_rows(run)
        return Place(found.call.path, found.rows)

    traced = partial(with_codes, model, choice, place)
    return _in_model(model, choice, of_each_kind(model, choice, traced))


def _in_model(model: LanguageModel, choice: str, places: list[Place]) -> list[Place]:
    blocks = model.stack(choice).blocks
    return [
        Place(f"{block}.{place.path}", place.channels)
        for block, place in zip(blocks, places, strict=True)
    ]


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
    (attention,) = run.attention
    n_heads, width = len(attention.query[0]), attention.value.shape[-1]
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
