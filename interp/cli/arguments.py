"""What of a command line Hydra would take in silence, or answer in its own way, is refused."""

from collections.abc import Sequence
from pathlib import Path

from interp.core.errors import ConfigError


def check_choices(arguments: Sequence[str], conf: Path) -> None:
    """Refuse a list or a null where one choice is made, and a folder without a name.

    Raises:
        ConfigError: saying which argument.
    """
    for argument in arguments:
        if argument == "outputs=":
            raise ConfigError("outputs needs a folder")
        group, _, value = argument.partition("=")
        folder = group.partition("@")[0]
        choosable = (conf / folder).is_dir() and group != "experiment"
        if choosable and (value == "null" or value.startswith("[")):
            # Hydra would lay the files of a list over one another, and stumble over a null.
            raise ConfigError(f"{group} takes one choice, not {value}; -m sweeps over several")


def make_outputs(arguments: Sequence[str]) -> None:
    """Create the folder of outputs, where the arguments name one that needs no composing.

    Raises:
        ConfigError: it cannot be written.
    """
    for argument in arguments:
        key, _, folder = argument.partition("=")
        if key == "outputs" and not {"$", ",", "'", '"'} & set(folder):
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror
                raise ConfigError(f"outputs: {folder} cannot be written: {reason}") from None
