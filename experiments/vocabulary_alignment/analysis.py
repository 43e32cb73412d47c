"""Which layer of one model does what which layer of another does, said in words that both know?

The rows of two models' MLPs cannot be compared as they are: each model has dimensions and neurons
of its own. As logits over the words that both know they can. Every layer of one is held against
every layer of the other, and the assignment of layers with the largest sum is sought. Two nulls
stand beside it: the words of one model shuffled, so that they no longer mean the same, and its
layers replaced by ones that mean nothing. Models that merely know the same words beat the first.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError, check_choice
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .alignment import Side, aligned, refuse_alone
from .correlations import best_matches

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
        permutations: shuffles of the words; the smallest p is 1 / (permutations + 1).
        alpha: the corrected p below which a pair of layers counts as significant.
    """

    of: str = "output"
    neurons: int = 128
    permutations: int = 99
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.permutations, self.alpha)
        check_choice("of", self.of, ("output", "input"))
        if self.neurons < 2:
            raise ConfigError(f"neurons must be at least 2, not {self.neurons}")

    def check(self, source: ModelSource, reference_source: ModelSource | None) -> None:
        """Refuse a model alone, or two that share no words.

        Raises:
            ConfigError: no reference, or one whose tokenizer has too few words in common.
        """
        refuse_alone(source, reference_source)

    def __call__(
        self,
        source: ModelSource,
        reference_source: ModelSource,
        rng: np.random.Generator,
    ) -> Result:
        """Hold every layer of the one against every layer of the other.

        Raises:
            ConfigError: a model whose MLPs cannot be found.
        """
        first = self._read(source.load(head=True))
        second = self._read(reference_source.load(head=True))
        every = len(first.vectors[0])
        some = np.linspace(0, every - 1, min(self.neurons, every)).round().astype(int)
        return aligned(
            dataclasses.replace(first, vectors=first.vectors[:, some]),
            second,
            best_matches,
            _random_directions,
            self.permutations,
            self.alpha,
            rng,
            broken="random neurons",
            what=f"What the MLPs {'write' if self.of == 'output' else 'read'}",
            told=f"{len(some)} of {every} neurons a layer, each with its best match",
        )

    def _read(self, model: "LanguageModel") -> Side:
        from interp.models.final_norm import final_norm
        from interp.models.weights import mlp_weights

        mlps = mlp_weights(model, model.read_by_head)
        if self.of == "output":
            rows = np.array([mlp.output for mlp in mlps])
            readout = final_norm(model, model.read_by_head).folded(model.unembedding_matrix)
        else:
            rows = np.array([np.hstack(list(mlp.inputs.values())).T for mlp in mlps])
            readout = model.token_embedding
        return Side(model.title, rows, readout, model.vocabulary)


def _random_directions(vectors: Array, rng: np.random.Generator) -> Array:
    """Return as many random directions in the place of neurons."""
    return rng.normal(size=vectors.shape)
