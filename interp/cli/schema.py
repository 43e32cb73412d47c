"""What Hydra checks configurations against: the root, and this project's own launchers."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from interp.core.configuration import Config


@dataclass
class SubmititSettings:
    """What submitit is given for every job; conf/hydra/launcher describes each setting."""

    _target_: str = "hydra_plugins.interp_sweeps.SubmititLocal"
    submitit_folder: str = "${hydra.sweep.dir}/logs/%j"
    timeout_min: int = 10080
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    tasks_per_node: int = 1
    mem_gb: int | None = None
    nodes: int = 1
    name: str = "${hydra.job.name}"
    stderr_to_stdout: bool = False


@dataclass
class SlurmSettings(SubmititSettings):
    """What submitit is given for the jobs of an array in Slurm."""

    _target_: str = "hydra_plugins.interp_sweeps.SubmititSlurm"
    timeout_min: int = 60
    partition: str | None = None
    qos: str | None = None
    comment: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    gres: str | None = None
    cpus_per_gpu: int | None = None
    gpus_per_task: int | None = None
    mem_per_gpu: str | None = None
    mem_per_cpu: str | None = None
    account: str | None = None
    signal_delay_s: int = 120
    max_num_timeout: int = 0
    additional_parameters: dict[str, Any] = field(default_factory=dict)
    array_parallelism: int = 256
    setup: list[str] | None = None


def store() -> None:
    """Put the schemas where Hydra finds them; a launcher's has the name of its YAML."""
    store = ConfigStore.instance().store
    store(name="schema", node=Config)
    store(group="hydra/launcher", name="submitit_local", node=SubmititSettings)
    store(group="hydra/launcher", name="submitit_slurm", node=SlurmSettings)
