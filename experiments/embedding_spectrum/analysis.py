"""How many dimensions do some words span in the embedding, and what do these stand for?

The rows of the words, around their mean, have a spectrum; so have the rows of as many random
tokens, drawn a thousand times. Words that share something spread over fewer directions than tokens
that share nothing. The leading direction orders the whole vocabulary: which tokens lie at its ends,
words of the set left out, and are they of the same kind as the set?
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from interp.core.errors import ConfigError, check_choice, nearest
from interp.data.prompts import PromptSet
from interp.metrics.functional.points import Array
from interp.metrics.functional.spectra import (
    effective_rank,
    participation_ratio,
    singular_values,
    stable_rank,
)
from interp.models import ModelSource
from interp.models.words import RandomTokens, Words
from interp.results.primary_series import Headline
from interp.results.result import Result
from interp.runner.analysis import ANALYSES
from interp.stats import permutation_tests
from interp.stats.calibration import check_settings
from interp.stats.permutation_tests import PermutationTest

from .ends import Ends, ends

if TYPE_CHECKING:
    import pandas as pd

    from interp.models.language_model import LanguageModel
    from interp.plotting import SpectrumBand

# How many of the leading singular vectors are drawn.
_DRAWN_VECTORS = 3

_MEASURES = {
    "effective_rank": effective_rank,
    "participation_ratio": participation_ratio,
    "stable_rank": stable_rank,
}


@ANALYSES.register("embedding_spectrum")
@dataclass(frozen=True)
class EmbeddingSpectrum:
    """The singular values of some words' embeddings, against those of random tokens.

    Attributes:
        matrix: "embedding" or "unembedding".
        pooling: of a word's several tokens: "none" refuses them, "mean", "first" or "last".
        match: what random tokens have in common with the words: "none", "length" in signs, or
            "rank" by frequency.
        component: the singular vector that the vocabulary is projected on, from 1.
        top: how many tokens are shown at each of its ends.
        pair: the two words whose embeddings are drawn against each other; the first two by default.
        draws: of random tokens; the smallest p is 1 / (draws + 1).
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
        for name in ("component", "top"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if len(self.pair) not in (0, 2) or len(set(self.pair)) != len(self.pair):
            raise ConfigError(f"pair must be two different words, not {self.pair}")

    def check(self, prompts: PromptSet, source: ModelSource) -> None:
        """Refuse words that are no rows of the embedding.

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
        """Hold the words' spectrum against those of random tokens, and project the vocabulary."""
        from interp import plotting

        words = Words.of(prompts, model, self.pooling)
        matrix = model.token_embedding if self.matrix == "embedding" else model.unembedding_matrix
        drawn = RandomTokens.drawn(words, model.vocabulary, self.match, self.draws, rng)
        points = words.points(matrix, words.ids)
        _, spectrum, axes = np.linalg.svd(_centred(points), full_matrices=False)
        spectrum = spectrum[: len(points) - 1]
        null, their_axes, correlation = _of_draws(words, matrix, drawn, self.component)

        measured = np.array([measure(spectrum) for measure in _MEASURES.values()])
        chance = np.array([measure(null) for measure in _MEASURES.values()])
        fewer = permutation_tests.permutation_test(measured, chance, "less")
        more = permutation_tests.permutation_test(measured, chance, "greater")
        alike = np.abs(np.corrcoef(points))
        mean_alike = alike[np.triu_indices(len(points), 1)].mean()
        closer = permutation_tests.permutation_test(
            mean_alike[None], np.abs(correlation).mean(1)[None], "greater"
        )
        found = ends(
            matrix, words, model.vocabulary, axes[self.component - 1], their_axes, drawn, self.top
        )

        name = " and ".join(prompts.group_names).replace("_", " ")
        where = "token embedding" if self.matrix == "embedding" else source.unembedding
        pooled = f", {self.pooling} of their tokens" * (len(words.ids) > len(words.texts))
        told = (
            f"{source.title} · {where} · {len(points)} words{pooled}, {points.shape[1]} dimensions"
        )
        against = f"95% of {self.draws} draws of {drawn.described}"
        bands = _bands(spectrum, null)
        verdict = self._verdict(name, fewer, more)
        pair = list(self.pair) or list(words.texts[:2])
        a, b = (words.texts.index(word) for word in pair)
        return Result(
            spectra={
                key: band.values
                for key, band in zip(
                    ("singular_value", "relative_singular_value", "cumulative_variance"),
                    bands,
                    strict=True,
                )
            },
            headlines=(
                Headline(
                    "relative_singular_value",
                    "singular value, relative to the largest",
                    over="component",
                ),
            ),
            scalars={
                **dict(zip(_MEASURES, measured.tolist(), strict=True)),
                **dict(zip((f"{m}_p" for m in _MEASURES), fewer.p_corrected.tolist(), strict=True)),
                "mean_absolute_correlation": float(mean_alike),
                "mean_absolute_correlation_p": float(closer.p[0]),
            },
            tables={
                "summary": _summary(measured, fewer, float(mean_alike), closer),
                "spectrum": _table(bands),
                "tokens": found.table(),
            },
            figures={
                "spectrum": plotting.spectra(
                    name, bands, title=verdict, subtitle=told, band_label=against
                ),
                "vectors": plotting.singular_vectors(
                    {
                        name: axes,
                        drawn.described: np.linalg.svd(
                            _centred(words.points(matrix, drawn.ids[0])), full_matrices=False
                        )[2],
                    },
                    _DRAWN_VECTORS,
                    title=f"Leading singular vectors of {name} and of one draw",
                    subtitle=told,
                ),
                "projection": plotting.vocabulary_projection(
                    found.projections[model.vocabulary.is_word],
                    found.of_words,
                    found.low_labels,
                    found.high_labels,
                    title=f"What lies at the ends of component {self.component} of {name}"
                    f"{found.verdict(self.alpha, self.draws)}",
                    subtitle=f"{told} · the whole vocabulary, in the lists without the set",
                    xlabel=f"projection on singular vector {self.component}, around the mean of "
                    f"{name}",
                    words_label=name,
                ),
                "correlations": plotting.correlation_matrix(
                    words.texts,
                    alike,
                    title=f"{name}: mean |r| {mean_alike:.2f}, {drawn.described} "
                    f"{closer.null_mean[0]:.2f}",
                    subtitle=told,
                    label="absolute correlation |r| of two embeddings",
                ),
                "pair": plotting.embedding_pair(
                    points[a],
                    points[b],
                    names=(words.texts[a], words.texts[b]),
                    title=f"“{words.texts[a]}” and “{words.texts[b]}” correlate by "
                    f"{np.corrcoef(points[a], points[b])[0, 1]:.2f}",
                    subtitle=f"{told} · pairs of {drawn.described}: "
                    f"{np.quantile(correlation, 0.025):.2f} to "
                    f"{np.quantile(correlation, 0.975):.2f} in 95%",
                ),
            },
            finding=self._finding(verdict, name, spectrum, measured, fewer, found, drawn, where),
            null=drawn.described,
        )

    def _verdict(self, name: str, fewer: PermutationTest, more: PermutationTest) -> str:
        if 1 / (self.draws + 1) >= self.alpha:
            return f"{name}: too few draws to tell from random tokens"
        passes = int((fewer.p_corrected < self.alpha).sum())
        if passes == len(_MEASURES):
            return f"{name} span fewer dimensions than random tokens"
        if passes:
            return f"{name} span fewer dimensions than random tokens by {passes} of 3 measures"
        if passes := int((more.p_corrected < self.alpha).sum()):
            return (
                f"{name} span more dimensions than random tokens by {passes} of 3 measures (p "
                f"{more.p_corrected.min():.2g} at least)"
            )
        return f"{name} are not told from random tokens by their dimensions"

    def _finding(
        self,
        verdict: str,
        name: str,
        spectrum: Array,
        measured: Array,
        fewer: PermutationTest,
        found: Ends,
        drawn: RandomTokens,
        where: str,
    ) -> str:
        told = ", ".join(
            f"{key.replace('_', ' ')} is {measured[i]:.1f} (random {fewer.null_mean[i]:.1f} "
            f"[{fewer.null_low[i]:.1f}, {fewer.null_high[i]:.1f}], p = {fewer.p_corrected[i]:.2g})"
            for i, key in enumerate(_MEASURES)
        )
        share = spectrum[self.component - 1] ** 2 / (spectrum**2).sum()
        low, high = (", ".join(labels[:5]) for labels in (found.low_labels, found.high_labels))
        return (
            f"{verdict} in the {where} (p < {self.alpha:g}, corrected over three measures, against "
            f"{self.draws} draws of {drawn.described}): {told}. Component {self.component} holds "
            f"{share:.0%} of the variance of {name}; of all other tokens it puts {low} at one end "
            f"and {high} at the other{found.told()}."
        )


def _centred(points: Array) -> Array:
    return np.asarray(points - points.mean(0))


def _of_draws(
    words: Words,
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    drawn: RandomTokens,
    component: int,
) -> tuple[Array, Array, Array]:
    """Return each draw's spectrum [draw, k], its singular vector [draw, d], and its correlations.

    The correlations are those of every pair of a draw's rows, [draw, pair].
    """
    spectra, axes, correlations = [], [], []
    upper = np.triu_indices(len(words.texts), 1)
    for chunk in drawn.chunks(matrix.shape[1]):
        points = words.points(matrix, drawn.ids[chunk])
        spectra.append(singular_values(points))
        moved = points - points.mean(1, keepdims=True)
        # The vector of the words' weights leads to that of the dimensions.
        weights = np.linalg.eigh(moved @ np.swapaxes(moved, 1, 2))[1][:, :, -component]
        axis = np.einsum("bn,bnd->bd", weights, moved)
        axes.append(axis / np.linalg.norm(axis, axis=1, keepdims=True))
        scaled = points - points.mean(2, keepdims=True)
        scaled /= np.linalg.norm(scaled, axis=2, keepdims=True)
        correlations.append((scaled @ np.swapaxes(scaled, 1, 2))[:, upper[0], upper[1]])
    return np.concatenate(spectra), np.concatenate(axes), np.concatenate(correlations)


def _bands(spectrum: Array, null: Array) -> "list[SpectrumBand]":
    """Return the spectrum in three forms, each beside the band of the draws."""
    from interp.plotting import SpectrumBand

    def band(ylabel: str, values: Array, drawn: Array) -> "SpectrumBand":
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        return SpectrumBand(ylabel, values, drawn.mean(0), low, high)

    def cumulative(s: Array) -> Array:
        variances = np.cumsum(s**2, axis=-1)
        return np.asarray(variances / variances[..., -1:])

    return [
        band("singular value", spectrum, null),
        band("relative to the largest", spectrum / spectrum[0], null / null[:, :1]),
        band("cumulative share of variance", cumulative(spectrum), cumulative(null)),
    ]


def _summary(
    measured: Array, fewer: PermutationTest, mean_alike: float, closer: PermutationTest
) -> "pd.DataFrame":
    import pandas as pd

    rows = [
        (
            key.replace("_", " "),
            measured[i],
            fewer.null_mean[i],
            f"{fewer.null_low[i]:.4g} to {fewer.null_high[i]:.4g}",
            fewer.p_corrected[i],
        )
        for i, key in enumerate(_MEASURES)
    ]
    between = f"{closer.null_low[0]:.4g} to {closer.null_high[0]:.4g}"
    rows.append(("mean |r|", mean_alike, closer.null_mean[0], between, closer.p[0]))
    return pd.DataFrame(rows, columns=["measure", "value", "random", "95% of draws", "p"])


def _table(bands: "list[SpectrumBand]") -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, Array] = {}
    for band in bands:
        columns |= {
            band.ylabel: band.values,
            f"{band.ylabel}, random": band.null_mean,
            f"{band.ylabel}, random low": band.null_low,
            f"{band.ylabel}, random high": band.null_high,
        }
    table = pd.DataFrame(columns)
    table.insert(0, "component", np.arange(1, len(table) + 1))
    return table
