"""`interp ui`: MLflow's own server on the configured store, small and for this machine alone."""

import os
import signal
import socket
import sys
import time
import urllib.request
import webbrowser
from pathlib import Path
from typing import NoReturn

from interp.cli.arguments import VerbParser
from interp.cli.hydra.composition import Composer
from interp.core.errors import ConfigError
from interp.tracking import Store, find_newest_page

_USAGE = "[outputs=FOLDER] [tracking.uri=DATABASE] [tracking.port=5000]"
_DESCRIPTION = """\
Open the MLflow UI on the store that runs with the same settings log to, at the last sweep."""


def serve(conf: Path, arguments: list[str]) -> None:
    """Start the MLflow UI; the overrides give the store, as for a run.

    The page of the last sweep, or of the last run, is printed, and opened where there is a display.
    The process becomes the server and ends with it.

    Raises:
        ConfigError: the store is a server itself, or the port is taken.
        TrackingError: the store does not answer.
    """
    parser = VerbParser("ui", _USAGE, _DESCRIPTION)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as of a run")
    given = parser.parse(arguments)
    with Composer(conf, given.own) as composer:
        config = composer.compose(given.overrides)
    store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
    _refuse(store)
    page = find_newest_page(store)
    print(f"MLflow on {store.address()} in some seconds, for {store.uri} (end it with Ctrl-C)")
    if page != store.address():
        print(f"page     {page}")
    sys.stdout.flush()
    if has_display():
        _open_once_served(store.address(), page)
    _become_server(store)


def _refuse(store: Store) -> None:
    """Refuse a store that is served already, and a port that is taken."""
    if store.is_server():
        raise ConfigError(f"tracking.uri: {store.uri} is a server already: open it in a browser")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", store.port))
        except OSError:
            raise ConfigError(
                f"tracking.port: {store.port} is in use, perhaps by an interp ui that runs; "
                f"choose another: tracking.port={store.port + 1}"
            ) from None


def _become_server(store: Store) -> NoReturn:
    """Replace this process by MLflow's server: one worker, on this machine alone."""
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", store.uri),
        *("--host", "127.0.0.1", "--port", str(store.port), "--workers", "1"),
        *("--registry-store-uri", store.uri),
        *("--uvicorn-opts", "--log-level warning --lifespan off"),
    ]
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    os.execvpe(command[0], command, {**os.environ, **settings})


def has_display() -> bool:
    """Whether somebody sits before this terminal, on a machine that can show a browser."""
    graphical = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    return sys.stdout.isatty() and bool(graphical) and "SSH_CONNECTION" not in os.environ


def _open_once_served(address: str, page: str) -> None:
    """Open the browser as soon as the server answers, from a process that ends with the server."""
    server = os.getpid()
    if os.fork():
        return
    # Ctrl-C reaches every process of the terminal; it ends this one without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while os.getppid() == server:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            webbrowser.open(page)
            break
    # The rest of the program belongs to the process that serves.
    os._exit(0)
