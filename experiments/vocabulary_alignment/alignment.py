"""Layers of two models in their shared vocabulary: similarity of every pair, matching, nulls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.models.vocabulary import Vocabulary
from interp.stats.permutation_tests import PermutationTest, permutation_test

from .correlations import assignment, normalised, shared_product

# With fewer shared words a correlation over words means little.
_FEWEST_WORDS = 20

# Random matchings of layers, for the p of how many layers have a partner of the same number.
_RANDOM_MATCHINGS = 9999


@dataclass(frozen=True, eq=False)
class VocabularyVectors:
    """Vectors of each layer of a model, and the matrix that maps them to words.

    Attributes:
        title: the model's.
        layers: the number of each layer.
        vectors: [layer, row, d].
        readout: the embedding or unembedding, [id, d].
        vocabulary: what the ids stand for.
    """

    title: str
    layers: tuple[int, ...]
    vectors: NDArray[np.float32]
    readout: NDArray[np.float32]
    vocabulary: Vocabulary


@dataclass(frozen=True, eq=False)
class Comparison:
    """How layers are compared, and with what surrogate the second null is made.

    Attributes:
        similarity: of each of layers [a, n, d_a] with each of layers [b, m, d_b], by the product
            [d_a, d_b] of both unembeddings; returns [a, b].
        surrogate: replaces the second model's layers [b, m, d_b] by meaningless ones.
        surrogate_name: "random neurons".
    """

    similarity: Callable[[Array, Array, Array], Array]
    surrogate: Callable[[Array, np.random.Generator], Array]
    surrogate_name: str


@dataclass(frozen=True, eq=False)
class AlignmentTest:
    """The similarities of layers and their best matching, compared with one null.

    Attributes:
        name: of the null: "permuted words".
        pairs: the similarity of each pair of layers, [a * b].
        matching: the sum of similarities of matched layers, [1].
    """

    name: str
    pairs: PermutationTest
    matching: PermutationTest


@dataclass(frozen=True, eq=False)
class LayerAlignment:
    """The similarity of every pair of layers of two models, and the matching of largest sum.

    Attributes:
        titles: of both models.
        layers: the numbers of both models' layers.
        scores: the similarity of each pair of layers, [a, b].
        rows: the matched layers of the first model, ascending indices [match].
        columns: their partners in the second, [match].
        tests: against permuted words, and against the surrogate.
        p_corrected: the larger of the two tests' corrected p, which must both reject (Berger,
            1982), [a, b].
        same_number_p: how likely a random matching gives as many layers the partner of their own
            number, or more.
        n_words: how many words both models know.
        n_permutations: of each null.
    """

    titles: tuple[str, str]
    layers: tuple[tuple[int, ...], tuple[int, ...]]
    scores: Array
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    tests: tuple[AlignmentTest, AlignmentTest]
    p_corrected: Array
    same_number_p: float
    n_words: int
    n_permutations: int

    @property
    def matches(self) -> list[tuple[int, int]]:
        """The numbers of matched layers, by the first model's."""
        return [
            (self.layers[0][i], self.layers[1][j])
            for i, j in zip(self.rows, self.columns, strict=True)
        ]

    @property
    def matched_scores(self) -> Array:
        """The similarity of matched layers, [match]."""
        return np.asarray(self.scores[self.rows, self.columns])

    @property
    def same_number(self) -> int:
        """How many layers are matched with the layer of the same number."""
        return sum(one == other for one, other in self.matches)

    @property
    def matching_p(self) -> float:
        """The p of the whole matching, the larger one of both nulls."""
        return float(max(test.matching.p[0] for test in self.tests))


def check_models(source: ModelSource, reference_source: ModelSource | None) -> None:
    """Refuse a model without another one to align with.

    Raises:
        ConfigError: no reference; one with too few words in common; or one of the two whose
            embedding has another width than its residual stream.
    """
    if reference_source is None:
        raise ConfigError(
            "reference: a model to align with is needed: model@reference=…, such as another one's "
            "name or minilm_untrained"
        )
    # It brings torch, which a configuration that is only built does without.
    from interp.models.weights import check_embedding_width

    models = source.skeleton(), reference_source.skeleton()
    for model in models:
        check_embedding_width(model)
    words = [Vocabulary.of(model.tokenizer, len(model.tokenizer)).spelled for model in models]
    if len(common := words[0].keys() & words[1].keys()) < _FEWEST_WORDS:
        raise ConfigError(
            f"reference: {source.title} and {reference_source.title} share {len(common)} words of "
            f"their vocabularies; at least {_FEWEST_WORDS} are needed"
        )


def align(
    first: VocabularyVectors,
    second: VocabularyVectors,
    comparison: Comparison,
    permutations: int,
    rng: np.random.Generator,
) -> LayerAlignment:
    """Compare every pair of layers, match layers for the largest sum, and test both.

    Args:
        first: the first model.
        second: the second.
        comparison: the similarity and the surrogate.
        permutations: of each null.
        rng: for the permutations.
    """
    from tqdm import tqdm

    words = sorted(first.vocabulary.spelled.keys() & second.vocabulary.spelled.keys())
    unembedding_a, unembedding_b = (
        side.readout[[side.vocabulary.spelled[word] for word in words]] for side in (first, second)
    )
    gram_b = shared_product(unembedding_b, unembedding_b)
    a = normalised(first.vectors.astype(np.float64), shared_product(unembedding_a, unembedding_a))
    b = normalised(second.vectors.astype(np.float64), gram_b)
    product = shared_product(unembedding_a, unembedding_b)
    scores = comparison.similarity(a, b, product)

    with_permuted_words, with_surrogate = [], []
    for _ in tqdm(range(permutations), "permuting", delay=2, disable=None):
        order = rng.permutation(len(words))
        permuted = shared_product(unembedding_a, unembedding_b[order])
        with_permuted_words.append(comparison.similarity(a, b, permuted))
        surrogate = normalised(comparison.surrogate(b, rng), gram_b)
        with_surrogate.append(comparison.similarity(a, surrogate, product))

    rows, columns, _ = assignment(scores)
    tests = (
        _test("permuted words", scores, np.array(with_permuted_words)),
        _test(comparison.surrogate_name, scores, np.array(with_surrogate)),
    )
    same_number = sum(
        first.layers[i] == second.layers[j] for i, j in zip(rows, columns, strict=True)
    )
    return LayerAlignment(
        titles=(first.title, second.title),
        layers=(first.layers, second.layers),
        scores=scores,
        rows=rows,
        columns=columns,
        tests=tests,
        p_corrected=np.maximum(*(test.pairs.p_corrected for test in tests)).reshape(scores.shape),
        same_number_p=_same_number_p(scores.shape, same_number, rng),
        n_words=len(words),
        n_permutations=permutations,
    )


def _test(name: str, scores: Array, null: Array) -> AlignmentTest:
    """Test similarities [a, b], and those of the best matching, against a null [permutation, a, b].

    The best matching is found anew in each permutation.
    """
    total = assignment(scores)[2]
    null_totals = np.array([assignment(one)[2] for one in null])
    return AlignmentTest(
        name,
        permutation_test(scores.ravel(), null.reshape(len(null), -1).T, "greater"),
        permutation_test(np.array([total]), null_totals[None], "greater"),
    )


def _same_number_p(shape: tuple[int, ...], same_number: int, rng: np.random.Generator) -> float:
    """Return how often random matchings of a × b layers have so many equal numbers, or more."""
    most, matched = max(shape), min(shape)
    orders = rng.permuted(np.tile(np.arange(most), (_RANDOM_MATCHINGS, 1)), axis=1)[:, :matched]
    hits = (orders == np.arange(matched)).sum(1)
    return float(((hits >= same_number).sum() + 1) / (len(hits) + 1))
