"""Runs of a model on made-up values, which say what it does with them on the way.

One forward pass of single tokens, in which projections give codes in place of their outputs, tells
which channel goes where; every module's run is kept as it was given and as it returned.
"""

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from interp.core.errors import ConfigError
from interp.models.attention import AttentionCall, intercept_attention
from interp.models.language_model import LanguageModel
from interp.models.residual_stream import structure

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Call:
    """One run of a module: the first tensor that it is given, and the first that it returns."""

    path: str
    module: nn.Module
    given: Tensor
    returned: Tensor

    @property
    def is_norm(self) -> bool:
        """Whether it may be one: it has vectors for weights at most, and changes what it reads."""
        vectors = all(weight.ndim < 2 for weight in self.module.parameters())
        alike = self.given.shape == self.returned.shape
        return vectors and alike and not torch.equal(self.given, self.returned)


@dataclass(frozen=True, eq=False)
class Attention:
    """What attention is handed, each [row, head, d_head], and how much had been called by then."""

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    n_calls: int


def without_interface(title: str) -> ConfigError:
    """Return what is to be said of a model or block whose heads cannot be told apart."""
    return ConfigError(
        f"{title}: its attention is not called through transformers' attention interface, and its "
        "heads cannot be told apart"
    )


@dataclass(eq=False)
class Run:
    """One run of a block.

    Attributes:
        title: the block, as errors name it.
        module: the block.
        shape: how many rows and tokens run side by side.
        given: the residual stream that enters.
        calls: the modules' runs, in the order in which they ended; the block's own is the last.
        attentions: the first call of attention, alone; empty before, and where there is none.
    """

    title: str
    module: nn.Module
    shape: tuple[int, int]
    given: Tensor
    calls: list[Call] = field(default_factory=list)
    attentions: list[Attention] = field(default_factory=list)

    @property
    def attention(self) -> Attention:
        """The call of attention.

        Raises:
            ConfigError: there is none.
        """
        if not self.attentions:
            raise without_interface(self.title)
        return self.attentions[0]

    @property
    def projections(self) -> list[Call]:
        """The runs of linear maps."""
        return [call for call in self.calls if _is_projection(call.module)]

    @property
    def before_attention(self) -> list[Call]:
        """The runs of linear maps up to the first call of attention."""
        n_calls = self.attention.n_calls
        return [call for call in self.calls[:n_calls] if _is_projection(call.module)]

    def norms_before(self, reader: Call) -> list[Call]:
        """Return the norms that give what the reader is given."""
        before = self.calls[: self.calls.index(reader)]
        return [call for call in before if call.is_norm and same(call.returned, reader.given)]

    def rows(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the residual stream's kind as [row, token, width]."""
        return tensor.reshape(*self.shape, -1)

    def spread(self, codes: Tensor, output: Tensor) -> Tensor:
        """Return codes [row, width] or [row, token, width] in the place of an output.

        An output of some tokens alone, as an expert's, stays as it is.
        """
        if output.numel() != math.prod(self.shape) * output.shape[-1]:
            return output
        each = codes if codes.ndim == 3 else codes[:, None]
        return each.expand(*self.shape, -1).reshape(output.shape).to(output).contiguous()


Layout = TypeVar("Layout")


Replacement = Callable[[Run, Tensor], Tensor]


def with_constant_weights(model: LanguageModel) -> LanguageModel:
    """Return a model on the `meta` device as one that runs, every weight of a kind the same number.

    What is asked of a run with codes does not depend on weights; these take up no memory, and
    projections, whose outputs are codes, compute nothing.
    """
    module = copy.deepcopy(model.module).float()
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            # Vectors scale and shift, and leave what they are given in its place; the rows of an
            # embedding differ within, as norms need.
            row = torch.linspace(-1, 1, weight.shape[-1]) if weight.ndim > 1 else torch.ones(1)
            setattr(part, name, nn.Parameter(row.expand(weight.shape), requires_grad=False))
        for name, buffer in part.named_buffers(recurse=False):
            # Numbers scale, and integers are ids, of which 0 is always there.
            fill = 1.0 if buffer.is_floating_point() or buffer.dtype == torch.bool else 0
            setattr(part, name, torch.full_like(buffer, fill, device="cpu"))
        # A router may be a linear map by its class alone.
        if type(part).forward in (nn.Linear.forward, Conv1D.forward):
            part.forward = partial(_nothing, int(matrix_of(part).shape[1]))
        elif is_experts(part):
            part.forward = _zeros
    return replace(model, module=module)


def _nothing(width: int, given: Tensor) -> Tensor:
    return given.new_zeros(*given.shape[:-1], width)


def _zeros(given: Tensor, *_: object, **__: object) -> Tensor:
    return torch.zeros_like(given)


def is_experts(module: nn.Module) -> bool:
    """Whether a module holds the weights of several experts in one."""
    weights = module.parameters(recurse=False)
    return not isinstance(module, _ConvNd) and any(weight.ndim > 2 for weight in weights)


@torch.inference_mode()
def traced(
    model: LanguageModel,
    choice: str,
    shape: tuple[int, int],
    replaced: Replacement,
    read: Callable[[Run], Layout],
    parts: Sequence[str] = (),
    running: list[Run] | None = None,
    *,
    unwatched: tuple[str, ...] = (),
    past_norms: bool = False,
) -> list[Layout]:
    """Run the stack once, on [row, token], and return what is read off the run of each part.

    Args:
        model: the model.
        choice: the stack.
        shape: how many rows and tokens to run; each row has another token.
        replaced: what to give in place of a projection's output.
        read: called at the end of a part's run.
        parts: paths of the modules to watch, in the order in which they run; the blocks, where none
            are given. The pass ends with the last of them.
        running: holds the run that is under way.
        unwatched: paths within a part whose modules are not looked at.
        past_norms: whether norms between projections and attention leave what they are given.
    """
    if any(weight.is_meta for weight in model.module.parameters()):
        raise ConfigError(f"{model.title}: its weights are not in memory, and cannot be read")
    running = [] if running is None else running
    found: list[Layout] = []
    handles = []

    def begin(title: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        running[:] = [Run(title, module, shape, _tensors((args, kwargs))[0].clone())]

    def note(path: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if not running or not _tensors((args, kwargs)) or not _tensors(output):
            return output
        run, returned = running[0], _tensors(output)[0]
        given = _tensors((args, kwargs))[0]
        call = Call(path, module, given.clone(), returned.clone())
        # Llama 4's router is a linear map by its class alone.
        linear = _is_projection(module) and isinstance(output, Tensor)
        instead = replaced(run, returned) if linear else output
        if past_norms and run.projections and not run.attentions and call.is_norm:
            instead = given
        run.calls.append(call)
        return instead

    blocks = model.stack(choice).blocks
    watched = parts or blocks

    def end(*_: Any) -> None:
        found.append(read(running.pop()))
        if len(found) == len(watched):
            raise _AllTraced

    try:
        for part in watched:
            module = model.module.get_submodule(part)
            number = f", block {blocks.index(part)}" if part in blocks else ""
            begins = partial(begin, f"{model.title}{number}")
            handles.append(module.register_forward_pre_hook(begins, with_kwargs=True))
            for path, child in module.named_modules():
                if path.startswith(unwatched):
                    continue
                notes = partial(note, path)
                handles.append(child.register_forward_hook(notes, with_kwargs=True))
            handles.append(module.register_forward_hook(end))
        # What the model computes from the token itself would differ from row to row.
        ids = np.arange(shape[0])[:, None] % int(model.module.config.vocab_size)
        mask = np.ones(shape, bool)
        inputs = model.inputs(choice, np.broadcast_to(ids, shape).copy(), mask)
        with suppress(_AllTraced):
            model.entry(choice)(**inputs)
    except ConfigError:
        raise
    except Exception as error:
        # Any model's own code may fail in any way on made-up values.
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{model.title} does not run on made-up values: {reason}") from error
    finally:
        for handle in handles:
            handle.remove()
    return found


class _AllTraced(Exception):  # noqa: N818 — not an error: every part has been traced
    """Ends the pass."""


def trace_each_kind(
    model: LanguageModel, choice: str, trace: Callable[[Sequence[str]], list[Layout]]
) -> list[Layout]:
    """Return what is told of each block by the first of its structure.

    Args:
        model: the model.
        choice: the stack.
        trace: tells it of the blocks at some paths, that run in this order.
    """
    blocks = model.stack(choice).blocks
    kinds = [structure(model.module.get_submodule(path)) for path in blocks]
    first: dict[object, str] = {}
    for kind, path in zip(kinds, blocks, strict=True):
        first.setdefault(kind, path)
    told = dict(zip(first, trace(list(first.values())), strict=True))
    return [told[kind] for kind in kinds]


# Digits that every floating type tells apart, also after some roundings.
_BASE = 64


def _codes(start: int, n: int, rows: int) -> Tensor:
    """Return the codes [row, n] of the numbers from `start`: ones, then their digits."""
    numbers = torch.arange(start, start + n)
    return torch.stack([torch.ones(n), *(numbers // _BASE**i % _BASE for i in range(rows - 1))])


def decoded(codes: Tensor) -> tuple[NDArray[np.int64], Array]:
    """Return the numbers that codes [row, …] stand for and the factors that they come with.

    What is no whole number times the factor has the number -1.
    """
    factors, *coded = codes.float().cpu().numpy()
    with np.errstate(all="ignore"):
        digits = np.nan_to_num(np.clip(np.stack(coded) / factors, -1, _BASE), nan=-1)
    whole = np.round(digits).astype(np.int64)
    clear = (np.abs(digits - whole) < 0.25) & (whole >= 0) & (whole < _BASE)
    places = np.int64(_BASE) ** np.arange(len(whole))
    return np.where(clear.all(0), np.tensordot(places, whole, 1), -1), factors


def with_codes(
    model: LanguageModel,
    choice: str,
    read: Callable[[Run], Layout],
    parts: Sequence[str] = (),
    *,
    past_norms: bool = False,
) -> list[Layout]:
    """Run the stack with codes for its projections' outputs up to attention, and for attention's.

    Args:
        model: the model.
        choice: the stack.
        read: called at the end of a block's run.
        parts: which of the blocks to read; all, where none are given.
        past_norms: whether norms between projections and attention leave what they are given.
    """
    blocks = [model.module.get_submodule(path) for path in model.stack(choice).blocks]
    widths = [sum(max(matrix_of(m).shape) for m in projections_in(block)) for block in blocks]
    n_rows = 1 + math.ceil(math.log(max(_BASE, *widths), _BASE))
    running: list[Run] = []

    def coded(run: Run, output: Tensor) -> Tensor:
        if run.attentions:
            # Mild, lest half precision overflow, and of all sizes, lest a norm undo it.
            return run.spread(torch.linspace(-1, 1, output.shape[-1])[None], output)
        start = sum(call.returned.shape[-1] for call in run.projections)
        return run.spread(_codes(start, output.shape[-1], n_rows), output)

    def attend(_kernel: object, _eager: object, call: AttentionCall) -> tuple[Tensor, None]:
        rows, heads, tokens, width = *call.query.shape[:3], call.value.shape[-1]
        given = call.value.new_zeros(rows, tokens, heads, width)
        if not running or running[0].attentions:
            return given, None
        (run,) = running
        query, key, value = (t[:, :, 0].clone() for t in (call.query, call.key, call.value))
        run.attentions.append(Attention(query, key, value, call.scale, len(run.calls)))
        return run.spread(_codes(0, heads * width, n_rows), given.flatten(2)).view_as(given), None

    with intercept_attention(attend):
        return traced(
            *(model, choice, (n_rows, 1), coded, read, parts, running), past_norms=past_norms
        )


def _is_projection(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def projections_in(block: nn.Module) -> list[nn.Module]:
    """Return the linear maps within a block."""
    return [module for module in block.modules() if _is_projection(module)]


def matrix_of(projection: nn.Module) -> Tensor:
    """Return a projection's matrix [d, n], to be multiplied by from the right."""
    weight = cast("Tensor", projection.weight).detach()
    return weight if isinstance(projection, Conv1D) else weight.T


def same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors hold the same numbers, whatever their shape and type."""
    return one.numel() == other.numel() and torch.equal(one.flatten().to(other), other.flatten())


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
