"""Adds the configuration folders of installed packages to Hydra's search path.

Hydra imports this module for whatever program it composes for, and nothing of `interp` is imported
for another program.
"""

import importlib.util
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class PluginFolders(SearchPathPlugin):  # type: ignore[misc]
    """Lets the project's choices be extended by those of installed packages."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each folder, so that of two files with one name the project's own is taken."""
        if not any(_is_of_interp(element.path) for element in search_path.get_path()):
            return
        from interp.core.plugins import plugin_folders

        for folder in plugin_folders():
            search_path.append("interp.conf", f"file://{folder}")


def _is_of_interp(path: str) -> bool:
    """Whether a place on the search path is the project's folder of configurations."""
    spec = importlib.util.find_spec("interp")
    packages = (spec.submodule_search_locations or ()) if spec else ()
    known = [folder for package in map(Path, packages) for folder in (package, package.parent)]
    return Path(path.removeprefix("file://")).resolve() in [
        (folder / "conf").resolve() for folder in known
    ]
