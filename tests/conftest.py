import os
import sys
from pathlib import Path

# Nothing here may reach for a network, and with a worker a core each of them keeps to one thread.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest

from interp.cli.main import main
from interp.data.prompts import PromptSet, from_marked
from interp.models import Random

TINY = {"n_layer": 3, "n_embd": 32, "n_head": 4, "n_positions": 256}


def pytest_collection_modifyitems(items):
    """Mark each test with its tier, the folder that it stands in."""
    tests = Path(__file__).parent
    for item in items:
        tier = item.path.relative_to(tests).parts[0]
        item.add_marker(getattr(pytest.mark, tier))


@pytest.fixture(scope="session", autouse=True)
def _on_the_processor():
    """References are computed on the CPU, also where there is a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interp.models.sources._best_device", lambda: "cpu")
        yield


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Run the command line in this process; returns its exit status, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["interp", *arguments])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as stop:
            # A message makes the status 1 and goes to the error stream.
            status = stop.code if isinstance(stop.code, int) else 1
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
        return (status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def tiny() -> Random:
    return Random(architecture="gpt2", settings=TINY)


@pytest.fixture(scope="session")
def prompts() -> PromptSet:
    """Prompts of unequal length, each with a target, the longest first."""
    return from_marked(
        {
            "animals": ["the {heron} waits by the water", "a {fox}"],
            "tools": ["the {hammer} is heavy", "one {saw} of three"],
        }
    )
