"""Which code runs: its commit, a digest of it, and the versions of what it stands on."""

import hashlib
import importlib.util
import subprocess
from functools import cache
from pathlib import Path

_LIBRARIES = (
    *("interp", "torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn"),
    *("hydra-core", "mlflow"),
)
# Extras, which need not be there, by the module that they are imported as.
_EXTRAS = {"umap": "umap-learn", "pacmap": "pacmap"}

_ROOT = Path(__file__).resolve().parents[2]


@cache
def versions() -> dict[str, str]:
    """Return the version of each library that decides what comes out, by its name."""
    from importlib import metadata

    extras = [name for module, name in _EXTRAS.items() if importlib.util.find_spec(module)]
    return {name: metadata.version(name) for name in (*_LIBRARIES, *extras)}


@cache
def code_digest(*places: str) -> str:
    """Return a digest of Python files: of files and folders, as paths from the project's root."""
    found = [_ROOT / place for place in places]
    files = {file for path in found for file in ([path] if path.is_file() else path.rglob("*.py"))}
    content = [(str(file.relative_to(_ROOT)), file.read_bytes()) for file in sorted(files)]
    return hashlib.sha256(repr(content).encode()).hexdigest()


@cache
def git_commit() -> str:
    """Return the commit of the code that runs, marked where it was changed, or its version."""
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
