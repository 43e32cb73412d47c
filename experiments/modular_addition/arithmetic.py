"""Arithmetic modulo p: the pairs of numbers, their answers, and the cyclic group that it is."""

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
SIGNS = {"addition": "+", "subtraction": "−", "multiplication": "×"}


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
        return f"a {SIGNS[self.operation]} b mod {self.modulus}"

    def answers(self, a: Numbers, b: Numbers) -> Numbers:
        """Return the answers to pairs."""
        return np.asarray(_ANSWERS[self.operation](a, b) % self.modulus)

    @property
    def wave(self) -> str:
        """The wave that is highest at the right answer c, as figures write it."""
        if self.operation == "multiplication":
            return "cos w(log a + log b − log c)"
        return f"cos w(a {SIGNS[self.operation]} b − c)"

    @property
    def sign(self) -> Literal[1, -1]:
        """What the place of b counts for in the answer's: -1 for a difference, else 1."""
        return -1 if self.operation == "subtraction" else 1

    @cached_property
    def order(self) -> Numbers:
        """The numbers in the order of the cyclic group.

        The places of a and b in it add up to the answer's, less than `len(order)` at a time, or are
        subtracted. Numbers modulo p in their own order are such a group under addition; those
        other than 0 are one under multiplication where p is prime, in the order of the powers of a
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
            "order in which Fourier analysis would find it"
        )


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of numbers, in the order of a and then b.

    Attributes:
        arithmetic: what is asked of them.
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
        """What is to be predicted, [p, p]."""
        return self.arithmetic.answers(self.a, self.b)

    @cached_property
    def new(self) -> NDArray[np.bool_]:
        """The test pairs (a, b) of which (b, a), where it has the same answer, is one too; [p, p].

        The others are answered by whoever has found out that the order does not matter.
        """
        same = np.array_equal(self.answers, self.answers.T)
        return ~self.train & ~(self.train.T & same)
