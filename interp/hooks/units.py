"""The choice of layers, heads or neurons of a site."""

from collections.abc import Sequence
from typing import Any

from interp.core.errors import ConfigError


def validated(field: str, chosen: Any) -> Any:
    """Return "all", or the chosen numbers as a tuple.

    Raises:
        ConfigError: the choice is neither "all", a number nor a list of numbers.
    """
    numbers = [chosen] if isinstance(chosen, int) else chosen
    if numbers == "all":
        return numbers
    whole = isinstance(numbers, (list, tuple)) and numbers
    if not whole or not all(type(number) is int for number in numbers):
        raise ConfigError(f"{field} must be all, 3, or [0,3,-1], not {chosen!r}")
    return tuple(numbers)


def indices(field: str, chosen: Any, n: int, what: str) -> tuple[int, ...] | None:
    """Return the indices of the chosen heads or neurons, in the given order; None for all.

    Args:
        field: the setting, as messages name it: "heads".
        chosen: "all", or numbers, negative ones counted from the end.
        n: how many there are.
        what: what they are, as messages name it: "heads in z".

    Raises:
        ConfigError: a number out of range, or one that is given twice.
    """
    if chosen == "all":
        return None
    for number in chosen:
        if not -n <= number < n:
            raise ConfigError(f"hook.{field}: no {number}; there are {n} {what}, 0 to {n - 1}")
    found = [number % n for number in chosen]
    if len(set(found)) < len(found):
        raise ConfigError(f"hook.{field}: [{','.join(map(str, found))}] names one of them twice")
    return tuple(found)


def label(site: str, field: str, numbers: Sequence[int]) -> str:
    """Return a site's label with the chosen heads or neurons: "z heads 3, 7", "z, 12 heads"."""
    if not numbers:
        return site
    if len(numbers) > 4:
        return f"{site}, {len(numbers)} {field}"
    return f"{site} {field if len(numbers) > 1 else field[:-1]} {', '.join(map(str, numbers))}"
