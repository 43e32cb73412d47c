"""Runs of a model on made-up values, which say what it does with them on the way.

One forward pass of single tokens, in which projections give codes in place of their outputs, tells
which channel goes where; every module's run is kept as it was given and as it returned.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig
from transformers.masking_utils import eager_mask
from transformers.pytorch_utils import Conv1D

from interp.models.language_model import LanguageModel
from interp.registry import ConfigError

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


@dataclass(eq=False)
class Run:
    """One run of a block.

    Attributes:
        title: the block, as errors name it.
        module: the block.
        shape: how many rows and tokens run side by side.
        given: the residual stream that enters.
        calls: the modules' runs, in the order in which they ended; the block's own is the last.
        attention: the first call of attention, alone; empty before, and where there is none.
    """

    title: str
    module: nn.Module
    shape: tuple[int, int]
    given: Tensor
    calls: list[Call] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)

    @property
    def projections(self) -> list[Call]:
        """The runs of linear maps."""
        return [call for call in self.calls if _is_projection(call.module)]

    @property
    def before_attention(self) -> list[Call]:
        """The runs of linear maps up to the first call of attention."""
        n_calls = self.attention[0].n_calls
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


@torch.inference_mode()
def traced(
    model: LanguageModel,
    choice: str,
    shape: tuple[int, int],
    replaced: Replacement,
    read: Callable[[Run], Layout],
    parts: Sequence[str] = (),
    running: list[Run] | None = None,
) -> list[Layout]:
    """Run the stack once, on [row, token], and return what is read off the run of each part.

    Args:
        model: the model.
        choice: the stack.
        shape: how many rows and tokens to run; each row has another token.
        replaced: what to give in place of a projection's output.
        read: called at the end of a part's run.
        parts: paths of the modules to watch; the blocks, where none are given.
        running: holds the run that is under way.
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
        # Llama 4's router is a linear map by its class alone.
        linear = _is_projection(module) and isinstance(output, Tensor)
        instead = replaced(run, returned) if linear else output
        given = _tensors((args, kwargs))[0]
        run.calls.append(Call(path, module, given.clone(), returned.clone()))
        return instead

    def end(*_: Any) -> None:
        found.append(read(running.pop()))

    try:
        for i, part in enumerate(parts or model.stack(choice).blocks):
            module = model.module.get_submodule(part)
            begins = partial(begin, f"{model.title}, block {i}")
            handles.append(module.register_forward_pre_hook(begins, with_kwargs=True))
            for path, child in module.named_modules():
                notes = partial(note, path)
                handles.append(child.register_forward_hook(notes, with_kwargs=True))
            handles.append(module.register_forward_hook(end))
        # What the model computes from the token itself would differ from row to row.
        ids = np.arange(shape[0])[:, None] % int(model.module.config.vocab_size)
        mask = np.ones(shape, bool)
        model.entry(choice)(**model.inputs(choice, np.broadcast_to(ids, shape).copy(), mask))
    finally:
        for handle in handles:
            handle.remove()
    return found


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


def with_codes(model: LanguageModel, choice: str, read: Callable[[Run], Layout]) -> list[Layout]:
    """Run the stack with codes for its projections' outputs up to attention, and for attention's.

    Raises:
        ConfigError: no attention is called through the interface, or a block has none.
    """
    blocks = [model.module.get_submodule(path) for path in model.stack(choice).blocks]
    widths = [sum(max(matrix_of(m).shape) for m in projections_in(block)) for block in blocks]
    n_rows = 1 + math.ceil(math.log(max(_BASE, *widths), _BASE))
    running: list[Run] = []

    def coded(run: Run, output: Tensor) -> Tensor:
        if run.attention:
            # Mild, lest half precision overflow, and of all sizes, lest a norm undo it.
            return run.spread(torch.linspace(-1, 1, output.shape[-1])[None], output)
        start = sum(call.returned.shape[-1] for call in run.projections)
        return run.spread(_codes(start, output.shape[-1], n_rows), output)

    def attend(
        _module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *_: object,
        scaling: float | None = None,
        **_settings: object,
    ) -> tuple[Tensor, Any]:
        rows, heads, tokens, width = *query.shape[:3], value.shape[-1]
        given = value.new_zeros(rows, tokens, heads, width)
        if not running or running[0].attention:
            return given, None
        (run,) = running
        scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
        query, key, value = (tensor[:, :, 0].clone() for tensor in (query, key, value))
        run.attention.append(Attention(query, key, value, scale, len(run.calls)))
        return run.spread(_codes(0, heads * width, n_rows), given.flatten(2)).view_as(given), None

    def checked(run: Run) -> Layout:
        if not run.attention:
            raise ConfigError(
                f"{run.title}: its attention is not called through transformers' attention "
                "interface, and its heads' weights cannot be told apart; its MLP can be read still"
            )
        return read(run)

    with _attending(model, attend):
        return traced(model, choice, (n_rows, 1), coded, checked, running=running)


_TRACED = "interp_traced"


_ATTEND: ContextVar[Callable[..., Any]] = ContextVar("_ATTEND")


def _attend(*args: Any, **kwargs: Any) -> Any:
    return _ATTEND.get()(*args, **kwargs)


AttentionInterface.register(_TRACED, _attend)


# Some models that do without the interface need a mask still, which goes by the same name.
AttentionMaskInterface.register(_TRACED, eager_mask)


@contextmanager
def _attending(model: LanguageModel, function: Callable[..., Any]) -> Iterator[None]:
    """Have another function do the model's attention for the length of the context."""
    # An encoder and a decoder have a configuration each.
    owned = [getattr(module, "config", ()) for module in model.module.modules()]
    configs = {id(own): own for own in owned if isinstance(own, PreTrainedConfig)}
    before = [(config, config._attn_implementation) for config in configs.values()]
    attended = _ATTEND.set(function)
    try:
        for config in configs.values():
            # Under the empty key it is this configuration's own, and not those' within it.
            config._attn_implementation = {"": _TRACED}
        yield
    finally:
        for config, own in before:
            config._attn_implementation = {"": own}
        _ATTEND.reset(attended)


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
