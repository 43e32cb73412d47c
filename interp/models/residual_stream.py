"""What stands where in a block, read off its dataflow: the stream, what is added to it, the norms.

One short pass, on the `meta` device where the model lies there, records which tensor of a block is
computed from which. A tensor that all paths from the block's input to its output pass through is
the whole stream at that moment. Between two such moments stands either a step, a sum of the first
with something computed from it, or a norm. What enters the last of several steps is the middle,
between attention and MLP; a block of a single step, as where these run side by side, has none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from interp.models.dataflow import UNREADABLE, Flow, UnclearStructure, asks, replaced

_PRODUCTS = frozenset(
    "_grouped_mm addbmm addmm addmv baddbmm bmm convolution dot linear mm mv".split()
)


@dataclass(frozen=True)
class Middle:
    """The residual stream between a block's attention and its MLP.

    Attributes:
        path: the module that it enters or leaves.
        side: its input, or its output.
        added: what has just been added: "attn", or "mixer" where no attention is seen (Mamba).
    """

    path: str
    side: Literal["input", "output"]
    added: Literal["attn", "mixer"]


@dataclass(frozen=True)
class Outlet:
    """The output of a module of a block: its path."""

    path: str


@dataclass(frozen=True)
class BlockSites:
    """What stands where in a block; None for what it does not have.

    Attributes:
        middle: the residual stream between attention and MLP.
        attn_out: what attention adds to the stream.
        mlp_out: what the MLP adds to the stream.
        ln1: attention's norm: the one in front of it, or else the one of the sum (BERT), or of its
            own output (OLMo 2).
        ln2: the MLP's norm, likewise.
    """

    middle: Middle | None = None
    attn_out: Outlet | None = None
    mlp_out: Outlet | None = None
    ln1: Outlet | None = None
    ln2: Outlet | None = None

    def within(self, block: str) -> "BlockSites":
        """Return the same with paths within the model."""
        places = {field.name: getattr(self, field.name) for field in fields(self)}
        return BlockSites(
            **{
                name: place and replace(place, path=f"{block}.{place.path}")
                for name, place in places.items()
            }
        )


@torch.no_grad()
def block_sites(
    module: nn.Module,
    entry: nn.Module,
    blocks: Sequence[str],
    others: Sequence[str],
    inputs: Mapping[str, Any],
) -> tuple[BlockSites, ...]:
    """Return what stands where in each block.

    Blocks of the same structure are told by the first of them, and the pass ends after the last
    that differs. No weight is read where the model lies on the `meta` device.

    Args:
        module: the model.
        entry: the part of it that is run.
        blocks: paths of the blocks within the model.
        others: paths of blocks that run before them, as an encoder's.
        inputs: what the entry takes, for a batch of one short prompt.

    Raises:
        UnclearStructure: the pass fails, or a block is no sequence of residual steps.
    """
    kinds = {
        path: (path in blocks, structure(module.get_submodule(path))) for path in (*others, *blocks)
    }
    waiting = {kinds[path]: path for path in reversed(blocks)}
    outputs: dict[object, Any] = {}
    found: dict[object, BlockSites] = {}

    def trace(path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        kind = kinds[path]
        if kind not in outputs:
            flow = Flow()
            with flow.watching(module.get_submodule(path)):
                outputs[kind] = flow.run(forward, *args, **kwargs)
            if waiting.pop(kind, ""):
                found[kind] = _Steps(flow).sites()
            if not waiting:
                raise _AllTraced
        return outputs[kind]

    with ExitStack() as patches:
        for path in kinds:
            block = module.get_submodule(path)
            patches.enter_context(replaced(block, partial(trace, path, block.forward)))
        try:
            patches.enter_context(_EveryTokenIsThere())  # type: ignore[no-untyped-call]
            with suppress(_AllTraced):
                entry(**inputs)
        except UnclearStructure:
            raise
        except Exception as error:
            # Any model's own code may fail in any way where tensors have no values.
            raise UnclearStructure(str(error).partition("\n")[0]) from error
    if waiting:
        raise UnclearStructure(f"{next(iter(waiting.values()))} does not run")
    return tuple(found[kinds[path]].within(path) for path in blocks)


def structure(block: nn.Module) -> object:
    """Return what two blocks that compute alike have in common: modules, switches and shapes."""
    return tuple(
        (
            path,
            type(module),
            *(item for item in vars(module).items() if isinstance(item[1], bool | str)),
            *((name, weight.shape) for name, weight in module.named_parameters(recurse=False)),
        )
        for path, module in block.named_modules()
    )


class _AllTraced(Exception):  # noqa: N818 — not an error: every kind of block has been traced
    """Ends the pass."""


class _EveryTokenIsThere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers the one kind of question that models put to their inputs: is no token padding?"""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if asks(func) and args[0].is_meta and args[0].dtype == torch.bool:
            return True
        return func(*args, **(kwargs or {}))


class _Steps:
    """Reads the residual steps off a block's dataflow."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def sites(self) -> BlockSites:
        """Return what stands where, paths within the block.

        Raises:
            UnclearStructure: the block is no sequence of residual steps.
        """
        steps = self._steps()
        *attends, last_attends = (self._attends(self._between(*step)) for step in steps)
        if len(steps) > 1 and (last_attends or (len(steps) > 2 and not all(attends))):
            raise UnclearStructure(
                f"the {len(steps)} steps of its blocks are not attention first and an MLP last"
            )
        added = [self._added(*step) for step in steps]
        attention = [v for v in added[0] if self._is_attention(v, steps[0][0])]
        mlp = added[-1] if len(steps) > 1 else [v for v in added[0] if v not in attention]
        if len(steps) == 1 and not attention:
            # A mixer that is a block's only step is no MLP.
            mlp = []
        return BlockSites(
            middle=self._middle(steps[-1][0], all(attends)) if len(steps) > 1 else None,
            attn_out=self._outlet(attention),
            mlp_out=self._outlet(mlp),
            ln1=self._norm(*steps[0], attention),
            ln2=self._norm(*steps[-1], mlp),
        )

    def _middle(self, middle: int, attends: bool) -> Middle:
        """Return what enters the last step of several."""
        for path, side, value in self._in_or_out():
            if value == middle:
                return Middle(path, side, "attn" if attends else "mixer")
        raise UnclearStructure("no module takes or gives what stands between attention and MLP")

    def _in_or_out(self) -> Iterator[tuple[str, Literal["input", "output"], int]]:
        """Yield what is given to modules that run once, and what they return, in the order of it.

        What some modules take in rows, [token, d], comes after what is taken as it is.
        """
        calls = [path for path, side, *_ in self._flow.passed if side == "input"]
        rows = torch.Size([self._flow.shape[:-1].numel(), self._flow.shape[-1]])
        for wanted in (self._flow.shape, rows):
            for path, side, value, shape in self._flow.passed:
                if shape == wanted and calls.count(path) == 1:
                    yield path, side, value

    def _outlet(self, added: Sequence[int]) -> Outlet | None:
        """Return the module that gives what is added, but for a factor."""
        if len(added) != 1:
            return None
        (value,) = added
        while True:
            for path, side, passed in self._in_or_out():
                if side == "output" and passed == value:
                    return Outlet(path)
            vertex = self._flow.vertices[value]
            if len(vertex.parents) != 1 or vertex.operation not in ("mul", "div"):
                return None
            (value,) = vertex.parents

    def _norm(self, start: int, end: int, added: Sequence[int]) -> Outlet | None:
        """Return the norm of a step that adds a value: in front, of the sum, or of the value."""
        if len(added) != 1:
            return None
        behind = self._before(added[0], start)
        given = {path: value for path, side, value, _ in self._flow.passed if side == "input"}
        gave = {path: value for path, side, value, _ in self._flow.passed if side == "output"}
        norms = [path for path in given if path in self._flow.norms]
        in_front = [path for path in norms if given[path] == start and gave[path] in behind]
        of_sum = [path for path in norms if given[path] == end]
        of_added = [path for path in norms if gave[path] == added[0]]
        return next((Outlet(path) for path in (*in_front, *of_sum, *of_added)), None)

    def _steps(self) -> list[tuple[int, int]]:
        """Return where each residual step begins and ends."""
        on_the_way = self._before(self._flow.end, -1)
        if 0 not in on_the_way:
            raise UnclearStructure("its blocks return something else than a residual stream")
        reach: dict[int, int] = {}
        for value in sorted(on_the_way, reverse=True):
            for parent in self._flow.vertices[value].parents:
                reach.setdefault(parent, value)
        # All paths pass through a value that nothing before it reaches beyond.
        whole, farthest = [], 0
        for value in sorted(on_the_way):
            if farthest <= value:
                whole.append(value)
            farthest = max(farthest, reach.get(value, value))
        steps = []
        for start, end in pairwise(whole):
            if self._added(start, end):
                steps.append((start, end))
            elif any(
                self._flow.vertices[value].operation in {*_PRODUCTS, UNREADABLE}
                for value in self._between(start, end)
            ):
                raise UnclearStructure("its blocks change the stream otherwise than by adding")
        if not steps:
            raise UnclearStructure("its blocks add nothing to the stream")
        return steps

    def _before(self, end: int, start: int) -> set[int]:
        """Return the values after a start that another was computed from, itself included."""
        found = {end}
        for value in range(end, start, -1):
            if value in found:
                found.update(p for p in self._flow.vertices[value].parents if p > start)
        return found

    def _between(self, start: int, end: int) -> list[int]:
        return sorted(self._before(end, start))

    def _added(self, start: int, end: int) -> list[int]:
        """Return what a step adds to its start, scaled or not; empty where it does something else.

        A sum of what attention gives and something else is two.
        """
        carries, added = {start}, []
        for value in self._between(start, end):
            vertex = self._flow.vertices[value]
            carried = carries.intersection(vertex.parents)
            alone = len(vertex.parents) == 1 and vertex.operation in ("mul", "div")
            if carried and (vertex.operation == "add" or alone):
                carries.add(value)
                added += [parent for parent in vertex.parents if parent not in carries]
        if end not in carries or self._flow.vertices[end].operation != "add":
            return []
        split: list[int] = []
        for value in added:
            parents = self._flow.vertices[value].parents
            attends = {self._attends(self._before(parent, start)) for parent in parents}
            is_two = self._flow.vertices[value].operation == "add" and len(attends) == 2
            split += parents if is_two else [value]
        return split

    def _is_attention(self, value: int, start: int) -> bool:
        """Tell whether a value is what attention gives, projected, and nothing else on top."""
        behind = sorted(self._before(value, start))
        attending = [v for v in behind if self._attends([v])]
        if not attending:
            return False
        fused = "softmax" not in self._flow.vertices[attending[-1]].operation
        after, products = {attending[-1]}, 0
        for later in behind:
            if after.intersection(self._flow.vertices[later].parents):
                after.add(later)
                products += self._flow.vertices[later].operation in _PRODUCTS
        # A pattern is multiplied by the values first.
        return products <= (1 if fused else 2)

    def _attends(self, values: Iterable[int]) -> bool:
        """Tell whether there is attention among values: a softmax of tokens over tokens."""
        tokens = self._flow.shape[-2:-1]
        for vertex in (self._flow.vertices[value] for value in values):
            # A router's softmax goes over experts, in three dimensions at most.
            over_tokens = len(vertex.shape) > 3 or vertex.shape[-2:] == tokens + tokens
            if "softmax" in vertex.operation and over_tokens:
                return True
            if "attention" in vertex.operation or "attn" in vertex.operation:
                return True
        return False
