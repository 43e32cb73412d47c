"""Which tensor of a block is computed from which, recorded while the block runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from interp.models.internals import TorchDispatchMode, changes_in_place, storage_id

# Operations that leave the numbers and their order unchanged: their result is the same value.
_SAME = frozenset(
    "_reshape_alias _to_copy _unsafe_view alias clone detach lift_fresh squeeze unsqueeze "
    "view".split()
)
OPAQUE = "a module that cannot run without weights"


class UnclearStructure(Exception):  # noqa: N818 — a reason; callers word the error
    """A block that cannot be separated into steps."""


@contextmanager
def with_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Replace a module's forward function for the length of the context."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


def asks_for_value(func: Any) -> bool:
    """Whether an operation reads a number of a tensor."""
    return bool(func is torch.ops.aten._local_scalar_dense.default)


@dataclass(frozen=True)
class Vertex:
    """A value in the dataflow, and the earlier ones from which it was computed."""

    operation: str
    parents: tuple[int, ...]
    shape: torch.Size


class Flow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The dataflow of one block: everything computed from its input, up to its output.

    A value is identified by its number, in the order of computation; 0 is the block's input.

    Attributes:
        vertices: the operation and the parents of each value.
        passed: the inputs and outputs of modules: path, side, value and shape.
        norms: the paths of norms.
        shape: of the block's input.
        end: the value that the block returns.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vertices = [Vertex("input", (), torch.Size())]
        self._value: dict[int, int] = {}
        # Tensors are identified by `id`, so all are kept; some share their memory.
        self._sharing: dict[int, dict[int, Tensor]] = {}
        self.passed: list[tuple[str, Literal["input", "output"], int, torch.Size]] = []
        self.norms: set[str] = set()
        self.shape = torch.Size()
        self.end = -1

    def run(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the block's forward pass and return its output."""
        given = _first(args, kwargs)
        if not isinstance(given, Tensor):
            raise UnclearStructure("its blocks are not given a residual stream")
        # A copy, since the first block's input may be the same tensor in another role.
        start = given.clone()
        args, kwargs = ((start, *args[1:]), kwargs) if args else (args, {**kwargs, _NAME: start})
        self.shape = start.shape
        self._remember(start)
        self._value[id(start)] = 0
        with self:
            output = forward(*args, **kwargs)
        end = _first_of(output)
        self.end = self._value.get(id(end), -1)
        return output

    @contextmanager
    def watching(self, block: nn.Module) -> Iterator[None]:
        """Record the input and output of each module within the block."""
        with ExitStack() as patches:
            for path, module in block.named_modules():
                if path:
                    watched = partial(self._pass, path, module.forward)
                    patches.enter_context(with_forward(module, watched))
                if "norm" in type(module).__name__.lower() and not list(module.children()):
                    self.norms.add(path)
            yield

    def _pass(self, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._note(path, "input", _first(args, kwargs))
        try:
            output = forward(*args, **kwargs)
        except Exception:
            # Experts are chosen by values, and some kernels need real ones. The output of such a
            # module counts as one value that depends on all its inputs; where it is the stream
            # itself, the block is refused.
            found = _first(args, kwargs)
            if not isinstance(found, Tensor):
                raise
            output = torch.empty_like(found)
            given = list(tensors_in((args, kwargs)))
            self._write(output, OPAQUE, self._known(given))
        self._note(path, "output", _first_of(output))
        return output

    def _note(self, path: str, side: Literal["input", "output"], tensor: object) -> None:
        if isinstance(tensor, Tensor):
            self.passed.append((path, side, self._value.get(id(tensor), -1), tensor.shape))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if asks_for_value(func) and args[0].is_meta:
            raise UnclearStructure("its computation depends on values")
        output = func(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        operation = func.overloadpacket.__name__
        # A new tensor in the shape of another does not depend on its values.
        of_shape = operation.endswith("_like") or operation.startswith("new_")
        parents = () if of_shape else self._known(given)
        for tensor in given:
            self._remember(tensor)
        for tensor in tensors_in(output):
            if changes_in_place(func):
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
        self._sharing.setdefault(storage_id(tensor), {})[id(tensor)] = tensor

    def _write(self, tensor: Tensor, operation: str, parents: tuple[int, ...]) -> None:
        self._remember(tensor)
        self._value[id(tensor)] = len(self.vertices)
        self.vertices.append(Vertex(operation, parents, tensor.shape))

    def _overwrite(self, tensor: Tensor, operation: str, parents: tuple[int, ...]) -> None:
        """Give new values to a tensor, and to all that share its memory."""
        if not parents:
            return
        before = self._value.get(id(tensor), -1)
        self._write(tensor, operation, parents)
        written = self._value[id(tensor)]
        for other in list(self._sharing[storage_id(tensor)].values()):
            if self._value.get(id(other), -1) == before >= 0:
                self._value[id(other)] = written
            elif other is not tensor:
                self._write(other, "overwritten", (*self._known([other]), written))


def tensors_in(values: object) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples, lists and mappings."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from tensors_in(value)
    elif isinstance(values, tuple | list):
        for value in values:
            yield from tensors_in(value)


_NAME = "hidden_states"


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the input of a module, as a tap reads it."""
    return args[0] if args else kwargs.get(_NAME)


def _first_of(output: Any) -> Any:
    """Return the output of a module, as a tap reads it."""
    return output[0] if isinstance(output, tuple | list) and output else output
