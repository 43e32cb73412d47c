"""Training: the only place where weights change."""

from interp.training.checkpoints import export, restored, save, snapshots
from interp.training.full_batch import Accuracy, Recipe, State, advance, begin, evaluate

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
