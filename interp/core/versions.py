"""Which code runs: its commit, its files, and the versions of the libraries that it uses."""

import hashlib
import importlib.util
import subprocess
from functools import cache
from pathlib import Path

_LIBRARIES = (
    *("interp", "torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn"),
    *("hydra-core", "mlflow"),
)
# Optional libraries, by the name of their module.
_EXTRAS = {"umap": "umap-learn", "pacmap": "pacmap"}

_ROOT = Path(__file__).resolve().parents[2]


@cache
def versions() -> dict[str, str]:
    """Return the version of each library that a result depends on, by its name."""
    from importlib import metadata

    extras = [name for module, name in _EXTRAS.items() if importlib.util.find_spec(module)]
    return {name: metadata.version(name) for name in (*_LIBRARIES, *extras)}


@cache
def source_hash() -> str:
    """Return a hash of the project's source files, comments included.

    A run is identified by the code that decides its result, `interp.core.source_code`; this is for
    what may depend on any of it.
    """
    folders = [_ROOT / "interp", _ROOT / "interp" / "experiments"]
    files = {file for folder in folders for file in folder.rglob("*.py")}
    content = [(str(file.relative_to(_ROOT)), file.read_bytes()) for file in sorted(files)]
    return hashlib.sha256(repr(content).encode()).hexdigest()


@cache
def git_commit() -> str:
    """Return the commit of the code that runs, marked where files were changed, or its version."""
    from importlib import metadata

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Installed inside some other project's checkout, this is not that project's code.
        if Path(git("rev-parse", "--show-toplevel")).resolve() == _ROOT:
            return git("rev-parse", "HEAD") + (" with changes" if git("status", "-s") else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    return f"not a checkout (interp {metadata.version('interp')})"
