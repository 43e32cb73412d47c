"""Training: the only place where weights change."""

from .checkpoints import export, restore, save, snapshots
from .full_batch import Evaluation, OptimizerSettings, State, advance, begin, evaluate

__all__ = [
    "Evaluation",
    "OptimizerSettings",
    "State",
    "advance",
    "begin",
    "evaluate",
    "export",
    "restore",
    "save",
    "snapshots",
]
