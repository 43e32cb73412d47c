"""Where the choices lie, and what is done to a command line before Hydra reads it."""

from collections.abc import Sequence
from pathlib import Path

from interp.cli import schema
from interp.core.errors import ConfigError, StorageError

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel carries conf/ inside this package; in a checkout it stands next to it.
CONF = next(
    path
    for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf")
    if (path / "config.yaml").is_file()
)

schema.store()


def as_hydra_reads(given: list[str]) -> list[str]:
    """Bring a command line into the form that Hydra reads.

    Overrides may stand before and after options, a path may hold `{layer}` unquoted, and a folder
    or file may begin with "~".
    """
    quoted = []
    for argument in given:
        key, equals, value = argument.partition("=")
        if key in ("outputs", "model.path", "prompts.path") and value.startswith("~"):
            value = str(Path(value).expanduser())
        if equals and "{layer}" in value and not {'"', "'"} & set(value):
            value = ",".join(f'"{path}"' for path in value.split(","))
        quoted.append(f"{key}{equals}{value}")
    return sorted(quoted, key=lambda a: not a.startswith("-") and ("=" in a or a[:1] in "~+"))


def check_choices(arguments: Sequence[str], conf: Path) -> None:
    """Refuse a list or a null where one choice is made, and a folder without a name.

    Hydra would lay the files of a list over one another, and fail at a null without naming it.

    Raises:
        ConfigError: saying which argument.
    """
    for argument in arguments:
        if argument == "outputs=":
            raise ConfigError("outputs needs a folder")
        group, _, value = argument.partition("=")
        folder = group.partition("@")[0]
        is_group = (conf / folder).is_dir() and group != "experiment"
        if is_group and (value == "null" or value.startswith("[")):
            raise ConfigError(f"{group} takes one choice, not {value}; -m sweeps over several")


def make_outputs(arguments: Sequence[str]) -> None:
    """Create the folder of outputs, where the arguments name one that needs no composing.

    Raises:
        StorageError: it cannot be written.
    """
    for argument in arguments:
        key, _, folder = argument.partition("=")
        if key == "outputs" and not {"$", ",", "'", '"'} & set(folder):
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror
                raise StorageError(f"outputs: {folder} cannot be written: {reason}") from None
