"""Training: the only place where weights change."""

from ..training.checkpoints import export, restored, save, snapshots
from ..training.full_batch import Accuracy, Recipe, State, advance, begin, evaluate

__all__ = [
    "Accuracy",
    "Recipe",
    "State",
    "advance",
    "begin",
    "evaluate",
    "export",
    "restored",
    "save",
    "snapshots",
]
