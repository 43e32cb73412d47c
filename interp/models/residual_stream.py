"""What stands where in a block, read off its dataflow: the stream, what is added to it, the norms.

One short pass, on the `meta` device where the model lies there, records which tensor of a block is
computed from which. A tensor that all paths from the block's input to its output pass through is
the whole stream at that moment. Between two such moments stands either a step, a sum of the first
with something computed from it, or a norm. What enters the last of several steps is the middle,
between attention and MLP; a block of a single step, as where these run side by side, has none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What leaves every number where it stands in the row of all numbers: the same tensor, for us.
_SAME = frozenset(
    "_reshape_alias _to_copy _unsafe_view alias clone detach lift_fresh squeeze unsqueeze "
    "view".split()
)
_PRODUCTS = frozenset(
    "_grouped_mm addbmm addmm addmv baddbmm bmm convolution dot linear mm mv".split()
)
_UNREADABLE = "a module that cannot run without weights"


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


class UnclearStructure(Exception):  # noqa: N818 — says what stands in the way; callers word the error
    """A block that cannot be told into steps."""


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
            flow = _Flow()
            with flow.watching(module.get_submodule(path)):
                outputs[kind] = flow.run(forward, *args, **kwargs)
            if waiting.pop(kind, ""):
                found[kind] = flow.sites()
            if not waiting:
                raise _AllTraced
        return outputs[kind]

    with ExitStack() as patches:
        for path in kinds:
            block = module.get_submodule(path)
            patches.enter_context(_replaced(block, partial(trace, path, block.forward)))
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


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Run another forward in the module's place for the length of the context."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


class _EveryTokenIsThere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers the one kind of question that models put to their inputs: is no token padding?"""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if _asks(func) and args[0].is_meta and args[0].dtype == torch.bool:
            return True
        return func(*args, **(kwargs or {}))


def _asks(func: Any) -> bool:
    return bool(func is torch.ops.aten._local_scalar_dense.default)


@dataclass(frozen=True)
class _Vertex:
    """One tensor's value, and the earlier ones that it was computed from."""

    operation: str
    parents: tuple[int, ...]
    shape: torch.Size


class _Flow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The dataflow of one block: all that is computed from its input, up to its output.

    A value is known by its number: 0 is the block's input, and later ones come later.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._vertices = [_Vertex("input", (), torch.Size())]
        self._value: dict[int, int] = {}
        # Tensors are known by their id, so that none may go; and some share their memory.
        self._sharing: dict[int, dict[int, Tensor]] = {}
        self._passed: list[tuple[str, Literal["input", "output"], int, torch.Size]] = []
        self._norms: set[str] = set()
        self._shape = torch.Size()
        self._end = -1

    def run(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the block's forward pass and return its output."""
        given = _first(args, kwargs)
        if not isinstance(given, Tensor):
            raise UnclearStructure("its blocks are not given a residual stream")
        # A copy, lest the first block's input be mistaken for the same tensor in another role.
        start = given.clone()
        args, kwargs = ((start, *args[1:]), kwargs) if args else (args, {**kwargs, _NAME: start})
        self._shape = start.shape
        self._remember(start)
        self._value[id(start)] = 0
        with self:
            output = forward(*args, **kwargs)
        end = _first_of(output)
        self._end = self._value.get(id(end), -1)
        return output

    @contextmanager
    def watching(self, block: nn.Module) -> Iterator[None]:
        """Note what enters and leaves each module within the block."""
        with ExitStack() as patches:
            for path, module in block.named_modules():
                if path:
                    watched = partial(self._pass, path, module.forward)
                    patches.enter_context(_replaced(module, watched))
                if "norm" in type(module).__name__.lower() and not list(module.children()):
                    self._norms.add(path)
            yield

    def _pass(self, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._note(path, "input", _first(args, kwargs))
        try:
            output = forward(*args, **kwargs)
        except Exception:
            # An expert is chosen by values, and some kernels need real ones. What such a module
            # gives is taken for one tensor that depends on all that the module is given; where
            # this is the stream itself, the block is refused.
            found = _first(args, kwargs)
            if not isinstance(found, Tensor):
                raise
            output = torch.empty_like(found)
            given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
            self._write(output, _UNREADABLE, self._known(given))
        self._note(path, "output", _first_of(output))
        return output

    def _note(self, path: str, side: Literal["input", "output"], tensor: object) -> None:
        if isinstance(tensor, Tensor):
            self._passed.append((path, side, self._value.get(id(tensor), -1), tensor.shape))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if _asks(func) and args[0].is_meta:
            raise UnclearStructure("what it computes depends on values")
        output = func(*args, **kwargs)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        operation = func.overloadpacket.__name__
        # A new tensor that is made in another's shape has nothing of its values.
        of_shape = operation.endswith("_like") or operation.startswith("new_")
        parents = () if of_shape else self._known(given)
        for tensor in given:
            self._remember(tensor)
        for tensor in tree_leaves(output):
            if not isinstance(tensor, Tensor):
                continue
            if func._schema.is_mutable:
                self._overwrite(tensor, operation.rstrip("_"), parents)
            elif operation in _SAME:
                self._remember(tensor)
                self._value |= {id(tensor): value for value in parents[:1]}
            elif parents:
                self._write(tensor, operation, parents)
            else:
                self._remember(tensor)
        return output

    def _known(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        values = (self._value.get(id(tensor), -1) for tensor in tensors)
        return tuple(dict.fromkeys(value for value in values if value >= 0))

    def _remember(self, tensor: Tensor) -> None:
        self._sharing.setdefault(tensor.untyped_storage()._cdata, {})[id(tensor)] = tensor

    def _write(self, tensor: Tensor, operation: str, parents: tuple[int, ...]) -> None:
        self._remember(tensor)
        self._value[id(tensor)] = len(self._vertices)
        self._vertices.append(_Vertex(operation, parents, tensor.shape))

    def _overwrite(self, tensor: Tensor, operation: str, parents: tuple[int, ...]) -> None:
        """Give new values to a tensor, and to all that see the same memory."""
        if not parents:
            return
        before = self._value.get(id(tensor), -1)
        self._write(tensor, operation, parents)
        written = self._value[id(tensor)]
        for other in list(self._sharing[tensor.untyped_storage()._cdata].values()):
            if self._value.get(id(other), -1) == before >= 0:
                self._value[id(other)] = written
            elif other is not tensor:
                self._write(other, "overwritten", (*self._known([other]), written))

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
        calls = [path for path, side, *_ in self._passed if side == "input"]
        rows = torch.Size([self._shape[:-1].numel(), self._shape[-1]])
        for wanted in (self._shape, rows):
            for path, side, value, shape in self._passed:
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
            vertex = self._vertices[value]
            if len(vertex.parents) != 1 or vertex.operation not in ("mul", "div"):
                return None
            (value,) = vertex.parents

    def _norm(self, start: int, end: int, added: Sequence[int]) -> Outlet | None:
        """Return the norm of a step that adds a value: in front, of the sum, or of the value."""
        if len(added) != 1:
            return None
        behind = self._before(added[0], start)
        given = {path: value for path, side, value, _ in self._passed if side == "input"}
        gave = {path: value for path, side, value, _ in self._passed if side == "output"}
        norms = [path for path in given if path in self._norms]
        in_front = [path for path in norms if given[path] == start and gave[path] in behind]
        of_sum = [path for path in norms if given[path] == end]
        of_added = [path for path in norms if gave[path] == added[0]]
        return next((Outlet(path) for path in (*in_front, *of_sum, *of_added)), None)

    def _steps(self) -> list[tuple[int, int]]:
        """Return where each residual step begins and ends."""
        on_the_way = self._before(self._end, -1)
        if 0 not in on_the_way:
            raise UnclearStructure("its blocks return something else than a residual stream")
        reach: dict[int, int] = {}
        for value in sorted(on_the_way, reverse=True):
            for parent in self._vertices[value].parents:
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
                self._vertices[value].operation in {*_PRODUCTS, _UNREADABLE}
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
                found.update(p for p in self._vertices[value].parents if p > start)
        return found

    def _between(self, start: int, end: int) -> list[int]:
        return sorted(self._before(end, start))

    def _added(self, start: int, end: int) -> list[int]:
        """Return what a step adds to its start, scaled or not; empty where it does something else.

        A sum of what attention gives and something else is two.
        """
        carries, added = {start}, []
        for value in self._between(start, end):
            vertex = self._vertices[value]
            carried = carries.intersection(vertex.parents)
            alone = len(vertex.parents) == 1 and vertex.operation in ("mul", "div")
            if carried and (vertex.operation == "add" or alone):
                carries.add(value)
                added += [parent for parent in vertex.parents if parent not in carries]
        if end not in carries or self._vertices[end].operation != "add":
            return []
        split: list[int] = []
        for value in added:
            parents = self._vertices[value].parents
            attends = {self._attends(self._before(parent, start)) for parent in parents}
            is_two = self._vertices[value].operation == "add" and len(attends) == 2
            split += parents if is_two else [value]
        return split

    def _is_attention(self, value: int, start: int) -> bool:
        """Tell whether a value is what attention gives, projected, and nothing else on top."""
        behind = sorted(self._before(value, start))
        attending = [v for v in behind if self._attends([v])]
        if not attending:
            return False
        fused = "softmax" not in self._vertices[attending[-1]].operation
        after, products = {attending[-1]}, 0
        for later in behind:
            if after.intersection(self._vertices[later].parents):
                after.add(later)
                products += self._vertices[later].operation in _PRODUCTS
        # A pattern is multiplied by the values first.
        return products <= (1 if fused else 2)

    def _attends(self, values: Iterable[int]) -> bool:
        """Tell whether there is attention among values: a softmax of tokens over tokens."""
        tokens = self._shape[-2:-1]
        for vertex in (self._vertices[value] for value in values):
            # A router's softmax goes over experts, in three dimensions at most.
            over_tokens = len(vertex.shape) > 3 or vertex.shape[-2:] == tokens + tokens
            if "softmax" in vertex.operation and over_tokens:
                return True
            if "attention" in vertex.operation or "attn" in vertex.operation:
                return True
        return False


_NAME = "hidden_states"


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return what a module is given, as the capture takes it."""
    return args[0] if args else kwargs.get(_NAME)


def _first_of(output: Any) -> Any:
    """Return what a module gives, as the capture takes it."""
    return output[0] if isinstance(output, tuple | list) and output else output
