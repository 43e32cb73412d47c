"""Attention per head: queries, keys, values, scores, pattern, and each head's output."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.hooks import units
from interp.hooks.hook import HOOKS, AttentionTap, LayeredHookPoint, Tap, missing

if TYPE_CHECKING:
    from interp.models.head_layout import HeadCounts, Place
    from interp.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class HeadSite(LayeredHookPoint, ABC):
    """A site with one row per head.

    Attributes:
        heads: "all", one head, or a list; negative numbers count from the last. For keys and values
            these are the key and value heads, which several query heads may share.
    """

    heads: Any = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "heads", units.validated("heads", self.heads))

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the heads that are read; empty for all of them."""
        return () if self.heads == "all" else self.heads

    @property
    def label(self) -> str:
        """The site, and the heads where not all are read."""
        return units.label(self.site, "heads", self.units)

    def space(self, model: "LanguageModel") -> str:
        """Return "": the heads of two models do not correspond."""
        return ""

    def head_indices(self, n_heads: int) -> tuple[int, ...] | None:
        """Return which of n heads are read; None for all."""
        return units.indices("heads", self.heads, n_heads, f"heads in {self.site}")

    def channels(self, place: "Place") -> NDArray[np.int64]:
        """Return the indices [head, d_head] of the channels of the heads that are read."""
        heads = self.head_indices(len(place.channels))
        return place.channels if heads is None else place.channels[list(heads)]


@dataclass(frozen=True, kw_only=True)
class ProjectedSite(HeadSite, ABC):
    """The output of the query or key projection, before any norm or rotation."""

    of: ClassVar[Literal["queries", "keys"]]

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block.

        Raises:
            MissingSite: the channels of the heads cannot be identified.
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.head_layout import query_key_places

        with missing(self.site):
            places = query_key_places(with_constant_weights(model), self.stack, self.of)
        return {
            i: Tap(place.path, "output", i, channels=self.channels(place))
            for i, place in places.items()
        }


@HOOKS.register("q")
@dataclass(frozen=True, kw_only=True)
class Query(ProjectedSite):
    """Each head's query, [head, d_head], before any norm or rotation (`rot_q` is after them)."""

    site: ClassVar[str] = "q"
    of: ClassVar[Literal["queries", "keys"]] = "queries"


@HOOKS.register("k")
@dataclass(frozen=True, kw_only=True)
class Key(ProjectedSite):
    """Each key head's key, [key head, d_head], before any norm or rotation.

    With grouped-query attention there are fewer key heads than query heads.
    """

    site: ClassVar[str] = "k"
    of: ClassVar[Literal["queries", "keys"]] = "keys"


@dataclass(frozen=True, kw_only=True)
class AttentionSite(HeadSite, ABC):
    """An argument or a result of attention, at transformers' attention interface."""

    what: ClassVar[Literal["query", "key", "value", "output", "scores", "pattern"]]

    def taps(self, model: "LanguageModel") -> Mapping[int, AttentionTap]:
        """Return one tap per block.

        Raises:
            MissingSite: attention is not called through transformers' interface.
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.head_layout import head_counts

        with missing(self.site):
            counts = head_counts(with_constant_weights(model), self.stack)
        blocks = model.stack(self.stack).blocks
        return {i: self._tap(i, blocks[i], heads) for i, heads in counts.items()}

    def _tap(self, block: int, path: str, heads: "HeadCounts") -> AttentionTap:
        n = heads.key if self.what in ("key", "value") else heads.query
        return AttentionTap(self.what, path, block, self.head_indices(n))


@HOOKS.register("rot_q")
@dataclass(frozen=True, kw_only=True)
class RotatedQuery(AttentionSite):
    """Each head's query, [head, d_head], after norm and rotation where the model has them."""

    site: ClassVar[str] = "rot_q"
    what: ClassVar[Literal["query"]] = "query"


@HOOKS.register("rot_k")
@dataclass(frozen=True, kw_only=True)
class RotatedKey(AttentionSite):
    """Each key head's key, [key head, d_head], after norm and rotation where the model has them."""

    site: ClassVar[str] = "rot_k"
    what: ClassVar[Literal["key"]] = "key"


@HOOKS.register("v")
@dataclass(frozen=True, kw_only=True)
class Value(AttentionSite):
    """Each key head's value, [key head, d_head]."""

    site: ClassVar[str] = "v"
    what: ClassVar[Literal["value"]] = "value"


@HOOKS.register("z")
@dataclass(frozen=True, kw_only=True)
class HeadOutput(AttentionSite):
    """Each head's output, [head, d_head]: the values weighted by its pattern.

    A weight that the attention function applies to it, such as a sink's, is included.
    """

    site: ClassVar[str] = "z"
    what: ClassVar[Literal["output"]] = "output"


@dataclass(frozen=True, kw_only=True)
class OverKeys(AttentionSite, ABC):
    """One number per head and key, [head, key].

    Keys are the prompt's tokens, special ones included, up to the length of the longest prompt.
    """

    def taps(self, model: "LanguageModel") -> Mapping[int, AttentionTap]:
        """Return one tap per block.

        Raises:
            MissingSite: attention is not called through transformers' interface.
            ConfigError: the kernel keeps no mask that says which keys a query attends to.
        """
        from interp.models.attention import KERNELS_WITH_MASKS

        if model.attention_kernel not in KERNELS_WITH_MASKS:
            raise ConfigError(
                f"model.attention: hook={self.site} is computed with the kernels "
                f"{' and '.join(KERNELS_WITH_MASKS)}, not {model.attention_kernel}"
            )
        return super().taps(model)


@HOOKS.register("attn_scores")
@dataclass(frozen=True, kw_only=True)
class AttentionScores(OverKeys):
    """Each head's scores before the softmax, [head, key], of the selected tokens' queries.

    Scale, position biases and soft caps are included; −∞ where the head may not attend.
    """

    site: ClassVar[str] = "attn_scores"
    may_be_minus_infinity: ClassVar[bool] = True
    what: ClassVar[Literal["scores"]] = "scores"


@HOOKS.register("pattern")
@dataclass(frozen=True, kw_only=True)
class Pattern(OverKeys):
    """Each head's attention probabilities, [head, key], of the selected tokens' queries.

    They are the model's own where its kernel returns them (`model.attention=eager`); elsewhere the
    model's eager function computes them for the selected queries.
    """

    site: ClassVar[str] = "pattern"
    what: ClassVar[Literal["pattern"]] = "pattern"


@HOOKS.register("result")
@dataclass(frozen=True, kw_only=True)
class HeadResult(HeadSite):
    """What each head adds to the residual stream, [head, d]; the sum and the bias are `attn_out`.

    Where a norm follows attention (Gemma 2, OLMo 2), it is what the head adds to that norm's input.
    """

    site: ClassVar[str] = "result"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return one tap per block.

        Raises:
            MissingSite: the output is not a sum over heads.
        """
        from interp.models.constant_weights import with_constant_weights
        from interp.models.head_layout import output_places

        with missing(self.site):
            places = output_places(with_constant_weights(model), self.stack)
        return {
            i: Tap(place.path, "input", i, channels=self.channels(place), projects=True)
            for i, place in places.items()
        }
