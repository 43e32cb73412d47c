"""Which launchers can run here; submitit's are made to wait for every job of the sweep."""

import shutil

from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from interp.core.errors import ConfigError

# The extra that brings each package of launchers.
_EXTRAS = {
    "hydra_joblib_launcher": "joblib",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
}


def prepare(choice: str, launcher: DictConfig) -> None:
    """Make ready the launcher of a sweep.

    Args:
        choice: what was chosen as `hydra/launcher`.
        launcher: its configuration.

    Raises:
        ConfigError: it cannot run here.
    """
    target = str(launcher._target_)
    known = Plugins.instance().class_name_to_class
    package, _, name = target.removeprefix("hydra_plugins.").rpartition(".")
    package = package.partition(".")[0]
    if target not in known:
        needs = f"needs the plugin that has {target}"
        if package in _EXTRAS:
            needs = f"needs an extra: pip install 'interp[{_EXTRAS[package]}]'"
        raise ConfigError(f"hydra/launcher={choice} {needs}")
    if package != "hydra_submitit_launcher":
        return
    from interp.cli.hydra import submitit_launchers

    if name == "SlurmLauncher" and not shutil.which("sbatch"):
        raise ConfigError(
            f"hydra/launcher={choice}: there is no sbatch here; start it on a machine that has "
            "Slurm's commands, such as the login node of a cluster"
        )
    known[target] = getattr(submitit_launchers, name)
