"""Models: where weights come from, and what every transformer has in common."""

from interp.models.language_model import LanguageModel
from interp.models.sources import MODELS, ModelSource

__all__ = ["MODELS", "LanguageModel", "ModelSource"]
