"""Which launchers can run here."""

import importlib.util
import shutil

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from interp.core.errors import ConfigError

# The class that Hydra instantiates, of which conf/hydra/launcher/basic.yaml is the configuration.
SEQUENTIAL = "hydra_plugins.interp_sweeps.OneAfterTheOther"
_SLURM = "hydra_plugins.interp_sweeps.SubmititSlurm"
# The package that a launcher needs, and the extra that brings it.
_EXTRAS = {
    "hydra_plugins.interp_sweeps.SubmititLocal": ("submitit", "slurm"),
    _SLURM: ("submitit", "slurm"),
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher": (
        *("hydra_plugins.hydra_joblib_launcher", "joblib"),
    ),
    "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher": (
        *("hydra_plugins.hydra_ray_launcher", "ray"),
    ),
}


def check_launcher(choice: str, launcher: DictConfig) -> None:
    """Refuse a launcher that cannot run here.

    Args:
        choice: what was chosen as `hydra/launcher`.
        launcher: its configuration.

    Raises:
        ConfigError: it needs a package or a program that is not here.
    """
    target = str(launcher._target_)
    package, extra = _EXTRAS.get(target, ("", ""))
    if package and not is_installed(package):
        raise ConfigError(f"hydra/launcher={choice} needs an extra: pip install 'interp[{extra}]'")
    known = {f"{cls.__module__}.{cls.__name__}" for cls in Plugins.instance().discover(Launcher)}
    if target not in known:
        raise ConfigError(f"hydra/launcher={choice} needs the plugin that has {target}")
    if target == _SLURM and not shutil.which("sbatch"):
        raise ConfigError(
            f"hydra/launcher={choice}: there is no sbatch here; start it on a machine that has "
            "Slurm's commands, such as the login node of a cluster"
        )


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None
