"""Which directions do a model's weights read and write, and which words do these stand for?

Every head's OV and QK circuit and every MLP is decomposed into singular values and directions. The
tokens at both ends of a direction show what it stands for; it is readable if they are more similar
than those of random directions. Of heads two more things are measured: how much they copy, and how
much of what one writes a later one reads (Elhage et al., 2021).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError, check_at_least
from interp.data.prompts import PromptSet
from interp.models import ModelSource
from interp.models.vocabulary import Vocabulary
from interp.models.words import Words
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .composition import score_compositions
from .copying import score_copying
from .decomposition import decompose, random_effective_rank
from .directions import score_directions
from .report import composition_result, copying_result, directions_result, ranks_result
from .weights import ModelWeights, VocabularySpace

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@ANALYSES.register("weight_spectrum")
@dataclass(frozen=True)
class WeightSpectrum:
    """Singular values and directions of a model's weights, read in its vocabulary.

    The prompts are words that copying heads should return, one token each.

    Attributes:
        components: leading singular directions that are read of each matrix.
        top: how many tokens at an end of a direction count.
        draws: random directions, and random heads; the smallest p is 1 / (draws + 1), and adjusted
            for a thousand directions it may be far larger.
        alpha: the corrected p below which something counts as significant.
    """

    components: int = 5
    top: int = 10
    draws: int = 4999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.draws, self.alpha)
        check_at_least("components", self.components, 1)
        check_at_least("top", self.top, 2)

    def check(self, prompts: PromptSet, source: ModelSource) -> None:
        """Refuse words of several tokens, and embeddings of another width than the stream.

        Raises:
            ConfigError: naming them, or fewer words in the vocabulary than `top`.
        """
        from interp.models.weights import check_embedding_width

        model = source.skeleton()
        Words.of(prompts, model, "none")
        check_embedding_width(model)
        n_words = int(Vocabulary.of(model.tokenizer, len(model.tokenizer)).is_word.sum())
        if self.top > n_words:
            raise ConfigError(
                f"analysis.top: {model.title} has {n_words} words, fewer than {self.top}"
            )

    def __call__(
        self,
        prompts: PromptSet,
        source: ModelSource,
        model: "LanguageModel",
        rng: np.random.Generator,
    ) -> Result:
        """Decompose every matrix, read its directions, and score its heads.

        Raises:
            ConfigError: a model with no matrix that can be separated.
        """
        weights, space = ModelWeights.of(model), VocabularySpace.of(model)
        matrices = decompose(weights, self.components)
        directions = score_directions(matrices, space, self.top, self.draws, self.alpha, rng)
        random_ranks = [random_effective_rank(matrix, rng) for matrix in matrices]
        results = [
            directions_result(directions, matrices, source.title, self.alpha),
            ranks_result(matrices, random_ranks, source.title),
        ]
        if weights.ov:
            ids = Words.of(prompts, model, "none").ids
            copying = score_copying(weights, space, ids, self.draws, rng)
            name = " and ".join(prompts.group_names).replace("_", " ")
            results.append(copying_result(copying, name, source.title, self.alpha))
        if len(weights.ov) > 1:
            results.append(composition_result(score_compositions(weights, rng), source.title))
        results.append(Result(finding=" ".join(f"{reason}." for reason in weights.missing)))
        return Result.merged(results)
