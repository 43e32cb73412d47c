"""Models: where weights come from.

To describe a model costs no import of torch or transformers; what every transformer has in common
stands in `interp.models.language_model`.
"""

from interp.models.pretrained import Folder, Hub, Package
from interp.models.sources import MODELS, ModelSource, Random
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
