"""Which layer of one model does what which layer of another does, said in words that both know?

The rows of two models' MLPs cannot be compared as they are: each model has dimensions and neurons
of its own. As logits over the words that both know they can. Every layer of one is held against
every layer of the other, and the assignment of layers with the largest sum is sought. Two nulls
stand beside it: the words of one model shuffled, so that they no longer mean the same, and its
layers replaced by ones that mean nothing. Models that merely know the same words beat the first.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.spectra.matrices import refuse_factorised
from interp import figures, statistics
from interp.activations import Activations
from interp.analysis import ANALYSES
from interp.calibration import check_settings
from interp.geometry.vocabulary_alignment import (
    assignment,
    best_matches,
    normalised,
    row_by_row,
    shared_product,
)
from interp.hooks import HookPoint, ResidPost, ResidPre
from interp.models import LanguageModel, ModelSource
from interp.models.vocabulary import Vocabulary
from interp.models.weights import final_norm, mlp_weights
from interp.prompts import PromptSet
from interp.reference import Reference
from interp.registry import ConfigError, check_choice
from interp.result import Result, Series
from interp.similarity.points import Array
from interp.statistics import PermutationTest

# Fewer words in common tell nothing of a layer.
_FEWEST_WORDS = 20


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
        _refuse_alone(source, reference_source)

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
        return _aligned(
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

    def _read(self, model: LanguageModel) -> "_Side":
        mlps = mlp_weights(model, model.read_by_head)
        if self.of == "output":
            rows = np.array([mlp.output for mlp in mlps])
            readout = final_norm(model, model.read_by_head).folded(model.unembedding_matrix)
        else:
            rows = np.array([np.hstack(list(mlp.inputs.values())).T for mlp in mlps])
            readout = model.token_embedding
        return _Side(model.title, rows, readout, model.vocabulary)


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
        samples: pd.DataFrame,
        reference: Reference,
    ) -> None:
        """Refuse a model alone, two that share no words, or samples that do not pair up.

        Raises:
            ConfigError: no reference; too few words in common; a hook that is no residual stream;
                a position at which the two models read different numbers of tokens.
        """
        _refuse_alone(source, reference_source)
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
        return _aligned(
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
    def _read(model: LanguageModel, activations: Activations) -> "_Side":
        vectors = model.normed(activations.values, model.read_by_head)
        return _Side(model.title, vectors, model.unembedding_matrix, model.vocabulary)


@dataclass(frozen=True, eq=False)
class _Side:
    """One model's vectors, and how words are read off them.

    Attributes:
        title: the model's.
        vectors: [layer, row, d].
        readout: what each word is read by, [id, d].
        vocabulary: what the ids stand for.
    """

    title: str
    vectors: NDArray[np.float32]
    readout: NDArray[np.float32]
    vocabulary: Vocabulary


def _refuse_alone(source: ModelSource, reference_source: ModelSource | None) -> None:
    if reference_source is None:
        raise ConfigError(
            "reference: a model to align with is needed: model@reference=…, such as another one's "
            "name or minilm_untrained"
        )
    models = source.skeleton(), reference_source.skeleton()
    for model in models:
        refuse_factorised(model)
    first, second = (
        Vocabulary.of(model.tokenizer, len(model.tokenizer)).spelled for model in models
    )
    if len(common := first.keys() & second.keys()) < _FEWEST_WORDS:
        raise ConfigError(
            f"reference: {source.title} and {reference_source.title} share {len(common)} words of "
            f"their vocabularies; at least {_FEWEST_WORDS} are needed"
        )


def _aligned(
    first: _Side,
    second: _Side,
    compare: Callable[[Array, Array, Array], Array],
    meaningless: Callable[[Array, np.random.Generator], Array],
    permutations: int,
    alpha: float,
    rng: np.random.Generator,
    *,
    broken: str,
    what: str,
    told: str,
    layers: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
) -> Result:
    """Compare every pair of layers, and find the assignment of the largest sum.

    Args:
        first: the first model.
        second: the second.
        compare: how well layers [a, n, d] are found in layers [b, m, d] by the product of both
            unembeddings.
        meaningless: gives layers [b, m, d] that mean nothing in the place of the second model's.
        permutations: draws of each null.
        alpha: the corrected p below which a pair counts.
        rng: where they are drawn from.
        broken: what such layers are called.
        what: what is compared, in words.
        told: of how much.
        layers: what the layers are called; 0, 1, … by default.
    """
    words = sorted(first.vocabulary.spelled.keys() & second.vocabulary.spelled.keys())
    ours, theirs = (
        side.readout[[side.vocabulary.spelled[word] for word in words]] for side in (first, second)
    )
    own = shared_product(theirs, theirs)
    a = normalised(first.vectors.astype(np.float64), shared_product(ours, ours))
    b = normalised(second.vectors.astype(np.float64), own)
    product = shared_product(ours, theirs)
    scores = compare(a, b, product)
    by_words, by_layers = [], []
    for _ in tqdm(range(permutations), "shuffling", delay=2, disable=None):
        order = rng.permutation(len(words))
        by_words.append(compare(a, b, shared_product(ours, theirs[order])))
        by_layers.append(compare(a, normalised(meaningless(b, rng), own), product))
    rows, columns, total = assignment(scores)
    wholes, tests = [], []
    for drawn in (np.array(by_words), np.array(by_layers)):
        totals = np.array([assignment(one)[2] for one in drawn])
        wholes.append(statistics.permutation_test(np.array([total]), totals[None], "greater"))
        flat = drawn.reshape(permutations, -1).T
        tests.append(statistics.permutation_test(scores.ravel(), flat, "greater"))
    p = max(whole.p[0] for whole in wholes)
    # Both nulls must be beaten, so that the larger p stands for both (Berger, 1982).
    p_corrected = np.maximum(*(test.p_corrected for test in tests)).reshape(scores.shape)
    significant = p_corrected < alpha
    names = layers or tuple(tuple(range(n)) for n in scores.shape)
    matched = [(names[0][i], names[1][j]) for i, j in zip(rows, columns, strict=True)]
    same = sum(one == other for one, other in matched)
    n = len(rows)
    by_chance = _same_number_p(scores.shape, same, rng)
    verdict = (
        f"{what} in {first.title} and {second.title} is "
        f"{'' if p < alpha else 'no '}more alike than chance"
    )
    if 1 / (permutations + 1) >= alpha:
        verdict = f"{what} in {first.title} and {second.title}: too few shuffles to tell"
    finding = (
        f"{verdict} (p < {alpha:g} against both nulls): matched layers correlate by "
        f"{total / n:.3f}, with shuffled words by {_beside(wholes[0], n)}, with {broken} by "
        f"{_beside(wholes[1], n)}, of {permutations} draws each; {len(words)} words in common; "
        f"{told}. {int(significant.sum())} of {scores.size} pairs of layers correlate more than "
        f"both (p < {alpha:g}, corrected over all). {same} of {n} layers are matched with their "
        f"own number (p = {by_chance:.2g} for layers matched at random): "
        f"{', '.join(f'{one} with {other}' for one, other in matched)}."
    )
    table = pd.DataFrame(
        {
            "layer": np.repeat(names[0], scores.shape[1]),
            "reference layer": np.tile(names[1], scores.shape[0]),
            "correlation": scores.ravel(),
            "shuffled words": tests[0].null_mean,
            broken: tests[1].null_mean,
            "p_corrected": p_corrected.ravel(),
        }
    )
    partner = dict(matched)
    summary = pd.DataFrame(
        {
            "layer": [one for one, _ in matched],
            "matched with": [other for _, other in matched],
            "correlation": scores[rows, columns],
            "p (corrected)": p_corrected[rows, columns],
        }
    )
    return Result(
        series={
            "matched_correlation": Series.over(list(partner), scores[rows, columns]),
            "matched_layer": Series.over(list(partner), list(partner.values())),
        },
        scalars={
            "mean_matched_correlation": total / n,
            "assignment_p": float(p),
            "matched_with_own_number": same / n,
            "matched_with_own_number_p": by_chance,
        },
        tables={"summary": summary, "pairs": table},
        figures={
            "alignment": figures.layer_matrix(
                names[0],
                names[1],
                scores,
                significant,
                np.column_stack([rows, columns]),
                title=verdict,
                subtitle=f"{len(words):,} words in common · {told}",
                xlabel=f"layer of {second.title}",
                ylabel=f"layer of {first.title}",
                label="correlation over the vocabulary",
                framed_label="matched, for the largest sum",
                faint_label=f"p ≥ {alpha:g}, corrected over all pairs",
                larger_is_closer=True,
                lowest=min(0.0, float(scores.min())),
            )
        },
        finding=finding,
        null=f"words of one model shuffled; {broken}",
    )


def _same_number_p(shape: tuple[int, ...], same: int, rng: np.random.Generator) -> float:
    """Return how likely random matching gives as many layers their own number, or more."""
    most = max(shape)
    orders = rng.permuted(np.tile(np.arange(most), (9999, 1)), axis=1)[:, : min(shape)]
    hits = (orders == np.arange(min(shape))).sum(1)
    return float(((hits >= same).sum() + 1) / (len(hits) + 1))


def _beside(whole: PermutationTest, layers: int) -> str:
    """Return what chance gives, and the p of it."""
    mean, low, high = (
        value[0] / layers for value in (whole.null_mean, whole.null_low, whole.null_high)
    )
    return f"{mean:.3f} [{low:.3f}, {high:.3f}] (p = {whole.p[0]:.2g})"


def _random_directions(vectors: Array, rng: np.random.Generator) -> Array:
    """Return as many random directions in the place of neurons."""
    return rng.normal(size=vectors.shape)


def _other_samples(vectors: Array, rng: np.random.Generator) -> Array:
    """Return the samples in another order, the same at every layer."""
    return vectors[:, rng.permutation(vectors.shape[1])]
