"""The public surface in Python: compose a configuration, run it, read what it found."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from interp.cli import sweep_comparison
from interp.cli.errors import explained
from interp.cli.hydra.composition import Composer
from interp.cli.overrides import CONF, as_hydra_reads, check_choices
from interp.core.errors import ConfigError, StorageError
from interp.core.user_modules import register_from

if TYPE_CHECKING:
    from interp.data.activations import Activations
    from interp.results.result import Result
    from interp.runner.run import Outcome


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """Return the configuration that the command line would run with these overrides.

    Its values may be changed before it is run.

    >>> config = compose("model=tiny", "metric=linear_cka", "hook.layers=[0,3]")
    >>> config.metric.name, list(config.hook.layers)
    ('linear_cka', [0, 3])

    Args:
        overrides: as on the command line: "experiment=rotation", "model=gpt2", "hook.layers=[0,1]".
        config_dir: a folder of your own choices, as `--config-dir` is; modules that `imports`
            names are looked for there too.

    Raises:
        ConfigError: an override that cannot be read, or that names nothing.
    """
    arguments = as_hydra_reads(list(overrides))
    own = () if config_dir is None else (Path(config_dir).resolve(),)
    if own and not own[0].is_dir():
        raise ConfigError(f"config_dir: there is no folder {own[0]}")
    check_choices(arguments, CONF)
    with explained(CONF, arguments), Composer(CONF, own) as composer:
        config = composer.compose(arguments)
    register_from(config.imports, [*own, Path.cwd()])
    return config


def run(config: DictConfig) -> "Outcome":
    """Run a configuration, and log it to MLflow; an equal run's result is taken from there.

    A notebook shows the outcome with its figures and tables.

    >>> outcome = run(compose("metric=linear_cka", "hook.layers=[0,3,6]"))  # doctest: +SKIP
    >>> outcome.result.finding  # doctest: +SKIP

    Raises:
        ConfigError: something is wrong with the configuration.
        Exception: whatever the analysis raises, after the run has been marked FAILED.
    """
    from interp.runner.run import run as run_experiment

    _check_is_composed(config, "run")
    if config.dry:
        raise ConfigError(
            "dry: only the command line reports what would be done: interp dry=true …"
        )
    register_from(config.imports, [Path.cwd()])
    now = datetime.now()
    folder = Path(config.outputs) / "runs" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"
    try:
        with explained(CONF):
            return run_experiment(config, folder)
    finally:
        # When it began it may have ended sweeps whose store had not answered before.
        sweep_comparison.show_late()


def activations(config: DictConfig) -> "Activations":
    """Return the activations that a run of the configuration would read, without its analysis.

    They come from the store in `outputs` where it has them, and are captured and kept there where
    it does not. Nothing is logged.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> found = activations(compose("model=tiny", "hook.layers=[0,3]", f"outputs={folder}"))
    >>> found.values.shape  # layer, sample, unit
    (2, 96, 32)
    >>> list(found.samples.group.unique())
    ['digits', 'words']

    Returns:
        Float32 values, [layer, sample, *unit], with the layers' numbers and a table of the samples.

    Raises:
        ConfigError: something is wrong with the configuration.
        StorageError: the store cannot be read or written.
    """
    from interp.cache import ActivationStore
    from interp.runner.build import build
    from interp.runner.inputs import Inputs

    _check_is_composed(config, "activations")
    register_from(config.imports, [Path.cwd()])
    store = ActivationStore.of(config.outputs, config.activations.limit_gb)
    with explained(CONF):
        return Inputs(build(config), Path(config.outputs).resolve(), store).activations


def load(run: "str | Path | Outcome") -> "Result":
    """Return the result of a finished run.

    >>> result = load("outputs/runs/2026-12-01/10-15-00-000000")  # doctest: +SKIP
    >>> result.tested[0].p_corrected  # doctest: +SKIP

    Args:
        run: its folder, which it prints, or the outcome that `run` returned.

    Raises:
        StorageError: there is no result in that folder.
    """
    from interp.results.result import Result

    folder = Path(run) if isinstance(run, str | Path) else run.folder
    if not (folder / "result.json").is_file():
        raise StorageError(f"load: there is no result.json in {folder}")
    return Result.load(folder)


def _check_is_composed(config: object, called: str) -> None:
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{called} takes what compose returns: {called}(compose({config!r}))")
