"""Two models' layers as vectors in the vocabulary that they share: each pair, and the matching."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.core.errors import ConfigError
from interp.experiments.weight_spectrum.matrices import refuse_factorised
from interp.metrics.functional.points import Array
from interp.models import ModelSource
from interp.models.vocabulary import Vocabulary
from interp.results.primary_series import Headline
from interp.results.result import Result, Series
from interp.stats import permutation_tests
from interp.stats.permutation_tests import PermutationTest

from .correlations import assignment, normalised, shared_product

# Fewer words in common tell nothing of a layer.
_FEWEST_WORDS = 20


@dataclass(frozen=True, eq=False)
class Side:
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


def refuse_alone(source: ModelSource, reference_source: ModelSource | None) -> None:
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


def aligned(
    first: Side,
    second: Side,
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
    import pandas as pd
    from tqdm import tqdm

    from interp import plotting

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
        wholes.append(
            permutation_tests.permutation_test(np.array([total]), totals[None], "greater")
        )
        flat = drawn.reshape(permutations, -1).T
        tests.append(permutation_tests.permutation_test(scores.ravel(), flat, "greater"))
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
        headlines=(Headline("matched_correlation", "correlation with the matched layer"),),
        scalars={
            "mean_matched_correlation": total / n,
            "assignment_p": float(p),
            "matched_with_own_number": same / n,
            "matched_with_own_number_p": by_chance,
        },
        tables={"summary": summary, "pairs": table},
        figures={
            "alignment": plotting.layer_matrix(
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
