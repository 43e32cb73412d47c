"""A circuit breaker for a store that stops answering: warn once, retry after 60 s."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from interp.tracking.store import Store, StoreUnavailableError, is_unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

# When this process last found a store unavailable, in seconds of the monotonic clock. It is kept
# per process because every run and sweep of the process shares the connection.
_FAILED_AT: dict[Store, float] = {}

# A call to a store that does not answer takes some seconds, and a sweep makes many calls.
_RETRY_AFTER_S = 60.0


@contextmanager
def guarded_connection(store: Store) -> Iterator["MlflowClient"]:
    """Yield the client of a store that may stop answering, for calls that can be made later.

    The first failure prints a warning. In the 60 s that follow nothing is sent to the store.

    Raises:
        StoreUnavailableError: the store does not answer, or failed to within the last 60 s.
    """
    failed_at = _FAILED_AT.get(store)
    if failed_at is not None and time.monotonic() - failed_at < _RETRY_AFTER_S:
        raise StoreUnavailableError(f"{store.uri} does not answer")
    try:
        if failed_at is not None:
            store.check_reachable()
        yield store.client
    except Exception as error:
        if not is_unavailable(store, error):
            raise
        if failed_at is None:
            folder = store.outputs / ".unsent"
            text = f"{store.uri} does not answer: results wait in {folder} until the next start"
            print(f"tracking: {text}", file=sys.stderr, flush=True)
        _FAILED_AT[store] = time.monotonic()
        raise StoreUnavailableError(f"{store.uri} does not answer") from error
    _FAILED_AT.pop(store, None)


@contextmanager
def connection(store: Store) -> Iterator["MlflowClient"]:
    """Yield the client of a store, for a command whose user waits for the answer.

    Raises:
        TrackingError: the store cannot be opened; StoreUnavailableError where it does not answer.
    """
    try:
        yield store.client
    except StoreUnavailableError:
        raise
    except Exception as error:
        if not is_unavailable(store, error):
            raise
        reason = str(error).splitlines()[0]
        raise StoreUnavailableError(
            f"tracking.uri: {store.uri} does not answer: {reason}"
        ) from error


def reconnect(store: Store) -> "MlflowClient":
    """Open a store, also within the 60 s after it failed.

    Raises:
        TrackingError: the store cannot be opened; StoreUnavailableError where a later try may
            succeed.
    """
    _FAILED_AT.pop(store, None)
    store.check_reachable()
    return store.client
