"""`interp ui`: MLflow's own server on the configured store, small and for this machine alone."""

import os
import socket
import sys

from hydra import compose, initialize_config_dir

from interp.registry import ConfigError
from interp.tracking import Store


def serve(conf: str, overrides: list[str]) -> None:
    """Start the MLflow UI; the overrides say where the store is, as they do for a run.

    The process becomes the server and ends with it.

    Raises:
        ConfigError: the store is a server of its own, or the port is taken.
    """
    if {"-h", "--help"} & set(overrides):
        print("interp ui [outputs=FOLDER] [tracking.uri=DATABASE] [tracking.port=5000]")
        print("Open the MLflow UI on the store that runs with the same settings log to.")
        return
    with initialize_config_dir(conf, version_base="1.3"):
        config = compose("config", overrides=overrides)
    store = Store.of(config.outputs, config.tracking.uri, config.tracking.port)
    if store.is_server():
        raise ConfigError(f"tracking.uri: {store.uri} is a server already: open it in a browser")
    store.client.search_experiments(max_results=1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", store.port))
        except OSError:
            raise ConfigError(f"tracking.port: {store.port} is in use; choose another") from None
    print(f"MLflow on {store.address()} for {store.uri} (end it with Ctrl-C)", flush=True)
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
