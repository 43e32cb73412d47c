"""What of Hydra is read without being public. Nothing of it is replaced.

`tests/integration/test_composition.py` fails where Hydra changes it; pyproject.toml keeps Hydra
below the version that it was last looked at with.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

COMMAND_LINE, PRESET, DEFAULT = "command line", "preset", "default"


def choice_origins(loader: ConfigLoader, overrides: Sequence[str]) -> dict[str, str]:
    """Return who chose each group that is not left to config.yaml: COMMAND_LINE or PRESET.

    `compute_defaults_list` is public and its answer is not. Hydra notes there which file, or
    whether the command line, overrode a group; the composed configuration does not record that.
    """
    listed: Any = loader.compute_defaults_list("config", list(overrides), RunMode.RUN)
    found = {}
    for group, override in listed.overrides.override_metadata.items():
        if override.external_override:
            found[group] = COMMAND_LINE
        elif override.containing_config_path != "config":
            found[group] = PRESET
    return found
