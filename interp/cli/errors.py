"""Errors in one line each: this project's own as they are, Hydra's and OmegaConf's explained."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from interp.cli.arguments import split_folder
from interp.cli.hydra.composition import Composer
from interp.core.errors import ConfigError, InterpError, nearest

_OF_LIBRARIES = (HydraException, OmegaConfBaseException, yaml.YAMLError)
# What is answered in one line; any other error is a defect, and keeps its traceback.
EXPLAINED_ERRORS = (InterpError, *_OF_LIBRARIES)


@contextmanager
def explained(conf: Path, arguments: Sequence[str] = ()) -> Iterator[None]:
    """Turn the libraries' errors into a ConfigError.

    Args:
        conf: the configuration folder.
        arguments: the command line, without the program's name.
    """
    try:
        yield
    except _OF_LIBRARIES as error:
        raise ConfigError(explain(error, conf, arguments)) from error


def explain(error: BaseException, conf: Path, arguments: Sequence[str] = ()) -> str:
    """Return in one line what was given, what was expected, and the nearest valid name.

    Args:
        error: one of EXPLAINED_ERRORS.
        conf: the configuration folder.
        arguments: the command line, without the program's name.
    """
    if isinstance(error, InterpError):
        return _first_line(error)
    if isinstance(error, yaml.YAMLError):
        return " ".join(str(error).split())
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_choice(error)
    return (
        _several_values(error)
        or _unknown_key(error, conf, arguments)
        or _wrong_value(error)
        or _with_cause(error)
    )


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _file_of(error: BaseException) -> str:
    """Return the file that an error names as the place of the mistake, "" for config.yaml."""
    found = re.match(r"In '(.+?)': ", _first_line(error))
    return f"{found[1]}: " if found and found[1] != "config" else ""


def _unreadable(error: OverrideParseException) -> str:
    if "=" not in error.override:
        return f"cannot read {error.override!r}: choices are written as key=value"
    reason = _first_line(error)
    return f"cannot read {error.override!r}: {reason}; quote what is not a plain value"


def _missing_choice(error: MissingConfigException) -> str:
    group, _, given = error.missing_cfg_file.rpartition("/")
    known = nearest(given, error.options or ())
    return f"{_file_of(error)}{group} cannot be {given!r}{known}"


def _several_values(error: BaseException) -> str:
    text = _first_line(error)
    if "Ambiguous value" in text and (found := re.search(r"'(.+?)=(.+)'$", text)):
        key, values = found.groups()
        return f"{key} takes one value; to run {values} one after the other, add -m for a sweep"
    return ""


def _unknown_key(error: BaseException, conf: Path, arguments: Sequence[str]) -> str:
    if found := re.search(r"Could not override '(.+?)'", _first_line(error)):
        known = _keys_next_to(found[1], conf, arguments)
    elif found := re.search(r"Key '(.+?)' not in 'Config'", str(error)):
        known = _keys_next_to(found[1], conf, ())
    else:
        return ""
    return f"{_file_of(error)}there is no {found[1]!r}{nearest(found[1], known)}"


def _wrong_value(error: BaseException) -> str:
    text = _first_line(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "raised while composing config" in text and len(lines) > 1:
        found = re.search(r"full_key: (\S+)", str(error))
        key = f"{found[1]}: " if found else ""
        return f"{_file_of(error)}{key}{lines[1]}"
    is_no_list = "is not a ListConfig" in str(error.__cause__)
    if is_no_list and (found := re.search(r" (\S+?)=(.*)", text)):
        return f"{found[1]} takes a list: {found[1]}=[{found[2]}]"
    if found := re.match(r"Error merging override (.+)", text):
        return f"{found[1]}: {_first_line(error.__cause__)}"
    return ""


def _with_cause(error: BaseException) -> str:
    cause = f": {_first_line(error.__cause__)}" if error.__cause__ else ""
    return f"{_first_line(error)}{cause}"


def _keys_next_to(key: str, conf: Path, arguments: Sequence[str]) -> list[str]:
    """Return the keys that exist where a key does not, in the configuration as chosen."""
    if "@" in key:
        return ["model@reference"]
    own, rest = split_folder(arguments)
    chosen = [a for a in rest if re.match(r"[\w/@]+=[\w./-]+$", a) and not a.startswith(key)]
    for folders, overrides in ((own, chosen), ((), [])):
        with Composer(conf, folders) as composer:
            try:
                config = composer.compose(overrides, with_hydra=key.startswith("hydra."))
            except _OF_LIBRARIES:
                continue
        parent, _, _ = key.rpartition(".")
        found = OmegaConf.select(config, parent) if parent else config
        if isinstance(found, DictConfig):
            return [f"{parent}.{name!s}".lstrip(".") for name in found]
        return [str(name) for name in config]
    return []
