"""Tracing each kind of block once, to find where its sites are (`residual_stream`).

The pass runs on the `meta` device where the model lies there; no weight is read.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from torch import nn

from interp.models.dataflow import Flow, UnclearStructure, asks_for_value, with_forward
from interp.models.internals import TorchDispatchMode
from interp.models.residual_stream import BlockSites, ResidualSteps


@torch.no_grad()
def block_sites(
    module: nn.Module,
    entry: nn.Module,
    blocks: Sequence[str],
    others: Sequence[str],
    inputs: Mapping[str, Any],
) -> tuple[BlockSites, ...]:
    """Return the sites of each block.

    Of blocks with the same structure the first is traced; the pass ends after the last kind.

    Args:
        module: the model.
        entry: the part of it that is run.
        blocks: paths of the blocks within the model.
        others: paths of blocks that run before them, as an encoder's.
        inputs: the arguments of the entry, for a batch of one short prompt.

    Raises:
        UnclearStructure: the pass fails, or a block is not a sequence of residual steps.
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
                found[kind] = ResidualSteps(flow).sites()
            if not waiting:
                raise _AllTraced
        return outputs[kind]

    with ExitStack() as patches:
        for path in kinds:
            block = module.get_submodule(path)
            patches.enter_context(with_forward(block, partial(trace, path, block.forward)))
        try:
            patches.enter_context(_NoPadding())  # type: ignore[no-untyped-call]
            with suppress(_AllTraced):
                entry(**inputs)
        except UnclearStructure:
            raise
        except Exception as error:
            # A model's own code may raise anything where tensors have no values.
            raise UnclearStructure(str(error).partition("\n")[0]) from error
    if waiting:
        raise UnclearStructure(f"{next(iter(waiting.values()))} does not run")
    return tuple(found[kinds[path]].within(path) for path in blocks)


def structure(block: nn.Module) -> object:
    """Return what is equal of two blocks that compute alike: modules, switches and shapes."""
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


class _NoPadding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers the question of a model's code whether all tokens are real: yes, none is padding."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if asks_for_value(func) and args[0].is_meta and args[0].dtype == torch.bool:
            return True
        return func(*args, **(kwargs or {}))
