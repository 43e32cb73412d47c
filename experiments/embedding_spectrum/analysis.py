"""How many dimensions do some words span in the embedding, and what do these stand for?

The spectrum of the words' embeddings around their mean is compared with the spectra of a thousand
sets of as many random tokens: related words span fewer dimensions than unrelated tokens. The
leading direction orders the whole vocabulary: which tokens lie at its ends, the words themselves
left out, and are they of the same kind as the words?
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError, check_at_least, check_choice, nearest
from interp.data.prompts import PromptSet
from interp.models import ModelSource
from interp.models.words import RandomTokens, Words
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .extreme_tokens import extreme_tokens
from .findings import Findings
from .measures import centred_points, word_spectrum
from .report import spectrum_result

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel


@ANALYSES.register("embedding_spectrum")
@dataclass(frozen=True)
class EmbeddingSpectrum:
    """The singular values of some words' embeddings, compared with those of random tokens.

    Attributes:
        matrix: "embedding" or "unembedding".
        pooling: of a word's several tokens: "none" refuses them, "mean", "first" or "last".
        match: what random tokens have in common with the words: "none", "length" in characters, or
            "rank" by frequency.
        component: the singular vector that the vocabulary is projected on, from 1.
        top: how many tokens are shown at each of its ends.
        pair: the two words whose embeddings are drawn against each other; the first two by default.
        draws: random sets of tokens; the smallest p is 1 / (draws + 1).
        alpha: the p below which a measure counts as significant.
    """

    matrix: str = "embedding"
    pooling: str = "none"
    match: str = "none"
    component: int = 1
    top: int = 20
    pair: list[str] = field(default_factory=list)
    draws: int = 999
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_settings(self.draws, self.alpha)
        check_choice("matrix", self.matrix, ("embedding", "unembedding"))
        check_choice("pooling", self.pooling, ("none", "mean", "first", "last"))
        check_choice("match", self.match, ("none", "length", "rank"))
        check_at_least("component", self.component, 1)
        check_at_least("top", self.top, 1)
        if len(self.pair) not in (0, 2) or len(set(self.pair)) != len(self.pair):
            raise ConfigError(f"pair must be two different words, not {self.pair}")

    def check(self, prompts: PromptSet, source: ModelSource) -> None:
        """Refuse words that are not rows of the embedding.

        Raises:
            ConfigError: too few words, words of several tokens, a pair that is not among them, or
                a component that so few words do not have.
        """
        model = source.skeleton()
        Words.of(
            prompts,
            model,
            self.pooling,
            "leave them out, or pool them with analysis.pooling=mean, first or last",
        )
        for word in self.pair:
            if word not in prompts.texts:
                raise ConfigError(
                    f"analysis.pair: {word!r} is not among the words{nearest(word, prompts.texts)}"
                )
        width = int(model.module.get_input_embeddings().weight.shape[-1])
        if self.component > (most := min(len(prompts) - 1, width)):
            raise ConfigError(
                f"analysis.component: {len(prompts)} words around their mean have at most {most} "
                f"components, not {self.component}"
            )

    def __call__(
        self,
        prompts: PromptSet,
        source: ModelSource,
        model: "LanguageModel",
        rng: np.random.Generator,
    ) -> Result:
        """Compare the words' spectrum with random tokens, and project the vocabulary."""
        words = Words.of(prompts, model, self.pooling)
        is_embedding = self.matrix == "embedding"
        matrix = model.token_embedding if is_embedding else model.unembedding_matrix
        random_tokens = RandomTokens.sample(words, model.vocabulary, self.match, self.draws, rng)
        spectrum = word_spectrum(words, matrix, random_tokens, self.component)
        extremes = extreme_tokens(
            matrix,
            words,
            model.vocabulary,
            spectrum.axes[self.component - 1],
            spectrum.random.axes,
            random_tokens,
            self.top,
        )
        one_random_set = centred_points(words.points(matrix, random_tokens.ids[0]))
        return spectrum_result(
            Findings(
                name=" and ".join(prompts.group_names).replace("_", " "),
                words=words,
                spectrum=spectrum,
                extremes=extremes,
                is_word=model.vocabulary.is_word,
                random_name=random_tokens.description,
                random_axes=np.linalg.svd(one_random_set, full_matrices=False)[2],
                matrix="token embedding" if is_embedding else source.unembedding,
                model=source.title,
                pooling=self.pooling,
                component=self.component,
                pair=tuple(self.pair or words.texts[:2]),
                n_random=self.draws,
                alpha=self.alpha,
            )
        )
