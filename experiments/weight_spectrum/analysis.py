"""Which directions do a model's weights read and write, and are these anything in the vocabulary?

Every head's OV and QK circuit and every MLP is decomposed into singular values and directions. A
direction stands for the tokens at its ends; whether it can be read is how alike these are, against
random directions. Heads have two numbers more: how much they copy, and how much of what one writes
a later one reads.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError
from interp.data.prompts import PromptSet
from interp.metrics.functional.spectra import effective_rank
from interp.models import ModelSource
from interp.models.vocabulary import Vocabulary
from interp.models.words import Words
from interp.results.result import Result, Series
from interp.runner.analysis import ANALYSES
from interp.stats.calibration import check_settings

from .directions import directions_read
from .head_report import composition_report, copying_report
from .heads import compositions, copying, strongest_first
from .low_rank import factored_svd
from .matrices import Part, Weights, parts, refuse_factorised

if TYPE_CHECKING:
    from interp.models.language_model import LanguageModel

# Rows of the table of compositions, of each kind.
_STRONGEST = 20

# Among so many tokens a copied word must come back (as in Wang et al., 2022).
_RETURNED_AMONG = 5


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
        if self.components < 1:
            raise ConfigError(f"components must be at least 1, not {self.components}")
        if self.top < 2:
            raise ConfigError(f"top must be at least 2, not {self.top}: alike are two or more")

    def check(self, prompts: PromptSet, source: ModelSource) -> None:
        """Refuse words that are no single tokens, and embeddings of another width than the stream.

        Raises:
            ConfigError: naming them.
        """
        model = source.skeleton()
        Words.of(prompts, model, "none")
        refuse_factorised(model)
        if self.top > (
            words := int(Vocabulary.of(model.tokenizer, len(model.tokenizer)).is_word.sum())
        ):
            raise ConfigError(
                f"analysis.top: {model.title} has {words} words, fewer than {self.top}"
            )

    def __call__(
        self,
        prompts: PromptSet,
        source: ModelSource,
        model: "LanguageModel",
        rng: np.random.Generator,
    ) -> Result:
        """Decompose, read and score every matrix that can be told apart.

        Raises:
            ConfigError: a model of which none can.
        """
        from interp.models.final_norm import final_norm

        words = Words.of(prompts, model, "none")
        norm = final_norm(model, model.read_by_head)
        weights = Weights.of(model).centred(norm)
        vocabulary, embedding = model.vocabulary, norm.centred(model.token_embedding)
        unembedding = norm.folded(model.unembedding_matrix)
        found = parts(weights, self.components)
        told = source.title
        results = [
            directions_read(
                found,
                embedding,
                unembedding,
                vocabulary,
                told=told,
                top=self.top,
                draws=self.draws,
                alpha=self.alpha,
                rng=rng,
            ),
            _ranks(found, told, rng),
        ]
        if weights.ov:
            copied = copying(
                weights,
                embedding,
                unembedding,
                vocabulary.is_word,
                words.ids,
                _RETURNED_AMONG,
                self.draws,
                rng,
            )
            name = " and ".join(prompts.group_names).replace("_", " ")
            results.append(
                copying_report(
                    copied, name, told=told, top=_RETURNED_AMONG, draws=self.draws, alpha=self.alpha
                )
            )
            if len(weights.ov) > 1:
                composed = compositions(weights, rng)
                table = strongest_first(composed, _STRONGEST)
                results.append(composition_report(composed, table, told=told))
        results.append(Result(finding=" ".join(f"{said}." for said in weights.missing)))
        return Result.merged(results)


def _ranks(found: list[Part], told: str, rng: np.random.Generator) -> Result:
    """Tell how many dimensions each matrix amounts to, against random ones of its shape."""
    from interp import plotting

    layers = tuple(range(len(found[0].values)))
    random = {part.name: _random_rank(part, rng) for part in found}
    drawn = {
        f"{part.key}_effective_rank": plotting.head_heatmap(
            part.effective_rank,
            title=f"Effective rank of each head's {part.name} circuit, of {part.values.shape[2]}",
            subtitle=f"{told} · random factors {random[part.name]:.1f}",
            label="effective rank",
        )
        for part in found
        if part.heads
    }
    means = {part.name: part.effective_rank.mean(1) for part in found}
    return Result(
        series={
            f"effective_rank_{part.key}": Series.over(layers, means[part.name]) for part in found
        },
        figures={
            **drawn,
            "spectra": plotting.spectra_over_layers(
                {part.name: part.values.mean(1) for part in found},
                title="Singular values of a model's weights, layer by layer",
                subtitle=f"{told} · relative to the largest, heads averaged",
            ),
        },
        finding="Effective rank, mean over layers and heads (random matrices of the shape): "
        + ", ".join(
            f"{name} {values.mean():.0f} of {part.values.shape[2]} ({random[name]:.0f})"
            for (name, values), part in zip(means.items(), found, strict=True)
        )
        + ".",
    )


def _random_rank(part: Part, rng: np.random.Generator) -> float:
    """Return the effective rank of a random matrix of a part's shape."""
    drawn = rng.normal(size=part.shape)
    if part.heads:
        return float(effective_rank(factored_svd(drawn, rng.normal(size=drawn.T.shape)).values))
    return float(effective_rank(np.asarray(np.linalg.svd(drawn, compute_uv=False))))
