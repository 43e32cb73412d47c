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

from interp.core.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Read by MLflow as it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# It would print two lines for each run that ends on a server, and ask the server for them.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# It would try a server that died for four minutes a call: what cannot be told waits on disk.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

# Of a tag and of a parameter, in signs; MLflow refuses more.
LONGEST_TAG = 5000
LONGEST_PARAM = 6000

# What MLflow calls a database that is locked, full or gone.
_UNAVAILABLE = {"TEMPORARILY_UNAVAILABLE"}
# And a server that does not answer, whose database does not, or that no longer knows the user.
_SILENT = {*_UNAVAILABLE, "INTERNAL_ERROR", "UNAUTHENTICATED", "PERMISSION_DENIED"}


class NoAnswerError(ConfigError):
    """A store that does not answer, or whose database does not."""


@dataclass(frozen=True)
class Store:
    """An MLflow tracking store.

    Attributes:
        uri: a server, or a database.
        artifacts: where artifacts lie; empty for a server, which decides itself.
        outputs: the folder of runs; processes on this machine queue there at a lock file.
        port: where `interp ui` serves the store.
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
        """The MLflow client, once the store exists; a process opens a store once.

        Raises:
            ConfigError: the store cannot be opened; NoAnswerError where it may be later.
        """
        return _opened(self)

    def experiment(self, name: str) -> str:
        """Return the id of the MLflow experiment of that name, created where it is missing."""
        from mlflow.exceptions import MlflowException

        if not name:
            raise ConfigError("tracking.experiment needs a name")
        client = self.client
        with self.locked():
            found = client.get_experiment_by_name(name)
            if found is None:
                try:
                    return str(client.create_experiment(name, self.artifacts or None))
                except MlflowException:
                    # A process on another machine was quicker.
                    found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage != "active":
                raise ConfigError(
                    f"tracking.experiment: {name!r} was deleted in MLflow; restore it there, or "
                    "choose another name"
                )
            return str(found.experiment_id)

    def locked(self) -> BaseFileLock:
        """Return the lock at which the processes of this machine queue."""
        return FileLock(self.outputs / ".mlflow.lock")

    def exists(self) -> bool:
        """Whether there is a store to look into: to open a sqlite database creates it."""
        path = self.uri.removeprefix("sqlite:///")
        return path == self.uri or Path(path).exists()

    def greet(self) -> None:
        """Raise NoAnswerError where the store is a server and nobody listens at its address.

        Raises:
            ConfigError: the address is none.
        """
        if not self.is_server():
            return
        try:
            socket.create_connection(_place(self.uri), timeout=5).close()
        except OSError as error:
            raise NoAnswerError(
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
    """A run of a store; its ids are empty while the store has not been told of it."""

    store: Store
    experiment_id: str
    run_id: str

    def url(self) -> str:
        """Return the address of its page in the MLflow UI; empty where it has none yet."""
        if not self.run_id:
            return ""
        return f"{self.store.address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def _place(uri: str) -> tuple[str, int]:
    """Return host and port of a server."""
    ports = {"http": 80, "https": 443}
    try:
        address = urlsplit(uri)
        host, port = address.hostname, address.port
    except ValueError:
        # Of its port, or of brackets.
        host = ""
    if not host or address.scheme not in ports:
        raise ConfigError(
            f"tracking.uri: {uri!r} is not the address of a server; expected one such as "
            "http://localhost:5000"
        )
    return host, port or ports[address.scheme]


@cache
def _opened(store: Store) -> "MlflowClient":
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It would tell of each time that a server is tried again.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # MLflow itself would try for a while.
    store.greet()
    try:
        store.outputs.mkdir(parents=True, exist_ok=True)
        # Several processes that create a sqlite store at once leave it broken for good.
        with store.locked():
            _create_database(store.uri)
            client = MlflowClient(tracking_uri=store.uri)
            client.search_experiments(max_results=1)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"outputs: {store.outputs} cannot be written: {reason}") from error
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        kind = NoAnswerError if is_silence(store, error) else ConfigError
        raise kind(f"tracking.uri: {store.uri} cannot be opened: {reason}") from error
    return client


def _create_database(uri: str) -> None:
    """Create a sqlite database under another name first, so that one that is there is whole."""
    from mlflow import MlflowClient

    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
    unfinished.rename(path)


def is_silence(store: Store, error: Exception) -> bool:
    """Whether an error says that the store does not answer, and nothing of what it was asked."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if isinstance(error, MlflowException):
        return error.error_code in (_SILENT if store.is_server() else _UNAVAILABLE)
    if isinstance(error, RequestException):
        # What is said of a file, in a code; or nothing at all.
        code = 500 if error.response is None else error.response.status_code
        return code in (401, 403) or code >= 500
    return isinstance(error, NoAnswerError)


def is_refusal(error: Exception) -> bool:
    """Whether an error is the store's or the file system's, and no mistake of the program's."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, ConfigError | MlflowException | OSError)


@cache
def experiment_of(store: Store, run_id: str) -> str:
    """Return the id of the MLflow experiment that a run is in, which never changes."""
    return str(store.client.get_run(run_id).info.experiment_id)
