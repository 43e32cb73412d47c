"""Prompts of all pairs of numbers modulo p, in a training and a test group."""

from dataclasses import dataclass

import numpy as np

from interp.core.errors import ConfigError
from interp.data.prompts.prompt_set import PromptSet, from_marked
from interp.data.prompts.source import PROMPTS

from .arithmetic import Arithmetic, Pairs


@PROMPTS.register("modular_arithmetic")
@dataclass(frozen=True)
class ModularArithmetic:
    """The prompts "a b =" for all pairs of numbers modulo p, in groups `train` and `test`.

    Columns `a`, `b` and `answer` hold the numbers.

    Attributes:
        modulus: p.
        operation: "addition", "subtraction" or "multiplication".
        train_fraction: the fraction of the p² pairs that is in `train`.
        seed: of the random choice of these.
    """

    modulus: int = 113
    operation: str = "addition"
    train_fraction: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.train_fraction < 1:
            raise ConfigError(f"train_fraction must lie between 0 and 1, not {self.train_fraction}")
        arithmetic = Arithmetic(self.modulus, self.operation)
        if not 0 < self._training < arithmetic.modulus**2:
            raise ConfigError(
                f"train_fraction of {self.train_fraction} leaves training or testing without any "
                f"of the {self.modulus}² pairs"
            )
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, not {self.seed}")

    @property
    def _training(self) -> int:
        return int(self.train_fraction * self.modulus**2)

    def pairs(self) -> Pairs:
        """Return all pairs, and which of them are for training."""
        order = np.random.default_rng(self.seed).permutation(self.modulus**2)
        train = np.zeros(self.modulus**2, bool)
        train[order[: self._training]] = True
        shape = (self.modulus, self.modulus)
        return Pairs(Arithmetic(self.modulus, self.operation), train.reshape(shape))

    def load(self) -> PromptSet:
        """Return the groups, each ordered by a and then b."""
        pairs = self.pairs()
        a, b, answers = (
            np.concatenate([numbers[pairs.train], numbers[~pairs.train]])
            for numbers in (pairs.a, pairs.b, pairs.answers)
        )
        texts = [f"{x} {y} =" for x, y in zip(a, b, strict=True)]
        return from_marked(
            {"train": texts[: self._training], "test": texts[self._training :]},
            {
                name: [float(x) for x in numbers]
                for name, numbers in (("a", a), ("b", b), ("answer", answers))
            },
        )
