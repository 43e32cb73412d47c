"""Running a model on made-up values, and recording what every module reads and returns.

One forward pass of a few tokens, in which chosen values replace the outputs of projections, shows
which channel goes where (`channel_codes`, `mlp_layout`).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.attention import AttentionCall, intercept_attention
from interp.models.block_sites import structure
from interp.models.dataflow import tensors_in
from interp.models.language_model import LanguageModel
from interp.models.projections import is_projection

Array = NDArray[np.float32]
Layout = TypeVar("Layout")


@dataclass(frozen=True, eq=False)
class Call:
    """One run of a module: the first tensor of its arguments, and the first that it returns."""

    path: str
    module: nn.Module
    given: Tensor
    returned: Tensor

    @property
    def is_norm(self) -> bool:
        """Whether it may be a norm: its weights are vectors, and it changes its input."""
        vectors = all(weight.ndim < 2 for weight in self.module.parameters())
        same_shape = self.given.shape == self.returned.shape
        return vectors and same_shape and not torch.equal(self.given, self.returned)


@dataclass(frozen=True, eq=False)
class Attention:
    """The arguments of attention, each [row, head, d_head], and how many calls came before it."""

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    n_calls: int


def without_interface(title: str) -> ConfigError:
    """Return the error for a model or block whose heads cannot be distinguished."""
    return ConfigError(
        f"{title}: its attention is not called through transformers' attention interface, and its "
        "heads cannot be distinguished"
    )


@dataclass(eq=False)
class Run:
    """One run of a block.

    Attributes:
        title: the block, as errors name it.
        module: the block.
        shape: the number of rows and of tokens.
        given: the residual stream that enters.
        calls: the runs of its modules, in the order in which they ended; its own is the last.
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
        return [call for call in self.calls if is_projection(call.module)]

    @property
    def before_attention(self) -> list[Call]:
        """The runs of linear maps before the first call of attention."""
        n_calls = self.attention.n_calls
        return [call for call in self.calls[:n_calls] if is_projection(call.module)]

    def norms_before(self, reader: Call) -> list[Call]:
        """Return the norms whose output is the input of `reader`."""
        before = self.calls[: self.calls.index(reader)]
        return [call for call in before if call.is_norm and same(call.returned, reader.given)]

    def rows(self, tensor: Tensor) -> Tensor:
        """Return a tensor of all rows and tokens as [row, token, width]."""
        return tensor.reshape(*self.shape, -1)

    def spread(self, codes: Tensor, output: Tensor) -> Tensor:
        """Return codes [row, width] or [row, token, width] in the shape and type of an output.

        An output of some tokens alone, as an expert's, is returned unchanged.
        """
        if output.numel() != math.prod(self.shape) * output.shape[-1]:
            return output
        each = codes if codes.ndim == 3 else codes[:, None]
        return each.expand(*self.shape, -1).reshape(output.shape).to(output).contiguous()


def _unchanged(_run: Run, output: Tensor) -> Tensor:
    return output


@dataclass(frozen=True)
class Probe:
    """How a stack is run on made-up values.

    Attributes:
        shape: the number of rows and of tokens; each row has another token.
        project: returns what replaces the output of a projection.
        attend: returns what replaces the output [row, token, head, d_head] of a block's first call
            of attention, given zeros of that shape; later calls return zeros. None leaves attention
            as it is.
        parts: paths of the modules that are recorded, in the order in which they run; the blocks
            where none are given. The pass ends with the last.
        unrecorded: prefixes of paths within a part whose modules are not recorded.
        skips_norms: whether norms between projections and attention return their input.
    """

    shape: tuple[int, int]
    project: Callable[[Run, Tensor], Tensor] = _unchanged
    attend: Callable[[Run, Tensor], Tensor] | None = None
    parts: Sequence[str] = ()
    unrecorded: tuple[str, ...] = ()
    skips_norms: bool = False


@torch.inference_mode()
def trace(
    model: LanguageModel, choice: str, probe: Probe, read: Callable[[Run], Layout]
) -> list[Layout]:
    """Run the stack once and return what is read from the run of each part.

    Args:
        model: the model, with its weights or with constant ones.
        choice: the stack.
        probe: how it is run.
        read: called at the end of each part's run.

    Raises:
        ConfigError: the weights are not in memory, or the model does not run on made-up values.
    """
    if any(weight.is_meta for weight in model.module.parameters()):
        raise ConfigError(f"{model.title}: its weights are not in memory, and cannot be read")
    blocks = model.stack(choice).blocks
    parts = probe.parts or blocks
    found: list[Layout] = []

    def finish(run: Run) -> None:
        found.append(read(run))
        if len(found) == len(parts):
            raise _AllTraced

    recorder = _Recorder(probe, finish)
    try:
        # Another token in each row: what a model computes from the token itself then differs.
        ids = np.arange(probe.shape[0])[:, None] % int(model.module.config.vocab_size)
        ids, mask = np.broadcast_to(ids, probe.shape).copy(), np.ones(probe.shape, bool)
        inputs = model.inputs(choice, ids, mask)
        with ExitStack() as hooks:
            for part in parts:
                number = f", block {blocks.index(part)}" if part in blocks else ""
                recorder.watch(model.module.get_submodule(part), f"{model.title}{number}", hooks)
            if probe.attend:
                hooks.enter_context(intercept_attention(recorder.attend))
            with suppress(_AllTraced):
                model.entry(choice)(**inputs)
    except ConfigError:
        raise
    except Exception as error:
        # A model's own code may raise anything on made-up values.
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{model.title} does not run on made-up values: {reason}") from error
    return found


class _AllTraced(Exception):  # noqa: N818 — not an error: every part has been traced
    """Ends the pass."""


class _Recorder:
    """Records the run of one part at a time."""

    def __init__(self, probe: Probe, finish: Callable[[Run], None]) -> None:
        self._probe = probe
        self._finish = finish
        self._run: Run | None = None

    def watch(self, part: nn.Module, title: str, hooks: ExitStack) -> None:
        """Hook a part and the modules within it until the stack of hooks is closed."""
        begin = partial(self._begin, title)
        hooks.callback(part.register_forward_pre_hook(begin, with_kwargs=True).remove)
        for path, module in part.named_modules():
            if not path.startswith(self._probe.unrecorded):
                record = partial(self._record, path)
                hooks.callback(module.register_forward_hook(record, with_kwargs=True).remove)
        hooks.callback(part.register_forward_hook(self._end).remove)

    def _begin(self, title: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = next(tensors_in((args, kwargs))).clone()
        self._run = Run(title, module, self._probe.shape, given)

    def _record(self, path: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        run = self._run
        given, returned = next(tensors_in((args, kwargs)), None), next(tensors_in(output), None)
        if run is None or given is None or returned is None:
            return output
        call = Call(path, module, given.clone(), returned.clone())
        # Llama 4's router is a linear map by its class, and returns several tensors.
        is_linear = is_projection(module) and isinstance(output, Tensor)
        replacement = self._probe.project(run, returned) if is_linear else output
        if self._probe.skips_norms and run.projections and not run.attentions and call.is_norm:
            replacement = given
        run.calls.append(call)
        return replacement

    def _end(self, *_: Any) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._finish(run)

    def attend(self, _kernel: object, _eager: object, call: AttentionCall) -> tuple[Tensor, None]:
        """Record the first call of attention of a run, and return what replaces its output."""
        rows, heads, tokens, width = *call.query.shape[:3], call.value.shape[-1]
        zeros = call.value.new_zeros(rows, tokens, heads, width)
        run, attend = self._run, self._probe.attend
        if run is None or run.attentions or attend is None:
            return zeros, None
        query, key, value = (t[:, :, 0].clone() for t in (call.query, call.key, call.value))
        run.attentions.append(Attention(query, key, value, call.scale, len(run.calls)))
        return attend(run, zeros), None


def trace_each_kind(
    model: LanguageModel, choice: str, trace_blocks: Callable[[Sequence[str]], list[Layout]]
) -> list[Layout]:
    """Trace the first block of each structure, and return its result for every block like it.

    Args:
        model: the model.
        choice: the stack.
        trace_blocks: traces the blocks at some paths, which run in this order.
    """
    blocks = model.stack(choice).blocks
    kinds = [structure(model.module.get_submodule(path)) for path in blocks]
    first: dict[object, str] = {}
    for kind, path in zip(kinds, blocks, strict=True):
        first.setdefault(kind, path)
    of_kind = dict(zip(first, trace_blocks(list(first.values())), strict=True))
    return [of_kind[kind] for kind in kinds]


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, whatever their shape and type."""
    return one.numel() == other.numel() and torch.equal(one.flatten().to(other), other.flatten())
