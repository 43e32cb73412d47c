"""The MLflow store, which several processes may open at once."""

import logging
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import BaseFileLock, FileLock

from interp.core.errors import ConfigError, InterpError, StorageError, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Read by MLflow as it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Otherwise MLflow prints two lines for each run that ends on a server, after a further request.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# By default MLflow retries a dead server for four minutes per call; here unsent results wait on
# disk instead.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

# The longest tag and parameter in characters; MLflow refuses longer ones.
LONGEST_TAG = 5000
LONGEST_PARAM = 6000

# MLflow's error code for a database that is locked, full or gone.
_DATABASE_CODES = {"TEMPORARILY_UNAVAILABLE"}
# For a server that does not answer, whose database does not, or that no longer accepts the user.
_SERVER_CODES = {*_DATABASE_CODES, "INTERNAL_ERROR", "UNAUTHENTICATED", "PERMISSION_DENIED"}


class StoreUnavailableError(TrackingError):
    """A store, or the database of a server, does not answer; a later try may succeed."""


@dataclass(frozen=True)
class Store:
    """An MLflow tracking store.

    Attributes:
        uri: a server, or a database.
        artifacts: the address of the artifacts; empty for a server, which decides itself.
        outputs: the folder of runs, with the lock file of the processes on this machine.
        port: the port of `interp ui`.
    """

    uri: str
    artifacts: str
    outputs: Path
    port: int

    @classmethod
    def of(cls, outputs: str, uri: str | None, port: int) -> "Store":
        """Return the configured store; by default the sqlite database in the outputs folder."""
        folder = Path(outputs).resolve()
        uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
        artifacts = "" if uri.startswith("http") else (folder / "artifacts").as_uri()
        return cls(uri, artifacts, folder, port)

    @property
    def client(self) -> "MlflowClient":
        """The MLflow client; a process opens a store once, and creates it where it is missing.

        Raises:
            TrackingError: the store cannot be opened; StoreUnavailableError where a later try may
                succeed.
        """
        return _open(self)

    def experiment_id(self, name: str) -> str:
        """Return the id of the MLflow experiment of that name; create it where it is missing.

        Raises:
            ConfigError: the name is empty, or belongs to a deleted experiment.
        """
        from mlflow.exceptions import MlflowException

        if not name:
            raise ConfigError("tracking.experiment needs a name")
        client = self.client
        with self.lock():
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    return str(client.create_experiment(name, self.artifacts or None))
                except MlflowException:
                    # A process on another machine created it first.
                    found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage != "active":
                raise ConfigError(
                    f"tracking.experiment: {name!r} was deleted in MLflow; restore it there, or "
                    "choose another name"
                )
            return str(found.experiment_id)

    def lock(self) -> BaseFileLock:
        """Return the lock that lets one process of this machine at a time write."""
        return FileLock(self.outputs / ".mlflow.lock")

    def exists(self) -> bool:
        """Whether the store exists; opening a sqlite database would create it."""
        path = self.uri.removeprefix("sqlite:///")
        return path == self.uri or Path(path).exists()

    def check_reachable(self) -> None:
        """Check that a server listens at the store's address; a database is not checked.

        Raises:
            ConfigError: the address is not that of a server.
            StoreUnavailableError: no server listens there.
        """
        if not self.is_server():
            return
        try:
            socket.create_connection(_host_and_port(self.uri), timeout=5).close()
        except OSError as error:
            raise StoreUnavailableError(
                f"tracking.uri: no server answers at {self.uri} ({error})"
            ) from error

    def is_server(self) -> bool:
        """Whether the store is a server, which has a UI of its own."""
        return self.uri.startswith("http")

    def address(self) -> str:
        """Return the address of the MLflow UI: the server's own, or where `interp ui` serves."""
        return self.uri if self.is_server() else f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Run:
    """A run of a store; its ids are empty while it exists on disk alone."""

    store: Store
    experiment_id: str
    run_id: str

    def url(self) -> str:
        """Return the address of its page in the MLflow UI; empty while it exists on disk alone."""
        if not self.run_id:
            return ""
        return f"{self.store.address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def _host_and_port(uri: str) -> tuple[str, int]:
    """Return the host and the port of a server's address.

    Raises:
        ConfigError: it is not the address of a server.
    """
    ports = {"http": 80, "https": 443}
    try:
        address = urlsplit(uri)
        host, port = address.hostname, address.port
    except ValueError:
        # A port that is not a number, or an unclosed bracket.
        host = ""
    if not host or address.scheme not in ports:
        raise ConfigError(
            f"tracking.uri: {uri!r} is not the address of a server; expected one such as "
            "http://localhost:5000"
        )
    return host, port or ports[address.scheme]


@cache
def _open(store: Store) -> "MlflowClient":
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Otherwise it warns at each retry.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # MLflow itself would retry for a while.
    store.check_reachable()
    try:
        store.outputs.mkdir(parents=True, exist_ok=True)
        # Several processes that create a sqlite store at once damage it permanently.
        with store.lock():
            _create_database(store.uri)
            client = MlflowClient(tracking_uri=store.uri)
            client.search_experiments(max_results=1)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"outputs: {store.outputs} cannot be written: {reason}") from error
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        kind = StoreUnavailableError if is_unavailable(store, error) else TrackingError
        raise kind(f"tracking.uri: {store.uri} cannot be opened: {reason}") from error
    return client


def _create_database(uri: str) -> None:
    """Create a sqlite database under another name first, so that an existing one is complete."""
    from mlflow import MlflowClient

    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
    unfinished.rename(path)


def is_unavailable(store: Store, error: Exception) -> bool:
    """Whether an error means that the store does not answer, whatever it was asked."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if isinstance(error, MlflowException):
        return error.error_code in (_SERVER_CODES if store.is_server() else _DATABASE_CODES)
    if isinstance(error, RequestException):
        # A request for a file has a status code; a broken connection has none.
        code = 500 if error.response is None else error.response.status_code
        return code in (401, 403) or code >= 500
    return isinstance(error, StoreUnavailableError)


def is_store_error(error: Exception) -> bool:
    """Whether an error comes from the store or the file system, not from a bug in the program."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, InterpError | MlflowException | OSError)


@cache
def experiment_id_of(store: Store, run_id: str) -> str:
    """Return the id of a run's MLflow experiment, which never changes."""
    return str(store.client.get_run(run_id).info.experiment_id)
