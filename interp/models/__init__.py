"""Models: where weights come from, and what all transformers have in common (`language_model`).

Describing a model imports neither torch nor transformers.
"""

from interp.models.pretrained import Folder, Hub, Package
from interp.models.random_weights import Random
from interp.models.sources import MODELS, ModelSource
from interp.models.unembedding import Readout

__all__ = [
    "MODELS",
    "Folder",
    "Hub",
    "ModelSource",
    "Package",
    "Random",
    "Readout",
]
