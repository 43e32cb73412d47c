"""Positions: which tokens of a tokenised prompt are read, as samples of token indices."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_choice
from interp.core.registry import Registry
from interp.data.prompts import Span

Pooling = Literal["mean", "max", "attention"]
Sample = tuple[int, ...]


@dataclass(frozen=True)
class Tokens:
    """One tokenised prompt.

    Attributes:
        text: the prompt.
        ids: token ids [T].
        offsets: the [start, end) characters of each token [T, 2].
        special: whether the tokenizer added the token (start, separator) [T].
    """

    text: str
    ids: NDArray[np.int64]
    offsets: NDArray[np.int32]
    special: NDArray[np.bool_]

    @property
    def of_text(self) -> list[int]:
        """The indices of the prompt's tokens, without special ones."""
        found: list[int] = (~self.special).nonzero()[0].tolist()
        return found

    def covering(self, span: Span) -> list[int]:
        """Return the indices of the text's tokens that share a character with the span."""
        start, end = span
        starts, ends = self.offsets.T
        found: list[int] = ((starts < end) & (ends > start) & ~self.special).nonzero()[0].tolist()
        return found


class Position(Hashable, Protocol):
    """Selects tokens; `pooling` is how the tokens of one sample become one vector."""

    pooling: ClassVar[Pooling]

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one tuple of token indices for each sample of the prompt."""
        ...


POSITIONS: Registry[Position] = Registry("position", "interp.positions")


def described(position: Position) -> str:
    """Return a position's name in figures: "before target"."""
    return POSITIONS.name_of(position).replace("_", " ")


def _target_tokens(tokens: Tokens, target: Span) -> list[int]:
    if target == (0, 0):
        raise ConfigError(f"no target is marked in {tokens.text!r}: put it in braces, like {{him}}")
    found = tokens.covering(target)
    if not found:
        word = tokens.text[slice(*target)]
        raise ConfigError(f"no token covers the target {word!r} of {tokens.text!r}")
    return found


@POSITIONS.register("all")
@dataclass(frozen=True)
class All:
    """Every token of the text, each a sample of its own.

    Attributes:
        special: whether special tokens are included.
    """

    pooling: ClassVar[Pooling] = "mean"
    special: bool = False

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample per token."""
        chosen = range(len(tokens.ids)) if self.special else tokens.of_text
        return [(i,) for i in chosen]


@POSITIONS.register("first")
@dataclass(frozen=True)
class First:
    """The text's first token."""

    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample."""
        return [(tokens.of_text[0],)]


@POSITIONS.register("last")
@dataclass(frozen=True)
class Last:
    """The text's last token."""

    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample."""
        return [(tokens.of_text[-1],)]


@POSITIONS.register("index")
@dataclass(frozen=True)
class Index:
    """The text's token at an index, counted from the end where negative.

    Attributes:
        index: 0 for the first token of the text, -1 for the last one.
    """

    index: int
    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample.

        Raises:
            ConfigError: the text has too few tokens.
        """
        of_text = tokens.of_text
        if not -len(of_text) <= self.index < len(of_text):
            raise ConfigError(
                f"index {self.index} is outside {tokens.text!r}, which has {len(of_text)} tokens"
            )
        return [(of_text[self.index],)]


@POSITIONS.register("target")
@dataclass(frozen=True)
class Target:
    """The marked target.

    Attributes:
        several: what is read where the target has several tokens: its "last", its "first", their
            "mean", or an "error".
    """

    pooling: ClassVar[Pooling] = "mean"
    several: str = "last"

    def __post_init__(self) -> None:
        check_choice("several", self.several, ("last", "first", "mean", "error"))

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample.

        Raises:
            ConfigError: no target is marked, or it has several tokens and `several` is "error".
        """
        found = _target_tokens(tokens, target)
        if self.several == "error" and len(found) > 1:
            word = tokens.text[slice(*target)]
            raise ConfigError(f"the target {word!r} of {tokens.text!r} is {len(found)} tokens")
        return [{"first": (found[0],), "mean": tuple(found)}.get(self.several, (found[-1],))]


@POSITIONS.register("before_target")
@dataclass(frozen=True)
class BeforeTarget:
    """The text's token just before the marked target."""

    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample.

        Raises:
            ConfigError: no target is marked, or it comes first.
        """
        first = _target_tokens(tokens, target)[0]
        before = [i for i in tokens.of_text if i < first]
        if not before:
            raise ConfigError(f"no token stands before the target of {tokens.text!r}")
        return [(before[-1],)]


@POSITIONS.register("target_and_before")
@dataclass(frozen=True)
class TargetAndBefore:
    """The text's token just before the marked target, then the target's last token."""

    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return two samples, the token before the target first.

        Raises:
            ConfigError: no target is marked, or it comes first.
        """
        return [*BeforeTarget()(tokens, target), *Target()(tokens, target)]


@POSITIONS.register("mean")
@dataclass(frozen=True)
class Mean:
    """The mean over the text's tokens."""

    pooling: ClassVar[Pooling] = "mean"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample of all the text's tokens."""
        return [tuple(tokens.of_text)]


@POSITIONS.register("max")
@dataclass(frozen=True)
class Max:
    """The maximum over the text's tokens, dimension by dimension."""

    pooling: ClassVar[Pooling] = "max"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample of all the text's tokens."""
        return [tuple(tokens.of_text)]


@POSITIONS.register("attention_mean")
@dataclass(frozen=True)
class AttentionMean:
    """The mean over the text's tokens, each weighted by the attention that it receives.

    The weight is the block's attention probability to the token, averaged over heads and over all
    query tokens, and normalised over the text's tokens. The model runs with
    `model.attention=eager`, which returns the attention probabilities.
    """

    pooling: ClassVar[Pooling] = "attention"

    def __call__(self, tokens: Tokens, target: Span) -> list[Sample]:
        """Return one sample of all the text's tokens."""
        return [tuple(tokens.of_text)]
