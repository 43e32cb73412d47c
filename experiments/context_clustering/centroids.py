"""How far objects lie from subjects, for many weightings of the same words at once.

A weighting gives each of n words a weight in one of two classes: whole numbers where words are
resampled, ones where classes are permuted. No word is compared with itself or projected on a
direction that was fitted with it, so a word that was sampled twice does not count as two close
words.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interp.metrics.functional.points import Array


@dataclass(frozen=True, eq=False)
class Weightings:
    """Many weightings of words in two classes, each with at least two different words per class.

    Attributes:
        subjects: the weight of each word among the subjects, [b, n].
        objects: the weight of each word among the objects, 0 where the other is above 0, [b, n].
    """

    subjects: Array
    objects: Array

    @cached_property
    def sizes(self) -> tuple[Array, Array]:
        """The total weight of the subjects and that of the objects, [b, 1] each."""
        return self.subjects.sum(1, keepdims=True), self.objects.sum(1, keepdims=True)

    @cached_property
    def others(self) -> tuple[Array, Array]:
        """The same totals without the weight of each word, [b, n] each."""
        of_subjects, of_objects = self.sizes
        return of_subjects - self.subjects, of_objects - self.objects


def relative_distance(squares: Array, words: Weightings) -> tuple[Array, Array]:
    """Return the objects' mean distance from the subjects' centroid, in spreads, and the spread.

    The spread is the root of the subjects' variance, the squared distances from their centroid
    summed and divided by n - 1: an object from the subjects' own distribution lies at about 1. Both
    are [b].

    Args:
        squares: squared Euclidean distance between all words, [n, n].
        words: the weightings.

    Raises:
        ValueError: the subjects coincide.
    """
    size = words.sizes[0]
    to_subjects = words.subjects @ squares / size
    # Twice the mean square from the centroid, whether or not a word was sampled twice.
    between = np.einsum("bn,bn->b", to_subjects, words.subjects)[:, None] / size
    pairs = 1 - (words.subjects**2).sum(1) / size[:, 0] ** 2
    variance = between[:, 0] / 2 / pairs
    if (variance <= 0).any():
        raise ValueError("the subjects coincide, so their spread cannot be a unit of distance")
    from_centroid = np.sqrt(np.maximum(to_subjects - between / 2, 0))
    distance = np.einsum("bn,bn->b", from_centroid, words.objects) / words.sizes[1][:, 0]
    spread = np.sqrt(variance)
    return np.asarray(distance / spread), np.asarray(spread)


def silhouette(distances: Array, words: Weightings) -> Array:
    """Return the mean silhouette coefficient of the two classes, [b] (Rousseeuw, 1987).

    Equal to `separation.silhouette`, which takes no weights, where every weight is 0 or 1.

    Args:
        distances: between all words, [n, n].
        words: the weightings.
    """
    is_subject = words.subjects > 0
    to_subjects, to_objects = words.subjects @ distances, words.objects @ distances
    of_subjects, of_objects = words.sizes
    within = np.where(is_subject, to_subjects, to_objects)
    within /= np.where(is_subject, *words.others)
    across = np.where(is_subject, to_objects / of_objects, to_subjects / of_subjects)
    larger = np.maximum(within, across)
    coefficient = np.divide(across - within, larger, out=np.zeros_like(larger), where=larger > 0)
    total = np.einsum("bn,bn->b", coefficient, words.subjects + words.objects)
    return np.asarray(total / (of_subjects + of_objects)[:, 0])


@dataclass(frozen=True, eq=False)
class Direction:
    """The direction from the objects' centroid to the subjects', fitted without each word in turn.

    Attributes:
        words: the weightings.
        origin: inner product of the objects' centroid and the direction, [b, n].
        squared_length: squared length of the direction, [b, n].
    """

    words: Weightings
    origin: Array
    squared_length: Array

    @classmethod
    def fitted(cls, products: Array, words: Weightings) -> "Direction":
        """Fit the direction.

        Args:
            products: inner products of all words in the condition that it is fitted on, [n, n].
            words: the weightings.
        """
        a, o = words.subjects, words.objects
        with_a, with_o = a @ products, o @ products
        square = np.diag(products)
        aa = (with_a * a).sum(1, keepdims=True) - 2 * a * with_a + a**2 * square
        oo = (with_o * o).sum(1, keepdims=True) - 2 * o * with_o + o**2 * square
        # No word has a weight in both classes.
        ao = (with_a * o).sum(1, keepdims=True) - a * with_o - o * with_a
        rest_a, rest_o = words.others
        aa, oo, ao = aa / rest_a**2, oo / rest_o**2, ao / (rest_a * rest_o)
        length = aa - 2 * ao + oo
        # A length this small is rounding: the centroids coincide.
        return cls(words, ao - oo, np.where(length > 1e-12 * (aa + oo), length, 0))

    @cached_property
    def _factors(self) -> tuple[Array, Array, Array, Array]:
        """Coefficients of a projection: of subjects, objects, the word itself; and the constant."""
        has_length = self.squared_length > 0
        scale = np.where(has_length, 1 / np.where(has_length, self.squared_length, 1), 0)
        a, o = (scale / rest for rest in self.words.others)
        return a, o, self.words.subjects * a - self.words.objects * o, self.origin * scale

    def projections(self, products: Array) -> Array:
        """Return each word's projection, [b, n]: 0 at the objects' centroid, 1 at the subjects'.

        Both centroids are those of all other words in the condition that the direction was fitted
        on; the projection is 0 where these centroids coincide.

        Args:
            products: inner product of every word, as it is projected, with every word as the
                direction was fitted on it, [n, n].
        """
        by_subjects, by_objects, by_itself, offset = self._factors
        along = self.words.subjects @ products.T
        along *= by_subjects
        of_objects = self.words.objects @ products.T
        of_objects *= by_objects
        along -= of_objects
        along -= by_itself * np.diag(products)
        along -= offset
        return np.asarray(along)

    def class_means(self, products: Array) -> tuple[Array, Array]:
        """Return the mean projection of the subjects and of the objects, [b] each."""
        along = self.projections(products)
        subjects, objects = (
            np.einsum("bn,bn->b", along, weights) / size[:, 0]
            for weights, size in zip(
                (self.words.subjects, self.words.objects), self.words.sizes, strict=True
            )
        )
        return subjects, objects
