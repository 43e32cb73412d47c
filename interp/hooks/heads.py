"""Attention head by head: queries, keys, values, scores, pattern, and what each head writes."""

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
    from interp.models.head_layout import Heads, Place
    from interp.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class HeadSite(LayeredHookPoint, ABC):
    """A site that has a row a head.

    Attributes:
        heads: "all", one head, or a list; negative numbers count from the last. Of keys and values
            these are the different ones, which several heads may share.
    """

    heads: Any = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "heads", units.checked("heads", self.heads))

    @property
    def units(self) -> tuple[int, ...]:
        """The numbers of the heads that are read; empty for all of them."""
        return () if self.heads == "all" else self.heads

    @property
    def label(self) -> str:
        """The site, and which heads where some are read."""
        return units.told(self.site, "heads", self.units)

    def space(self, model: "LanguageModel") -> str:
        """Leave it open: a head of one model is no head of another."""
        return ""

    def picked(self, n_heads: int) -> tuple[int, ...] | None:
        """Return which of n heads are read; None for all."""
        return units.picked("heads", self.heads, n_heads, f"heads in {self.site}")

    def channels(self, place: "Place") -> NDArray[np.int64]:
        """Return the channels [head, d_head] of the heads that are read."""
        heads = self.picked(len(place.channels))
        return place.channels if heads is None else place.channels[list(heads)]


@dataclass(frozen=True, kw_only=True)
class ProjectedSite(HeadSite, ABC):
    """Queries or keys as they leave their projection: before any norm or rotation of them."""

    of: ClassVar[Literal["queries", "keys"]]

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block.

        Raises:
            MissingSite: they cannot be told apart.
        """
        from interp.models.head_layout import projected
        from interp.models.tracing import with_constant_weights

        with missing(self.site):
            places = projected(with_constant_weights(model), self.stack, self.of)
        return {
            i: Tap(place.path, "output", i, channels=self.channels(place))
            for i, place in places.items()
        }


@HOOKS.register("q")
@dataclass(frozen=True, kw_only=True)
class Query(ProjectedSite):
    """Each head's query, [head, d_head], before any norm or rotation of it (`rot_q` is after)."""

    site: ClassVar[str] = "q"
    of: ClassVar[Literal["queries", "keys"]] = "queries"


@HOOKS.register("k")
@dataclass(frozen=True, kw_only=True)
class Key(ProjectedSite):
    """Each key head's key, [key head, d_head], before any norm or rotation of it.

    Where queries share keys (grouped-query attention) there are fewer of them than heads.
    """

    site: ClassVar[str] = "k"
    of: ClassVar[Literal["queries", "keys"]] = "keys"


@dataclass(frozen=True, kw_only=True)
class AttentionSite(HeadSite, ABC):
    """What attention is handed or gives, as transformers' attention interface sees it."""

    what: ClassVar[Literal["query", "key", "value", "output", "scores", "pattern"]]

    def taps(self, model: "LanguageModel") -> Mapping[int, AttentionTap]:
        """Return a tap a block.

        Raises:
            MissingSite: attention is not called through transformers' interface.
        """
        from interp.models.head_layout import head_counts
        from interp.models.tracing import with_constant_weights

        with missing(self.site):
            counts = head_counts(with_constant_weights(model), self.stack)
        blocks = model.stack(self.stack).blocks
        return {i: self._tap(i, blocks[i], heads) for i, heads in counts.items()}

    def _tap(self, block: int, path: str, heads: "Heads") -> AttentionTap:
        n = heads.key if self.what in ("key", "value") else heads.query
        return AttentionTap(self.what, path, block, self.picked(n))


@HOOKS.register("rot_q")
@dataclass(frozen=True, kw_only=True)
class RotatedQuery(AttentionSite):
    """Each head's query as attention is handed it, rotated and normed where the model does so."""

    site: ClassVar[str] = "rot_q"
    what: ClassVar[Literal["query"]] = "query"


@HOOKS.register("rot_k")
@dataclass(frozen=True, kw_only=True)
class RotatedKey(AttentionSite):
    """Each key head's key as attention is handed it, rotated and normed where the model does so."""

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
    """What attention gives for each head, [head, d_head]: values weighted by its pattern.

    A model that weighs its heads by a sink afterwards does so within (Granite's "swa").
    """

    site: ClassVar[str] = "z"
    what: ClassVar[Literal["output"]] = "output"


@dataclass(frozen=True, kw_only=True)
class OverKeys(AttentionSite, ABC):
    """What a head has for each token that it may look at, [head, key].

    Keys are the prompt's tokens, special ones counted, up to the longest prompt's last.
    """

    def taps(self, model: "LanguageModel") -> Mapping[int, AttentionTap]:
        """Return a tap a block.

        Raises:
            MissingSite: attention is not called through transformers' interface.
            ConfigError: the kernel keeps no mask that says which keys a query looks at.
        """
        from interp.models.attention import KERNELS_WITH_MASKS

        if model.attention_kernel not in KERNELS_WITH_MASKS:
            raise ConfigError(
                f"model.attention: hook={self.site} is worked out beside the kernels "
                f"{' and '.join(KERNELS_WITH_MASKS)}, not {model.attention_kernel}"
            )
        return super().taps(model)


@HOOKS.register("attn_scores")
@dataclass(frozen=True, kw_only=True)
class AttentionScores(OverKeys):
    """Each head's scores before the softmax, [head, key]; -∞ where it may not look.

    Of the selected tokens' queries; the product's scale, position biases and soft caps included.
    """

    site: ClassVar[str] = "attn_scores"
    what: ClassVar[Literal["scores"]] = "scores"


@HOOKS.register("pattern")
@dataclass(frozen=True, kw_only=True)
class Pattern(OverKeys):
    """Each head's attention probabilities, [head, key], of the selected tokens' queries.

    They are the model's own where its kernel returns them (`model.attention=eager`), and computed
    beside it by the same eager function where it does not.
    """

    site: ClassVar[str] = "pattern"
    what: ClassVar[Literal["pattern"]] = "pattern"


@HOOKS.register("result")
@dataclass(frozen=True, kw_only=True)
class HeadResult(HeadSite):
    """What each head adds to the residual stream, [head, d]; with the bias their sum is `attn_out`.

    Where a norm follows (Gemma 2, OLMo 2), it is what the head gives to that norm.
    """

    site: ClassVar[str] = "result"

    def taps(self, model: "LanguageModel") -> dict[int, Tap]:
        """Return a tap a block.

        Raises:
            MissingSite: heads write nothing of their own.
        """
        from interp.models.head_layout import entering_output
        from interp.models.tracing import with_constant_weights

        with missing(self.site):
            places = entering_output(with_constant_weights(model), self.stack)
        return {
            i: Tap(place.path, "input", i, channels=self.channels(place), projects=True)
            for i, place in places.items()
        }
