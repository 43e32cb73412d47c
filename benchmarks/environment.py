"""What a measurement was made on."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

_VERSIONED = ("torch", "transformers", "transformer-lens", "nnsight", "numpy")


def environment() -> dict[str, str]:
    """Return versions, processor, cores and date."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _VERSIONED},
        "processor": _processor(),
        "cores": str(_cores()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "unset"),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    """Return how many this process may use, of all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
