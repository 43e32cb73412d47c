"""Arithmetic modulo p: the pairs of numbers, their answers, and the cyclic group of the numbers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError, check_choice

Numbers = NDArray[np.int64]

_ANSWERS = {
    "addition": lambda a, b: a + b,
    "subtraction": lambda a, b: a - b,
    "multiplication": lambda a, b: a * b,
}
OPERATIONS = tuple(_ANSWERS)
SYMBOLS = {"addition": "+", "subtraction": "−", "multiplication": "×"}


@dataclass(frozen=True)
class Arithmetic:
    """An operation modulo p.

    Attributes:
        modulus: p.
        operation: "addition", "subtraction" or "multiplication".
    """

    modulus: int
    operation: str

    def __post_init__(self) -> None:
        check_choice("operation", self.operation, OPERATIONS)
        if self.modulus < 3:
            raise ConfigError(f"modulus must be at least 3, not {self.modulus}")

    def __str__(self) -> str:
        return f"a {SYMBOLS[self.operation]} b mod {self.modulus}"

    def answers(self, a: Numbers, b: Numbers) -> Numbers:
        """Return the answers to pairs."""
        return np.asarray(_ANSWERS[self.operation](a, b) % self.modulus)

    @property
    def wave(self) -> str:
        """The wave that is highest at the correct answer c, as figures write it."""
        if self.operation == "multiplication":
            return "cos w(log a + log b − log c)"
        return f"cos w(a {SYMBOLS[self.operation]} b − c)"

    @property
    def sign(self) -> Literal[1, -1]:
        """The sign of b in the answer: -1 for a difference, else 1."""
        return -1 if self.operation == "subtraction" else 1

    @cached_property
    def order(self) -> Numbers:
        """The numbers in the order of the cyclic group.

        The index of the answer in it is that of a plus, or minus, that of b, modulo `len(order)`.
        Under addition and subtraction these are the numbers in their own order; under
        multiplication, where p is prime, those other than 0 in the order of the powers of a
        primitive root.

        Raises:
            ConfigError: multiplication modulo a number that is not prime.
        """
        if self.operation != "multiplication":
            return np.arange(self.modulus)
        for root in range(2, self.modulus):
            powers = [1]
            while (power := powers[-1] * root % self.modulus) not in (0, 1):
                if len(powers) == self.modulus:
                    break
                powers.append(power)
            if len(powers) == self.modulus - 1:
                return np.array(powers)
        raise ConfigError(
            f"prompts.modulus: multiplication modulo {self.modulus}, which is not prime, has no "
            "order of the numbers for Fourier analysis"
        )


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of numbers, ordered by a and then b.

    Attributes:
        arithmetic: the operation.
        train: which pairs are for training; the others are for testing; [p, p].
    """

    arithmetic: Arithmetic
    train: NDArray[np.bool_]

    @cached_property
    def a(self) -> Numbers:
        """The first numbers, [p, p]."""
        return np.asarray(np.indices(self.train.shape)[0])

    @cached_property
    def b(self) -> Numbers:
        """The second numbers, [p, p]."""
        return np.asarray(np.indices(self.train.shape)[1])

    @cached_property
    def answers(self) -> Numbers:
        """The answers, [p, p]."""
        return self.arithmetic.answers(self.a, self.b)

    @cached_property
    def new(self) -> NDArray[np.bool_]:
        """The test pairs (a, b) whose (b, a), where it has the same answer, is one too; [p, p].

        The other test pairs follow from a training pair, once a + b is known to be b + a.
        """
        same = np.array_equal(self.answers, self.answers.T)
        return ~self.train & ~(self.train.T & same)
