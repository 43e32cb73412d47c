"""The command line: `interp`, the same as `python -m experiments`."""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.launch import sweep
from experiments.launch.explain import CONFIG_ERRORS, explain
from interp.config import Config
from interp.registry import ConfigError

_HERE = Path(__file__).resolve().parent
# A wheel carries conf/ inside this package; in a checkout it stands beside it.
CONF = next(p for p in (_HERE / "conf", _HERE.parent / "conf") if (p / "config.yaml").is_file())

# What one may ask for besides a run: each is the module of that name in `experiments.launch`, whose
# `serve` takes the configuration folder and what stands behind the verb.
VERBS = ("compare", "store", "ui")

ConfigStore.instance().store(name="schema", node=Config)

# What is imported stays as long as the process does: Python would look through all of it for
# garbage a dozen times while it comes in, and once more at the end.
gc.set_threshold(20_000, 10, 20)
atexit.register(gc.freeze)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")  # type: ignore[untyped-decorator]
def _job(config: DictConfig) -> None:
    # Launchers pickle this function by value: all that it needs is imported where it runs.
    from experiments.launch import job

    job.run(config)


def _arguments(given: list[str]) -> list[str]:
    """Bring the command line into the form that Hydra reads.

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


def _check(arguments: list[str]) -> None:
    """Refuse what Hydra would take in silence, or answer in its own way."""
    for argument in arguments:
        if argument == "outputs=":
            raise ConfigError("outputs needs a folder")
        folder = argument.partition("=")[2]
        if argument.startswith("outputs=") and not {"$", ",", "'", '"'} & set(folder):
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror
                raise ConfigError(f"outputs: {folder} cannot be written: {reason}") from None
        group, _, value = argument.partition("=")
        folder = group.partition("@")[0]
        choosable = (CONF / folder).is_dir() and group != "experiment"
        if choosable and (value == "null" or value.startswith("[")):
            # Hydra would lay the files of a list over one another, and stumble over a null.
            raise ConfigError(f"{group} takes one choice, not {value}; -m sweeps over several")


@contextmanager
def _composed_once(arguments: list[str]) -> Iterator[None]:
    """Spare a single run the composition that Hydra looks `hydra.mode` up in.

    It would take a fifth of the time until a mistake is found. Where an option or a setting of
    Hydra's is given, its mode may be another; a preset of `conf` that sets one is refused by Hydra.
    """
    look_up = Hydra.get_mode
    if not any(argument.startswith(("-", "+hydra", "hydra")) for argument in arguments):
        Hydra.get_mode = lambda *_, **__: RunMode.RUN
    try:
        yield
    finally:
        Hydra.get_mode = look_up


def main() -> None:
    """Run the command line; a mistake in the configuration is answered in one line."""
    sys.argv[1:] = _arguments(sys.argv[1:])
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Left to itself Hydra prints an error in its own way and exits.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        if (verb := "".join(sys.argv[1:2])) in VERBS:
            importlib.import_module(f"experiments.launch.{verb}").serve(str(CONF), sys.argv[2:])
        elif {"-h", "--help"} & set(sys.argv[1:]):
            from experiments.launch import help

            help.show(CONF, sys.argv[1:])
        else:
            _check(sys.argv[1:])
            with _composed_once(sys.argv[1:]):
                _job()
    except BaseException as error:
        if sweep.close(completed=False):
            sys.exit(1)
        if isinstance(error, KeyboardInterrupt):
            print("interp: interrupted", file=sys.stderr)
            # What a shell reports of a program that Ctrl-C ended.
            sys.exit(130)
        if wants_traceback or not isinstance(error, CONFIG_ERRORS):
            raise
        sys.exit(f"interp: {explain(error, str(CONF), sys.argv[1:])}")
    sweep.close(completed=True)


if __name__ == "__main__":
    main()
