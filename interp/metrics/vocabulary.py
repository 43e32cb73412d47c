"""Metrics of paired points in vocabulary space, where a point is a row of logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.metrics.metric import METRICS, Metric
from interp.registry import ConfigError, check_choice
from interp.similarity import vocabulary
from interp.similarity.pairings import mean_over_pairs
from interp.similarity.points import Array, Orders
from interp.similarity.vocabulary import Distributions


class VocabularyMetric(Metric):
    """A metric between paired logits [n, vocabulary]."""

    paired: ClassVar[bool] = True
    same_width: ClassVar[bool] = True
    in_vocabulary: ClassVar[bool] = True
    min_samples: ClassVar[int] = 1


@METRICS.register("kl_divergence")
@dataclass(frozen=True)
class KLDivergence(VocabularyMetric):
    """Mean Kullback-Leibler divergence between paired distributions over the vocabulary, in nats.

    Attributes:
        direction: "forward" is KL(first ‖ second), "reverse" KL(second ‖ first).
    """

    symmetric: ClassVar[bool] = False
    larger_is_closer: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0, np.inf)
    invariances: ClassVar[frozenset[str]] = frozenset()
    direction: str = "forward"

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, ("forward", "reverse"))

    @property
    def label(self) -> str:
        """Which way."""
        way = "first ‖ second" if self.direction == "forward" else "second ‖ first"
        return f"KL({way}) in nats"

    def prepared(self, points: Array) -> Distributions:
        """Return the distributions of the logits."""
        return Distributions.of(points)

    def rearranged(self, xs: Sequence[Distributions], y: Distributions, draws: Orders) -> Array:
        """Return the mean divergence for each order of y's rows."""
        tables = (
            vocabulary.kl_table(x, y)
            if self.direction == "forward"
            else vocabulary.kl_table(y, x).T
            for x in xs
        )
        return np.array([mean_over_pairs(table, draws) for table in tables])


@METRICS.register("jensen_shannon")
@dataclass(frozen=True)
class JensenShannon(VocabularyMetric):
    """Mean Jensen-Shannon divergence between paired distributions over the vocabulary, in nats."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "Jensen-Shannon divergence in nats"
    bounds: ClassVar[tuple[float, float]] = (0, float(np.log(2)))
    invariances: ClassVar[frozenset[str]] = frozenset()

    def prepared(self, points: Array) -> Distributions:
        """Return the distributions of the logits."""
        return Distributions.of(points)

    def rearranged(self, xs: Sequence[Distributions], y: Distributions, draws: Orders) -> Array:
        """Return the mean divergence for each order of y's rows."""
        return np.array([mean_over_pairs(vocabulary.jensen_shannon_table(x, y), draws) for x in xs])


@METRICS.register("total_variation")
@dataclass(frozen=True)
class TotalVariation(VocabularyMetric):
    """Mean total variation distance between paired distributions over the vocabulary."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "total variation distance"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset()

    def prepared(self, points: Array) -> Distributions:
        """Return the distributions of the logits."""
        return Distributions.of(points)

    def rearranged(self, xs: Sequence[Distributions], y: Distributions, draws: Orders) -> Array:
        """Return the mean distance for each order of y's rows."""
        return np.array(
            [mean_over_pairs(vocabulary.total_variation_table(x, y), draws) for x in xs]
        )


@METRICS.register("top_k_overlap")
@dataclass(frozen=True)
class TopKOverlap(VocabularyMetric):
    """Mean share of the k most probable words that paired distributions have in common."""

    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})
    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be at least 1, not {self.k}")

    @property
    def label(self) -> str:
        """Of how many words."""
        return f"overlap of the top {self.k} words"

    def prepared(self, points: Array) -> Array:
        """Return the ids of each point's top words.

        Raises:
            ValueError: the vocabulary has no more than k words.
        """
        if points.shape[1] <= self.k:
            raise ValueError(f"all of {points.shape[1]} words are among the top {self.k}")
        return vocabulary.top_words(points, self.k)

    def rearranged(self, xs: Sequence[Array], y: Array, draws: Orders) -> Array:
        """Return the mean overlap for each order of y's rows."""
        return np.array([mean_over_pairs(vocabulary.overlap_table(x, y), draws) for x in xs])


@METRICS.register("pearson")
@dataclass(frozen=True)
class Pearson(VocabularyMetric):
    """Mean Pearson correlation between paired logits, over the words of the vocabulary."""

    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "Pearson correlation over the vocabulary"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})

    def prepared(self, points: Array) -> Array:
        """Return the logits."""
        return points

    def rearranged(self, xs: Sequence[Array], y: Array, draws: Orders) -> Array:
        """Return the mean correlation for each order of y's rows."""
        return np.array([mean_over_pairs(vocabulary.pearson_table(x, y), draws) for x in xs])
