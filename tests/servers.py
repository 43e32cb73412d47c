"""An MLflow server of its own for tests, on a database of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`mlflow server` on loopback, with artifacts through it; may die and be started again."""

    def __init__(self, folder, database):
        self.folder, self.database, self.port = folder, database, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.database),
            *("--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts"),
            *("--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)),
        ]
        settings = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return self
            except OSError:
                told = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                assert self.process.poll() is None, f"the server ended: {told}"
                assert time.monotonic() < deadline, f"the server does not answer: {told}"
                time.sleep(0.1)

    def kill(self):
        """End it at once, as a crash does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def served(folder, database):
    server = Server(folder, database)
    try:
        yield server.start()
    finally:
        server.kill()


def newest_postgres():
    """The folder of PostgreSQL's programs, Debian's or another; skips where there is none."""
    found = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return max(found, key=lambda path: int(path.parts[-3])).parent
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")


class Postgres:
    """A PostgreSQL of its own behind a socket in a folder of its own."""

    def __init__(self):
        self.programs = newest_postgres()
        self.user = None
        if os.geteuid() == 0:
            # It refuses to run as root.
            self.user = next((u.pw_name for u in pwd.getpwall() if u.pw_name == "postgres"), None)
            if self.user is None:
                pytest.skip("PostgreSQL refuses root, and there is no user postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        if self.user:
            shutil.chown(self.folder, self.user)
        self.process = None
        # Named, for which driver SQLAlchemy takes by default depends on its version.
        self.uri = f"postgresql+psycopg2://postgres@/postgres?host={self.folder}"

    def _call(self, *command, **how):
        own = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid} if self.user else {}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            **own,
            **how,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def create(self):
        initdb = self._call(
            *(
                self.programs / "initdb",
                "-D",
                self.folder / "data",
                "-U",
                "postgres",
                "-A",
                "trust",
            ),
            *("-N", "--no-locale", "-E", "UTF8"),
        )
        _, errors = initdb.communicate()
        assert initdb.returncode == 0, errors.decode()
        return self

    def start(self):
        self.process = self._call(
            *(self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder),
            *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
        )
        deadline = time.monotonic() + 60
        ready = [self.programs / "pg_isready", "-h", self.folder]
        while subprocess.run(ready, stdout=subprocess.DEVNULL).returncode:
            assert self.process.poll() is None, self.process.stderr.read().decode()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)
        return self

    def stop(self, how=signal.SIGINT):
        """Stop it: by default in good order, though without waiting for its clients."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(how)
            self.process.communicate()
            self.process = None


@contextlib.contextmanager
def postgres():
    database = Postgres()
    try:
        yield database.create().start()
    finally:
        database.stop()
        shutil.rmtree(database.folder)
