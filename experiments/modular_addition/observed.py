"""What a model does with every pair of numbers, in the order of their group."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError

from .arithmetic import Pairs
from .progress import cross_entropy

if TYPE_CHECKING:
    from .model.effective_weights import EffectiveWeights
    from .model.last_position import AllPairs
    from .model.transformer import ModularArithmeticForCausalLM

Array = NDArray[np.float64]

NEW = "new test pairs"


@dataclass(frozen=True, eq=False)
class Observed:
    """A model over all pairs.

    Attributes:
        pairs: the pairs, and which of them the model was trained on.
        knows_split: whether that is known.
        is_trained: whether it was trained at all.
        all: what "=" has for each of them, the numbers in their own order.
        weights: the effective weights, in the order of the group.
        grouped: what "=" has for pairs of the group's elements, in its order, and their logits of
            these alone, [n, n, n].
        loss: the cross-entropy of each pair in nats, [p, p].
        right: which pairs are answered right, [p, p].
    """

    pairs: Pairs
    knows_split: bool
    is_trained: bool
    all: "AllPairs"
    weights: "EffectiveWeights"
    grouped: "AllPairs"
    loss: Array
    right: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int64]:
        """The numbers in the order of their group."""
        return self.pairs.arithmetic.order

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """The pairs that are told apart, [p, p] each.

        Those trained on, the others, of these the ones of which (b, a) was not trained on either,
        and all.
        """
        everything = np.ones_like(self.pairs.train)
        if not self.knows_split:
            return {"all pairs": everything}
        parts = {
            "training pairs": self.pairs.train,
            "test pairs": ~self.pairs.train,
            NEW: self.pairs.new,
            "all pairs": everything,
        }
        # Of differences all test pairs are new, and where training took most pairs none may be.
        told = self.pairs.new.any() and not np.array_equal(self.pairs.new, ~self.pairs.train)
        return {name: part for name, part in parts.items() if name != NEW or told}


def observed(
    model: "ModularArithmeticForCausalLM", pairs: Pairs, *, knows_split: bool, is_trained: bool
) -> Observed:
    """Run the model over all pairs.

    Raises:
        ConfigError: its weights give values that are not finite.
    """
    from .model.effective_weights import effective_weights
    from .model.last_position import all_pairs

    found, order = all_pairs(model), pairs.arithmetic.order
    among = np.ix_(order, order)
    if not np.isfinite(found.logits).all():
        raise ConfigError("model: its weights give logits that are not finite")
    return Observed(
        pairs,
        knows_split,
        is_trained,
        found,
        effective_weights(model).ordered(order),
        replace(
            found,
            pattern=found.pattern[among],
            mlp_post=found.mlp_post[among],
            logits=found.logits[np.ix_(order, order, order)],
        ),
        cross_entropy(found.logits, pairs.answers),
        found.logits.argmax(-1) == pairs.answers,
    )
