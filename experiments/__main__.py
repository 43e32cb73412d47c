"""The command line: `interp`, the same as `python -m experiments`."""

import importlib
import os
import pkgutil
import sys
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.launch import sweep
from experiments.launch.explain import CONFIG_ERRORS, explain
from interp.config import Config
from interp.registry import ConfigError
from interp.tracking import CURRENT_JOB

_HERE = Path(__file__).resolve().parent
# A wheel carries conf/ inside this package; in a checkout it stands beside it.
CONF = next(p for p in (_HERE / "conf", _HERE.parent / "conf") if (p / "config.yaml").is_file())

ConfigStore.instance().store(name="schema", node=Config)


def register_analyses() -> None:
    """Import every analysis of this package, which registers it."""
    import experiments

    for module in pkgutil.iter_modules(experiments.__path__):
        if not module.ispkg and module.name != "__main__":
            importlib.import_module(f"experiments.{module.name}")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")  # type: ignore[untyped-decorator]
def _job(config: DictConfig) -> None:
    from experiments.launch import report
    from interp.runner import run

    register_analyses()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    try:
        for override in hydra_config.overrides.task:
            group, _, value = override.partition("=")
            if group in hydra_config.runtime.choices and value.startswith("["):
                # Hydra would lay the files of a list over one another.
                raise ConfigError(f"{group} takes one choice, not {value}; -m sweeps over several")
        report.job(run(config, folder))
    except Exception as error:
        # Hydra made the folder before there was anything to put in it.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if CURRENT_JOB.get() is None and isinstance(error, ConfigError):
            # Hydra adds its own words to an exception, and none to an exit.
            sys.exit(f"interp: {error}")
        report.failure(error)
        raise


def _arguments(given: list[str]) -> list[str]:
    """Bring the command line into the form that Hydra reads.

    Overrides may stand before and after options, and a path may hold `{layer}` unquoted.
    """
    quoted = []
    for argument in given:
        key, equals, value = argument.partition("=")
        if equals and "{layer}" in value and not {'"', "'"} & set(value):
            value = ",".join(f'"{path}"' for path in value.split(","))
        quoted.append(f"{key}{equals}{value}")
    return sorted(quoted, key=lambda a: not a.startswith("-") and ("=" in a or a[0] in "~+"))


def main() -> None:
    """Run the command line; a mistake in the configuration is answered in one line."""
    if sys.argv[1:2] == ["ui"]:
        from experiments.launch.ui import serve

        serve(str(CONF), sys.argv[2:])
        return
    sys.argv[1:] = _arguments(sys.argv[1:])
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Left to itself Hydra prints an error in its own way and exits.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _job()
    except BaseException as error:
        if sweep.close(completed=False):
            sys.exit(1)
        if wants_traceback or not isinstance(error, CONFIG_ERRORS):
            raise
        sys.exit(f"interp: {explain(error, str(CONF), sys.argv[1:])}")
    sweep.close(completed=True)


if __name__ == "__main__":
    main()
