"""Errors whose message is one line for the person who ran the command, with what to change."""

import difflib
from collections.abc import Iterable


class InterpError(Exception):
    """Something that the user can correct; the message states what and how, in one line."""


class ConfigError(InterpError, ValueError):
    """The configuration cannot be run."""


class StorageError(InterpError, OSError):
    """A file or folder cannot be read or written: a full disk, a missing permission, damage."""


class TrackingError(InterpError, RuntimeError):
    """MLflow's store or server cannot be opened, refuses a call, or does not answer."""


class OutOfMemoryError(InterpError, MemoryError):
    """The machine or the accelerator has too little memory for what was configured."""


def nearest(given: object, known: Iterable[object]) -> str:
    """Return the known name closest to the given one as a suggestion, and the list of all."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"{guess} (known: {', '.join(names) or 'none'})"


def check_choice(field: str, given: object, known: Iterable[object]) -> None:
    """Refuse a field's value that is not one of the known names.

    Raises:
        ConfigError: names the field, the value and the nearest valid name.
    """
    names = tuple(known)
    if given not in names:
        raise ConfigError(f"{field} cannot be {given!r}{nearest(given, names)}")


def check_at_least(field: str, given: float, lowest: int) -> None:
    """Refuse a field's value that is too small.

    Raises:
        ConfigError: names the field, the value and the smallest valid one.
    """
    if given < lowest:
        raise ConfigError(f"{field} must be at least {lowest}, not {given}")
