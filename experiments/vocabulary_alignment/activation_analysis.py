"""Which layer of one model says what which layer of another says, of the same prompts?

As `vocabulary_alignment`, of activations in place of weights: each layer is read as the logit lens
reads it, over the words that both models know, and every layer of the one is held against every
layer of the other, sample by sample. Beside words that are shuffled stand samples that are.
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

from .alignment import Side, aligned, refuse_alone
from .correlations import row_by_row

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.language_model import LanguageModel


@ANALYSES.register("activation_alignment")
@dataclass(frozen=True)
class ActivationAlignment:
    """Two models' activations on the same prompts, layer by layer, in the vocabulary they share.

    The second model is the reference. Layers are read as the logit lens reads them, final norm
    first.

    Attributes:
        permutations: shuffles of the words; the smallest p is 1 / (permutations + 1).
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
        """Refuse a model alone, two that share no words, or samples that do not pair up.

        Raises:
            ConfigError: no reference; too few words in common; a hook that is no residual stream;
                a position at which the two models read different numbers of tokens.
        """
        refuse_alone(source, reference_source)
        if not isinstance(hook, ResidPre | ResidPost):
            raise ConfigError(
                "hook: activation_alignment reads the residual stream before the final norm: use "
                "hook=resid_post"
            )
        if len(samples) != len(reference.samples):
            raise ConfigError(
                f"position: {len(samples)} samples of one model and {len(reference.samples)} of "
                "the other cannot be paired; read one a prompt"
            )

    def __call__(
        self,
        activations: Activations,
        reference: Reference,
        source: ModelSource,
        reference_source: ModelSource,
        rng: np.random.Generator,
    ) -> Result:
        """Hold every layer of the one against every layer of the other, prompt by prompt."""
        first = self._read(source.load(head=True), activations)
        theirs = next(reference.activations())
        second = self._read(reference_source.load(head=True), theirs)
        return aligned(
            first,
            second,
            row_by_row,
            _other_samples,
            self.permutations,
            self.alpha,
            rng,
            broken="shuffled samples",
            what="What the logit lens reads",
            told=f"{len(activations.samples)} samples, each held against itself",
            layers=(activations.layers, theirs.layers),
        )

    @staticmethod
    def _read(model: "LanguageModel", activations: Activations) -> Side:
        from interp.models.final_norm import final_norm

        vectors = final_norm(model, model.read_by_head).applied(np.asarray(activations.values))
        return Side(model.title, vectors, model.unembedding_matrix, model.vocabulary)


def _other_samples(vectors: Array, rng: np.random.Generator) -> Array:
    """Return the samples in another order, the same at every layer."""
    return vectors[:, rng.permutation(vectors.shape[1])]
