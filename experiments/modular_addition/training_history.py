"""What is recorded of a training run, and when it had memorised and when it generalised."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from interp.stats.tested_series import Scale, TestedSeries

if TYPE_CHECKING:
    import pandas as pd

# The accuracy from which on pairs count as learned.
LEARNED = 0.999


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """The evaluated epochs of a training run.

    Attributes:
        subject: the model, its arithmetic and the settings, as figures name them.
        table: one row per evaluated epoch.
        keys: the key frequencies of the trained model.
        modulus: p; a guess answers one pair in p correctly.
    """

    subject: str
    table: "pd.DataFrame"
    keys: tuple[int, ...]
    modulus: int

    @property
    def epochs(self) -> list[int]:
        """The evaluated epochs, ascending."""
        return [int(epoch) for epoch in self.table["epoch"]]

    def curve(self, name: str) -> NDArray[np.float64]:
        """Return a column of the table, [epoch]."""
        return self.table[name].to_numpy(np.float64)

    def last(self, name: str) -> float:
        """Return a column's value at the last epoch."""
        return float(self.table[name].iloc[-1])

    @property
    def guess_loss(self) -> float:
        """The cross-entropy of a guess, in nats."""
        return math.log(self.modulus)

    @property
    def epoch_memorised(self) -> float:
        """The first evaluated epoch from which on the training pairs are learned; or infinity."""
        return self._learned("train_accuracy")

    @property
    def epoch_grokked(self) -> float:
        """The first evaluated epoch from which on the test pairs are learned; or infinity."""
        return self._learned("test_accuracy")

    @property
    def is_grokked(self) -> bool:
        """Whether training and test pairs are learned."""
        return math.isfinite(self.epoch_memorised) and math.isfinite(self.epoch_grokked)

    def _learned(self, accuracy: str) -> float:
        wrong = np.flatnonzero(self.curve(accuracy) < LEARNED)
        first = int(wrong[-1]) + 1 if len(wrong) else 0
        return float(self.epochs[first]) if first < len(self.table) else math.inf

    def tested_series(self) -> tuple[TestedSeries, ...]:
        """Return test loss and test accuracy over the epochs; neither has a null."""
        return (
            self._series("test_loss", "test loss (nats)", scale="log"),
            self._series("test_accuracy", "test accuracy", scale="linear"),
        )

    def _series(self, name: str, label: str, *, scale: Scale) -> TestedSeries:
        values = self.curve(name)
        undefined = {
            epoch: "the loss overflowed"
            for epoch, value in zip(self.epochs, values, strict=True)
            if not math.isfinite(value)
        }
        return TestedSeries(
            name,
            label,
            tuple(self.epochs),
            values,
            axis="epoch",
            scale=scale,
            undefined=undefined,
        )
