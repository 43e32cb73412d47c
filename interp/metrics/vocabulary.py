"""Metrics of paired points in vocabulary space: a point is a row of logits."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.core.errors import ConfigError, check_choice
from interp.metrics.functional import vocabulary
from interp.metrics.functional.points import Array
from interp.metrics.functional.vocabulary import Distributions
from interp.metrics.metric import METRICS, TableMetric


class VocabularyMetric(TableMetric):
    """A mean over paired logits [n, vocabulary]."""

    in_vocabulary: ClassVar[bool] = True
    min_samples: ClassVar[int] = 1


@METRICS.register("kl_divergence")
@dataclass(frozen=True)
class KLDivergence(VocabularyMetric):
    """Mean Kullback-Leibler divergence (1951) of paired distributions over words, in nats.

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
        """The quantity, with its direction."""
        way = "first ‖ second" if self.direction == "forward" else "second ‖ first"
        return f"KL({way}) in nats"

    def prepared(self, points: Array) -> Distributions:
        """Return the softmax of logits [n, vocabulary]."""
        return Distributions.of(points)

    def table(self, x: Distributions, y: Distributions) -> Array:
        """Return the divergence of every pair of distributions, [n1, n2]."""
        if self.direction == "forward":
            return vocabulary.kl_table(x, y)
        return vocabulary.kl_table(y, x).T


@METRICS.register("jensen_shannon")
@dataclass(frozen=True)
class JensenShannon(VocabularyMetric):
    """Mean Jensen-Shannon divergence (Lin, 1991) of paired distributions over words, in nats."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "Jensen-Shannon divergence in nats"
    bounds: ClassVar[tuple[float, float]] = (0, float(np.log(2)))
    invariances: ClassVar[frozenset[str]] = frozenset()

    def prepared(self, points: Array) -> Distributions:
        """Return the softmax of logits [n, vocabulary]."""
        return Distributions.of(points)

    def table(self, x: Distributions, y: Distributions) -> Array:
        """Return the divergence of every pair of distributions, [n1, n2]."""
        return vocabulary.jensen_shannon_table(x, y)


@METRICS.register("total_variation")
@dataclass(frozen=True)
class TotalVariation(VocabularyMetric):
    """Mean total variation distance of paired distributions over words."""

    larger_is_closer: ClassVar[bool] = False
    label: ClassVar[str] = "total variation distance"
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset()

    def prepared(self, points: Array) -> Distributions:
        """Return the softmax of logits [n, vocabulary]."""
        return Distributions.of(points)

    def table(self, x: Distributions, y: Distributions) -> Array:
        """Return the distance of every pair of distributions, [n1, n2]."""
        return vocabulary.total_variation_table(x, y)


@METRICS.register("top_k_overlap")
@dataclass(frozen=True)
class TopKOverlap(VocabularyMetric):
    """Mean share of the k most probable words that paired distributions have in common.

    Attributes:
        k: how many words.
    """

    larger_is_closer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})
    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be at least 1, not {self.k}")

    @property
    def label(self) -> str:
        """The quantity, with the number of words."""
        return f"overlap of the top {self.k} words"

    def prepared(self, points: Array) -> Array:
        """Return the ids of the k words of largest logit, [n, k].

        Raises:
            ValueError: the vocabulary has no more than k words.
        """
        if points.shape[1] <= self.k:
            raise ValueError(f"all of {points.shape[1]} words are among the top {self.k}")
        return vocabulary.top_words(points, self.k)

    def table(self, x: Array, y: Array) -> Array:
        """Return the overlap of every pair of sets of words, [n1, n2]."""
        return vocabulary.overlap_table(x, y)


@METRICS.register("pearson")
@dataclass(frozen=True)
class Pearson(VocabularyMetric):
    """Mean Pearson correlation of paired logits over the words of the vocabulary."""

    larger_is_closer: ClassVar[bool] = True
    label: ClassVar[str] = "Pearson correlation over the vocabulary"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    invariances: ClassVar[frozenset[str]] = frozenset({"scale"})

    def prepared(self, points: Array) -> Array:
        """Return the logits [n, vocabulary] unchanged."""
        return points

    def table(self, x: Array, y: Array) -> Array:
        """Return the correlation of every pair of rows of logits, [n1, n2]."""
        return vocabulary.pearson_table(x, y)
