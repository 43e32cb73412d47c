"""What a model computes at "=" for every pair of numbers, and how well it predicts the answers."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError

from .arithmetic import Pairs
from .progress_measures import cross_entropy

if TYPE_CHECKING:
    from .model.last_position import AllPairs
    from .model.transformer import ModularArithmeticForCausalLM

Array = NDArray[np.float64]

NEW = "new test pairs"


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's activations, logits and losses for all pairs.

    Attributes:
        pairs: the pairs, and which of them the model was trained on.
        split_is_known: whether the training pairs are known.
        is_trained: whether the model was trained at all.
        outputs: activations and logits at "=" of all pairs, numbers in their own order.
        grouped: those of the elements of the group alone, in its order; logits [n, n, n].
        loss: the cross-entropy of each pair in nats, [p, p].
        correct: which pairs are answered correctly, [p, p].
    """

    pairs: Pairs
    split_is_known: bool
    is_trained: bool
    outputs: "AllPairs"
    grouped: "AllPairs"
    loss: Array
    correct: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int64]:
        """The numbers in the order of their group, [n]."""
        return self.pairs.arithmetic.order

    @property
    def number_axis(self) -> str:
        """The name of an axis over the numbers in the order of their group."""
        if self.pairs.arithmetic.operation == "multiplication":
            return f"exponent of {self.order[1]}"
        return "number"

    @property
    def subsets(self) -> dict[str, NDArray[np.bool_]]:
        """Training pairs, test pairs, new test pairs where they differ from these, and all pairs.

        [p, p] each. Where the split is not known, all pairs alone.
        """
        everything = np.ones_like(self.pairs.train)
        if not self.split_is_known:
            return {"all pairs": everything}
        subsets = {
            "training pairs": self.pairs.train,
            "test pairs": ~self.pairs.train,
            NEW: self.pairs.new,
            "all pairs": everything,
        }
        # Of differences all test pairs are new, and where most pairs were trained on none may be.
        if not self.pairs.new.any() or np.array_equal(self.pairs.new, ~self.pairs.train):
            del subsets[NEW]
        return subsets

    @property
    def excluded_subset(self) -> str:
        """The pairs whose excluded loss is taken: the training pairs, where they are known."""
        return "training pairs" if self.split_is_known else "all pairs"

    @property
    def mean_attention(self) -> Array:
        """Attention of each head from "=" to a, b and "=", averaged over all pairs; [head, 3]."""
        return np.asarray(self.outputs.pattern.mean((0, 1), dtype=np.float64))

    @property
    def attention_to_a(self) -> Array:
        """Attention of each head from "=" to a, in the order of the group; [head, a, b]."""
        return np.moveaxis(self.grouped.pattern[..., 0].astype(np.float64), -1, 0)


def predict(
    model: "ModularArithmeticForCausalLM", pairs: Pairs, *, split_is_known: bool, is_trained: bool
) -> Predictions:
    """Run the model over all pairs.

    Raises:
        ConfigError: its weights give logits that are not finite.
    """
    from .model.last_position import all_pairs

    outputs, order = all_pairs(model), pairs.arithmetic.order
    if not np.isfinite(outputs.logits).all():
        raise ConfigError("model: its weights give logits that are not finite")
    of_group = np.ix_(order, order)
    return Predictions(
        pairs,
        split_is_known,
        is_trained,
        outputs,
        replace(
            outputs,
            pattern=outputs.pattern[of_group],
            mlp_post=outputs.mlp_post[of_group],
            logits=outputs.logits[np.ix_(order, order, order)],
        ),
        cross_entropy(outputs.logits, pairs.answers),
        outputs.logits.argmax(-1) == pairs.answers,
    )
