"""The user's own modules: importing one registers its components; `imports` names them."""

import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from interp.core.errors import ConfigError, nearest


def register_from(modules: Sequence[str], folders: Iterable[Path]) -> None:
    """Import modules, which registers their classes.

    Args:
        modules: their names, "my_metrics" or "my_package.metrics".
        folders: where they are searched, after the places where Python searches by itself.

    Raises:
        ConfigError: there is no such module, or it cannot be imported.
    """
    if not modules:
        return
    places = list(dict.fromkeys(str(folder.resolve()) for folder in folders))
    # At the end, so that a folder of the user's hides no installed module.
    sys.path.extend(place for place in places if place not in sys.path)
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else ""
            if missing and f"{name}.".startswith(f"{missing}."):
                known = [path.stem for place in places for path in Path(place).glob("*.py")]
                where = f" in {' or '.join(places)}{nearest(name, known)}"
                raise ConfigError(f"imports: there is no module {missing!r}{where}") from None
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"imports: {name} cannot be imported: {type(error).__name__}: {reason}"
            ) from error
