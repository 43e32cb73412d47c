"""Hydra's and OmegaConf's errors in one line each, with the nearest valid name."""

import re
from collections.abc import Sequence

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from interp.cli.choices import split_folder
from interp.core.errors import InterpError, nearest

CONFIG_ERRORS = (InterpError, HydraException, OmegaConfBaseException, yaml.YAMLError)


def explain(error: BaseException, conf: str = "", arguments: Sequence[str] = ()) -> str:
    """Say in one line what was given, what was expected, and the nearest valid name.

    Args:
        error: one of CONFIG_ERRORS.
        conf: the configuration folder, where the error is one of composition.
        arguments: the command line, without the program's name.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    where = m[1] + ": " if (m := re.match(r"In '(.+?)': ", text)) and m[1] != "config" else ""
    if isinstance(error, yaml.YAMLError):
        return " ".join(" ".join(lines).split())
    if isinstance(error, OverrideParseException):
        if "=" not in error.override:
            return f"cannot read {error.override!r}: choices are written as key=value"
        return f"cannot read {error.override!r}: {text}; quote what is not a plain value"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, given = error.missing_cfg_file.rpartition("/")
        return f"{where}{group} cannot be {given!r}{nearest(given, error.options or ())}"
    if "Ambiguous value" in text and (m := re.search(r"'(.+?)=(.+)'$", text)):
        return f"{m[1]} takes one value; to run {m[2]} one after the other, add -m for a sweep"
    if m := re.search(r"Could not override '(.+?)'", text):
        known = _siblings(m[1], conf, arguments)
        return f"{where}there is no {m[1]!r}{nearest(m[1], known)}"
    if m := re.search(r"Key '(.+?)' not in 'Config'", str(error)):
        return f"{where}there is no {m[1]!r}{nearest(m[1], _siblings(m[1], conf, ()))}"
    if "raised while composing config" in text and len(lines) > 1:
        key = m[1] + ": " if (m := re.search(r"full_key: (\S+)", str(error))) else ""
        return f"{where}{key}{lines[1]}"
    if "is not a ListConfig" in str(error.__cause__) and (m := re.search(r" (\S+?)=(.*)", text)):
        return f"{m[1]} takes a list: {m[1]}=[{m[2]}]"
    if m := re.match(r"Error merging override (.+)", text):
        return f"{m[1]}: {str(error.__cause__).splitlines()[0]}"
    # Our own errors say what caused them.
    given = None if isinstance(error, InterpError) else error.__cause__
    cause = f": {str(given).splitlines()[0]}" if given else ""
    return f"{text}{cause}"


def _siblings(key: str, conf: str, arguments: Sequence[str]) -> list[str]:
    """Return the keys beside a key that does not exist, in the configuration as chosen."""
    if "@" in key:
        return ["model@reference"]
    own, rest = split_folder(arguments)
    chosen = [a for a in rest if re.match(r"[\w/@]+=[\w./-]+$", a) and not a.startswith(key)]
    beside_ours = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in own)}]"]
    for overrides in ([*chosen, *beside_ours], []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(conf, version_base="1.3"):
                of_hydra = key.startswith("hydra.")
                config = compose("config", overrides=overrides, return_hydra_config=of_hydra)
        except CONFIG_ERRORS:
            continue
        parent, _, _ = key.rpartition(".")
        beside = OmegaConf.select(config, parent) if parent else config
        if isinstance(beside, DictConfig):
            return [f"{parent}.{name!s}".lstrip(".") for name in beside]
        return [str(name) for name in config]
    return []
