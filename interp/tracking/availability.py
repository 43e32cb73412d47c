"""A store that stops answering: found out once, told once, and left alone for a while."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from interp.tracking.store import NoAnswerError, Store, is_silence

if TYPE_CHECKING:
    from mlflow import MlflowClient

# When this process last found a store silent, in seconds of the monotonic clock.
_FOUND_SILENT: dict[Store, float] = {}

# To ask a silent store costs some seconds, and a sweep asks often.
_LEFT_ALONE_S = 60.0


@contextmanager
def reaching(store: Store) -> Iterator["MlflowClient"]:
    """Talk to a store that may have stopped answering.

    Raises:
        NoAnswerError: it does not answer, or did not a moment ago.
    """
    found = _FOUND_SILENT.get(store)
    if found is not None and time.monotonic() - found < _LEFT_ALONE_S:
        raise NoAnswerError(f"{store.uri} does not answer")
    try:
        if found is not None:
            store.greet()
        yield store.client
    except Exception as error:
        if not is_silence(store, error):
            raise
        if found is None:
            folder = store.outputs / ".unsent"
            text = f"{store.uri} does not answer: results wait in {folder} until the next start"
            print(f"tracking: {text}", file=sys.stderr, flush=True)
        _FOUND_SILENT[store] = time.monotonic()
        raise NoAnswerError(f"{store.uri} does not answer") from error
    _FOUND_SILENT.pop(store, None)


@contextmanager
def asking(store: Store) -> Iterator["MlflowClient"]:
    """Read from a store, for somebody who waits for the answer and leaves nothing to be sent.

    Raises:
        ConfigError: it cannot be opened.
        NoAnswerError: it does not answer.
    """
    try:
        yield store.client
    except NoAnswerError:
        raise
    except Exception as error:
        if not is_silence(store, error):
            raise
        reason = str(error).splitlines()[0]
        raise NoAnswerError(f"tracking.uri: {store.uri} does not answer: {reason}") from error


def ask_again(store: Store) -> "MlflowClient":
    """Forget that a store was silent, and open it.

    Raises:
        ConfigError: it cannot be opened; NoAnswerError where it may be later.
    """
    _FOUND_SILENT.pop(store, None)
    store.greet()
    return store.client
