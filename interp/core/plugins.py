"""Folders of configuration files that installed packages declare.

A package with components of its own declares the folder of their YAML files as an entry point of
the group `interp.conf`, whose value is the folder as a package: `my_package.conf`.
"""

import importlib.util
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path


@cache
def plugin_folders() -> tuple[Path, ...]:
    """Return the folders that installed packages declare, without importing the packages."""
    found = (_folder(entry.module) for entry in entry_points(group="interp.conf"))
    return tuple(sorted({folder for folder in found if folder is not None}))


def _folder(package: str) -> Path | None:
    """Return the folder of a package; None where it is missing, which concerns no other package."""
    top, *inner = package.split(".")
    spec = importlib.util.find_spec(top)
    places = (spec.submodule_search_locations or ()) if spec else ()
    folders = (Path(place, *inner).resolve() for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)
