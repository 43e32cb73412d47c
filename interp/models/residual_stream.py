"""The sites of a block, found from its dataflow: the stream, what is added to it, the norms.

A recorded pass shows which tensor of a block is computed from which. A tensor that all paths from
the block's input to its output pass through is the whole stream at that point. Between two such
points is either a step, which adds something computed from the first point to it, or a norm. The
input of the last of several steps is the middle, between attention and MLP; a block of a single
step, as where these run in parallel, has none.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Literal

import torch

from interp.models.dataflow import OPAQUE, Flow, UnclearStructure

_PRODUCTS = frozenset(
    "_grouped_mm addbmm addmm addmv baddbmm bmm convolution dot linear mm mv".split()
)


@dataclass(frozen=True)
class Middle:
    """The residual stream between a block's attention and its MLP.

    Attributes:
        path: the module whose input or output it is.
        side: which of the two.
        added: what has just been added: "attn", or "mixer" where there is no attention (Mamba).
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
    """The sites of a block; None for a site that it does not have.

    Attributes:
        middle: the residual stream between attention and MLP.
        attn_out: what attention adds to the stream.
        mlp_out: what the MLP adds to the stream.
        ln1: attention's norm: that of its input, or else that of the residual sum (BERT), or of its
            output (OLMo 2).
        ln2: the MLP's norm, likewise.
    """

    middle: Middle | None = None
    attn_out: Outlet | None = None
    mlp_out: Outlet | None = None
    ln1: Outlet | None = None
    ln2: Outlet | None = None

    def within(self, block: str) -> "BlockSites":
        """Return the same sites with paths within the model."""
        places = {field.name: getattr(self, field.name) for field in fields(self)}
        return BlockSites(
            **{
                name: place and replace(place, path=f"{block}.{place.path}")
                for name, place in places.items()
            }
        )


class ResidualSteps:
    """The residual steps in a block's dataflow."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def sites(self) -> BlockSites:
        """Return the sites, with paths within the block.

        Raises:
            UnclearStructure: the block is not a sequence of residual steps.
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
            # A mixer that is a block's only step is not an MLP.
            mlp = []
        return BlockSites(
            middle=self._middle(steps[-1][0], all(attends)) if len(steps) > 1 else None,
            attn_out=self._outlet(attention),
            mlp_out=self._outlet(mlp),
            ln1=self._norm(*steps[0], attention),
            ln2=self._norm(*steps[-1], mlp),
        )

    def _middle(self, middle: int, attends: bool) -> Middle:
        """Return the input of the last of several steps."""
        for path, side, value in self._in_or_out():
            if value == middle:
                return Middle(path, side, "attn" if attends else "mixer")
        raise UnclearStructure("no module reads or returns the stream between attention and MLP")

    def _in_or_out(self) -> Iterator[tuple[str, Literal["input", "output"], int]]:
        """Yield the inputs and outputs of modules that run once, in the order of the pass.

        Those in the shape of the stream come first, then those in rows, [token, d].
        """
        calls = [path for path, side, *_ in self._flow.passed if side == "input"]
        rows = torch.Size([self._flow.shape[:-1].numel(), self._flow.shape[-1]])
        for wanted in (self._flow.shape, rows):
            for path, side, value, shape in self._flow.passed:
                if shape == wanted and calls.count(path) == 1:
                    yield path, side, value

    def _outlet(self, added: Sequence[int]) -> Outlet | None:
        """Return the module whose output is added, up to a factor."""
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
        """Return the norm of a step: of its input, of the sum, or of the value that is added."""
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
        """Return the start and the end of each residual step."""
        on_the_way = self._before(self._flow.end, -1)
        if 0 not in on_the_way:
            raise UnclearStructure("its blocks do not return a residual stream")
        reach: dict[int, int] = {}
        for value in sorted(on_the_way, reverse=True):
            for parent in self._flow.vertices[value].parents:
                reach.setdefault(parent, value)
        # All paths pass through a value beyond which no earlier value reaches.
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
                self._flow.vertices[value].operation in {*_PRODUCTS, OPAQUE}
                for value in self._between(start, end)
            ):
                raise UnclearStructure("its blocks change the stream in another way than by adding")
        if not steps:
            raise UnclearStructure("its blocks add nothing to the stream")
        return steps

    def _before(self, end: int, start: int) -> set[int]:
        """Return the values after `start` from which `end` was computed, `end` included."""
        found = {end}
        for value in range(end, start, -1):
            if value in found:
                found.update(p for p in self._flow.vertices[value].parents if p > start)
        return found

    def _between(self, start: int, end: int) -> list[int]:
        return sorted(self._before(end, start))

    def _added(self, start: int, end: int) -> list[int]:
        """Return the values that a step adds to its start, scaled or not; empty if it is no sum.

        A sum of attention's output and something else counts as two values.
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
        """Whether a value is attention's output after its projection, and nothing else."""
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
        # Without a fused kernel, the pattern is first multiplied by the values.
        return products <= (1 if fused else 2)

    def _attends(self, values: Iterable[int]) -> bool:
        """Whether there is attention among some values: a softmax over tokens."""
        tokens = self._flow.shape[-2:-1]
        for vertex in (self._flow.vertices[value] for value in values):
            # A router's softmax is over experts, in three dimensions at most.
            over_tokens = len(vertex.shape) > 3 or vertex.shape[-2:] == tokens + tokens
            if "softmax" in vertex.operation and over_tokens:
                return True
            if "attention" in vertex.operation or "attn" in vertex.operation:
                return True
        return False
