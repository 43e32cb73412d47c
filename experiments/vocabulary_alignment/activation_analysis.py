"""Which layer of one model represents the same prompts like which layer of another?

As `vocabulary_alignment`, with activations instead of weights: the logit lens maps each layer to
logits over the words that both models know, and every layer of one model is compared with every
layer of the other, sample by sample. The second null permutes the samples.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.hooks.residual import ResidPost, ResidPre
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.runner.reference_model import Reference
from interp.stats.calibration import check_settings

from .alignment import Comparison, VocabularyVectors, align, check_models
from .correlations import mean_row_correlations
from .report import Wording, alignment_result

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.language_model import LanguageModel


@ANALYSES.register("activation_alignment")
@dataclass(frozen=True)
class ActivationAlignment:
    """Two models' activations on the same prompts, layer by layer, in the vocabulary they share.

    The second model is the reference. Layers are read by the logit lens, final norm included.

    Attributes:
        permutations: of the words, and of the samples; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a pair of layers counts as significant.
    """

    permutations: int = 99
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)

    def check(
        self,
        source: ModelSource,
        reference_source: ModelSource | None,
        hook: HookPoint,
        prompts: PromptSet,
        samples: "pd.DataFrame",
        reference: Reference,
    ) -> None:
        """Refuse a model without a reference, too few shared words, or samples without a partner.

        Raises:
            ConfigError: no reference; too few words in common; a hook that is not the residual
                stream; a position at which the two models read different numbers of tokens.
        """
        check_models(source, reference_source)
        if not isinstance(hook, ResidPre | ResidPost):
            raise ConfigError(
                "hook: activation_alignment reads the residual stream before the final norm: use "
                "hook=resid_post"
            )
        if len(samples) != len(reference.samples):
            raise ConfigError(
                f"position: {len(samples)} samples of one model and {len(reference.samples)} of "
                "the other cannot be paired; read one per prompt"
            )

    def __call__(
        self,
        activations: Activations,
        reference: Reference,
        source: ModelSource,
        reference_source: ModelSource,
        rng: np.random.Generator,
    ) -> Result:
        """Compare every layer of one model with every layer of the other, prompt by prompt."""
        first = _logit_lens_vectors(source.load(head=True), activations)
        second = _logit_lens_vectors(
            reference_source.load(head=True), next(reference.activations())
        )
        comparison = Comparison(mean_row_correlations, _permuted_samples, "permuted samples")
        alignment = align(first, second, comparison, self.permutations, rng)
        wording = Wording(
            subject="Logit-lens readouts",
            sample=f"{len(activations.samples)} samples, each compared with itself",
        )
        return alignment_result(alignment, wording, self.alpha)


def _logit_lens_vectors(model: "LanguageModel", activations: Activations) -> VocabularyVectors:
    from interp.models.final_norm import final_norm

    vectors = final_norm(model, model.read_by_head).applied(np.asarray(activations.values))
    return VocabularyVectors(
        model.title, activations.layers, vectors, model.unembedding_matrix, model.vocabulary
    )


def _permuted_samples(vectors: Array, rng: np.random.Generator) -> Array:
    """Return the samples in another order, the same at every layer; [layer, sample, d]."""
    return vectors[:, rng.permutation(vectors.shape[1])]
