"""Which MLP layer of one model corresponds to which layer of another, in their shared vocabulary?

The MLPs of two models cannot be compared directly: each model has dimensions and neurons of its
own. As logits over the words that both models know they can. Every layer of one model is compared
with every layer of the other, and layers are matched one to one so that the sum of similarities is
largest. Two nulls calibrate it: the words of one model permuted, and its neurons replaced by random
directions. Unembeddings that agree on the words, without neurons that correspond, exceed the first
null alone.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import check_at_least, check_choice
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .alignment import Comparison, VocabularyVectors, align, check_models
from .correlations import best_matches
from .report import Wording, alignment_result

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@ANALYSES.register("vocabulary_alignment")
@dataclass(frozen=True)
class VocabularyAlignment:
    """Two models' MLPs, layer by layer, in the vocabulary that they share.

    The second model is the reference.

    Attributes:
        of: "output", what neurons write, read by the unembedding; "input", what they read, by the
            embedding.
        neurons: of each layer of the first model, evenly spaced, whose best match in a layer of the
            second is sought.
        permutations: of the words; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a pair of layers counts as significant.
    """

    of: str = "output"
    neurons: int = 128
    permutations: int = 99
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        check_choice("of", self.of, ("output", "input"))
        check_at_least("neurons", self.neurons, 2)

    def check(self, source: ModelSource, reference_source: ModelSource | None) -> None:
        """Refuse a model without a reference, or two models that share too few words.

        Raises:
            ConfigError: no reference, or one whose tokenizer has too few words in common.
        """
        check_models(source, reference_source)

    def __call__(
        self,
        source: ModelSource,
        reference_source: ModelSource,
        rng: np.random.Generator,
    ) -> Result:
        """Compare every layer of one model with every layer of the other.

        Raises:
            ConfigError: a model whose MLPs cannot be found.
        """
        first = self._mlp_vectors(source.load(head=True))
        second = self._mlp_vectors(reference_source.load(head=True))
        n_neurons = first.vectors.shape[1]
        some = np.linspace(0, n_neurons - 1, min(self.neurons, n_neurons)).round().astype(int)
        first = dataclasses.replace(first, vectors=first.vectors[:, some])

        comparison = Comparison(best_matches, _random_directions, "random neurons")
        alignment = align(first, second, comparison, self.permutations, rng)

        wording = Wording(
            subject=f"MLP {self.of}s",
            sample=f"{len(some)} of {n_neurons} neurons per layer, each with its best match",
        )
        return alignment_result(alignment, wording, self.alpha)

    def _mlp_vectors(self, model: "LanguageModel") -> VocabularyVectors:
        from interp.models.final_norm import final_norm
        from interp.models.weights import mlp_weights

        mlps = mlp_weights(model, model.read_by_head)
        if self.of == "output":
            rows = np.array([mlp.output for mlp in mlps])
            readout = final_norm(model, model.read_by_head).folded(model.unembedding_matrix)
        else:
            rows = np.array([np.hstack(list(mlp.inputs.values())).T for mlp in mlps])
            readout = model.token_embedding
        return VocabularyVectors(
            model.title, tuple(range(len(rows))), rows, readout, model.vocabulary
        )


def _random_directions(vectors: Array, rng: np.random.Generator) -> Array:
    """Return random directions in place of neurons, [layer, neuron, d]."""
    return rng.normal(size=vectors.shape)
