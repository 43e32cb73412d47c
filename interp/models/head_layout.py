"""The channels of the projections that hold each head's queries, keys, values and outputs.

Projections may be fused, grouped or transposed. In a run with codes in place of their outputs, the
codes that arrive at attention are the layout of queries, keys and values, by head and dimension;
the codes that replace attention's output show the layout of the output projection. A model with
constant weights shows the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interp.core.errors import ConfigError
from interp.models.channel_codes import decoded, trace_codes
from interp.models.language_model import LanguageModel
from interp.models.tracing import Array, Call, Run, trace_each_kind, without_interface


@dataclass(frozen=True, eq=False)
class Channels:
    """Channels of a block's projections.

    Attributes:
        calls: the projections, by the number of their first channel.
        numbers: the numbers [head, d_head] of the channels.
        factors: [head, d_head], by which the model multiplies them before attention.
    """

    calls: dict[int, Call]
    numbers: NDArray[np.int64]
    factors: Array


@dataclass(frozen=True, eq=False)
class OutputRows:
    """The projection of attention's output: its rows [head, d_head], and their factors."""

    call: Call
    rows: NDArray[np.int64]
    factors: Array


@dataclass(frozen=True)
class HeadCounts:
    """The number of query heads of a block, and of the key and value heads that they share."""

    query: int
    key: int


@dataclass(frozen=True, eq=False)
class Place:
    """The channels [head, d_head] of a module that hold vectors of heads, and its path."""

    path: str
    channels: NDArray[np.int64]


def head_counts(model: LanguageModel, choice: str) -> dict[int, HeadCounts]:
    """Return the number of heads of each block that has attention.

    Raises:
        ConfigError: attention is not called through transformers' interface.
    """

    def counted(run: Run) -> HeadCounts:
        return HeadCounts(run.attention.query.shape[1], run.attention.key.shape[1])

    return _of_blocks(model, choice, counted)


def query_key_places(
    model: LanguageModel, choice: str, what: Literal["queries", "keys"]
) -> dict[int, Place]:
    """Return the channels of each block's queries or keys, before any norm or rotation.

    Raises:
        ConfigError: attention is not called through transformers' interface, or they are
            concatenated from several projections.
    """

    def place(run: Run) -> Place:
        codes = run.attention.query if what == "queries" else run.attention.key
        found = channels(run, codes, what)
        if len(found.calls) > 1:
            paths = " and ".join(call.path for call in found.calls.values())
            raise ConfigError(
                f"{run.title}: the {what} of its attention are concatenated from {paths}"
            )
        ((start, call),) = found.calls.items()
        return Place(call.path, found.numbers - start)

    return _in_model(model, choice, _of_blocks(model, choice, place, skips_norms=True))


def output_places(model: LanguageModel, choice: str) -> dict[int, Place]:
    """Return the inputs of each block's output projection that hold the heads' outputs.

    Raises:
        ConfigError: attention is not called through transformers' interface, or its output is
            changed before it is projected.
    """

    def place(run: Run) -> Place:
        found = output_rows(run)
        return Place(found.call.path, found.rows)

    return _in_model(model, choice, _of_blocks(model, choice, place))


Found = TypeVar("Found")


def _of_blocks(
    model: LanguageModel, choice: str, read: Callable[[Run], Found], *, skips_norms: bool = False
) -> dict[int, Found]:
    """Return what is read from each block that has attention, by its number."""

    def if_attends(run: Run) -> Found | None:
        return read(run) if run.attentions else None

    trace_blocks = partial(trace_codes, model, choice, if_attends, skips_norms=skips_norms)
    found = trace_each_kind(model, choice, trace_blocks)
    attending = {i: own for i, own in enumerate(found) if own is not None}
    if not attending:
        raise without_interface(model.title)
    return attending


def _in_model(model: LanguageModel, choice: str, places: dict[int, Place]) -> dict[int, Place]:
    blocks = model.stack(choice).blocks
    return {i: Place(f"{blocks[i]}.{own.path}", own.channels) for i, own in places.items()}


def channels(run: Run, codes: Tensor, what: str) -> Channels:
    """Return which channels the codes [row, head, d_head] at attention come from.

    Raises:
        ConfigError: they are not channels of projections of the block.
    """
    numbers, factors = decoded(codes)
    n_channels = sum(call.returned.shape[-1] for call in run.before_attention)
    each_once = all(len(set(head)) == len(head) for head in numbers.tolist())
    if not each_once or numbers.min() < 0 or numbers.max() >= n_channels:
        raise ConfigError(
            f"{run.title}: the {what} of its attention are not a linear map of the residual "
            "stream: between the projections and attention the block does more than sort "
            "and scale them, such as a norm"
        )
    stop, calls = 0, {}
    for call in run.before_attention:
        start, stop = stop, stop + call.returned.shape[-1]
        if ((numbers >= start) & (numbers < stop)).any():
            calls[start] = call
    return Channels(calls, numbers, factors)


def output_rows(run: Run) -> OutputRows:
    """Return the projection of attention's output, and the rows of each head.

    Raises:
        ConfigError: attention's output is changed before it is projected.
    """
    n_heads, width = len(run.attention.query[0]), run.attention.value.shape[-1]
    for call in run.projections[len(run.before_attention) :]:
        if call.given.shape[-1] != n_heads * width or len(call.given) != run.shape[0]:
            continue
        numbers, factors = decoded(run.rows(call.given)[:, 0])
        if np.array_equal(np.sort(numbers), np.arange(n_heads * width)):
            # The column at which number i of attention's output arrives.
            rows = np.argsort(numbers).reshape(n_heads, width)
            return OutputRows(call, rows, factors[rows])
    raise ConfigError(
        f"{run.title}: its attention's output is changed before it is projected, as by a norm or a "
        "gate; what its heads add to the stream is not linear in their values"
    )
