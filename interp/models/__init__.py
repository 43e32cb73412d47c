"""Models: where weights come from, and what every transformer has in common."""

from interp.models.language_model import LanguageModel
from interp.models.modular import ModularArithmetic, ModularCheckpoint
from interp.models.pretrained import Folder, Hub, Package
from interp.models.sources import MODELS, ModelSource, Random
from interp.models.unembedding import Readout

__all__ = [
    "MODELS",
    "Folder",
    "Hub",
    "LanguageModel",
    "ModelSource",
    "ModularArithmetic",
    "ModularCheckpoint",
    "Package",
    "Random",
    "Readout",
]
