"""Which layers, heads or neurons of a site are read."""

from collections.abc import Sequence
from typing import Any

from interp.core.errors import ConfigError


def checked(field: str, chosen: Any) -> Any:
    """Return "all", or the numbers that were chosen as a tuple.

    Raises:
        ConfigError: something else.
    """
    numbers = [chosen] if isinstance(chosen, int) else chosen
    if numbers == "all":
        return numbers
    whole = isinstance(numbers, (list, tuple)) and numbers
    if not whole or not all(type(number) is int for number in numbers):
        raise ConfigError(f"{field} must be all, 3, or [0,3,-1], not {chosen!r}")
    return tuple(numbers)


def picked(field: str, chosen: Any, n: int, what: str) -> tuple[int, ...] | None:
    """Return which of n heads or neurons are meant, in the order chosen; None for all of them.

    Raises:
        ConfigError: a number that there is not, or one that is there twice.
    """
    if chosen == "all":
        return None
    for number in chosen:
        if not -n <= number < n:
            raise ConfigError(f"hook.{field}: no {number}; there are {n} {what}, 0 to {n - 1}")
    found = [number % n for number in chosen]
    if len(set(found)) < len(found):
        raise ConfigError(f"hook.{field}: {_said(found)} names one of them twice")
    return tuple(found)


def told(site: str, field: str, numbers: Sequence[int]) -> str:
    """Return what figures call a site of which some are read: "z heads 3, 7", "z, 12 heads"."""
    if not numbers:
        return site
    if len(numbers) > 4:
        return f"{site}, {len(numbers)} {field}"
    return f"{site} {field if len(numbers) > 1 else field[:-1]} {', '.join(map(str, numbers))}"


def _said(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"
