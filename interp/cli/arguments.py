"""The options of the verbs; overrides, KEY=VALUE, are left to Hydra's grammar."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from interp.core.errors import ConfigError


class VerbParser(argparse.ArgumentParser):
    """An `argparse` parser whose mistakes are answered in one line."""

    def __init__(
        self, verb: str, usage: str, description: str, *, own_must_exist: bool = True
    ) -> None:
        """Build a parser that knows `--help` and `--config-dir`.

        Args:
            verb: what stands after `interp`.
            usage: what may stand after the verb.
            description: what the verb does, in lines of at most 100 characters.
            own_must_exist: whether a user's folder that is not there is refused.
        """
        super().__init__(
            prog=f"interp {verb}",
            usage=f"interp {verb} {usage}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._verb, self._own_must_exist = verb, own_must_exist
        add_config_dir(self)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self._verb}: {message}")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the arguments, options before and after the others; `own` is the user's folder.

        Raises:
            ConfigError: an unknown option, or a folder that is not there.
            SystemExit: the help was asked for, and printed.
        """
        found = self.parse_intermixed_args(arguments)
        found.own = own_folders(found.config_dir)
        if self._own_must_exist:
            check_folders(found.own)
        return found


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Let a parser take the folder of the user's own choices."""
    parser.add_argument(
        *("--config-dir", "-cd"), metavar="FOLDER", help="presets and other choices of your own"
    )


def split_folder(arguments: Sequence[str]) -> tuple[tuple[Path, ...], list[str]]:
    """Take the folder of the user's own off the arguments; return it, and all others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_config_dir(parser)
    try:
        found, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error).removeprefix("argument ")) from None
    return own_folders(found.config_dir), rest


def own_folders(given: str | None) -> tuple[Path, ...]:
    """Return the folder of the user's own, if one is given."""
    return () if given is None else (Path(given).expanduser().absolute(),)


def check_folders(own: Sequence[Path]) -> None:
    """Refuse a folder of the user's own that is not there.

    Raises:
        ConfigError: in the words of Hydra.
    """
    for folder in own:
        if not folder.is_dir():
            raise ConfigError(f"Additional config directory '{folder}' not found")
