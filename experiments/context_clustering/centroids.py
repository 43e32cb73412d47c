"""How far objects lie from subjects, for many weightings of the same words at once.

A weighting gives each of n words a weight in one of two classes: whole numbers where words are
resampled, ones where classes are shuffled. No word is ever compared with itself or fitted on
itself, so that a word that is drawn twice does not pass for two that are close.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interp.metrics.functional.points import Array


@dataclass(frozen=True, eq=False)
class Weightings:
    """Two classes of the same words, many times; of each class at least two different words.

    Attributes:
        subjects: the weight of each word among the subjects, [b, n].
        objects: that among the objects, 0 where the other is not, [b, n].
    """

    subjects: Array
    objects: Array

    @cached_property
    def sizes(self) -> tuple[Array, Array]:
        """The weight of all subjects and that of all objects, [b, 1] each."""
        return self.subjects.sum(1, keepdims=True), self.objects.sum(1, keepdims=True)

    @cached_property
    def others(self) -> tuple[Array, Array]:
        """The weight of all subjects, and that of all objects, but the word, [b, n] each."""
        of_subjects, of_objects = self.sizes
        return of_subjects - self.subjects, of_objects - self.objects


def relative_distance(squares: Array, words: Weightings) -> tuple[Array, Array]:
    """Return the objects' mean distance from the subjects' centroid, in their spreads; and these.

    The spread is the root of the subjects' variance, the squared distances from their centroid
    summed and divided by n - 1: an object that is drawn as the subjects are lies at about 1. Both
    are [b].

    Args:
        squares: squared Euclidean distance of every word from every other, [n, n].
        words: the classes.

    Raises:
        ValueError: subjects that coincide.
    """
    size = words.sizes[0]
    to_subjects = words.subjects @ squares / size
    # Twice the mean square from the centroid, be a word drawn twice or not.
    between = np.einsum("bn,bn->b", to_subjects, words.subjects)[:, None] / size
    pairs = 1 - (words.subjects**2).sum(1) / size[:, 0] ** 2
    variance = between[:, 0] / 2 / pairs
    if (variance <= 0).any():
        raise ValueError("the subjects coincide, so that nothing can be measured in their spread")
    from_centroid = np.sqrt(np.maximum(to_subjects - between / 2, 0))
    distance = np.einsum("bn,bn->b", from_centroid, words.objects) / words.sizes[1][:, 0]
    spread = np.sqrt(variance)
    return np.asarray(distance / spread), np.asarray(spread)


def silhouette(distances: Array, words: Weightings) -> Array:
    """Return the mean silhouette coefficient of the two classes, [b] (Rousseeuw, 1987).

    That of `separation.silhouette`, which takes no weights, where every weight is 0 or 1.

    Args:
        distances: of every word from every other, [n, n].
        words: the classes.
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
    """The direction from the objects' centroid to the subjects', for each word without that word.

    Attributes:
        words: the classes.
        foot: inner product of the objects' centroid and the direction, [b, n].
        length: squared length of the direction, [b, n].
    """

    words: Weightings
    foot: Array
    length: Array

    @classmethod
    def fitted(cls, products: Array, words: Weightings) -> "Direction":
        """Fit the direction.

        Args:
            products: inner product of every word with every other where it is fitted, [n, n].
            words: the classes.
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
        # What is left of centroids that coincide is rounding.
        return cls(words, ao - oo, np.where(length > 1e-12 * (aa + oo), length, 0))

    @cached_property
    def _factors(self) -> tuple[Array, Array, Array, Array]:
        """What turns products into projections: for subjects, objects, the word, and for none."""
        has_length = self.length > 0
        scale = np.where(has_length, 1 / np.where(has_length, self.length, 1), 0)
        a, o = (scale / rest for rest in self.words.others)
        return a, o, self.words.subjects * a - self.words.objects * o, self.foot * scale

    def projections(self, products: Array) -> Array:
        """Return each word's projection, [b, n]: 0 at the objects' centroid, 1 at the subjects'.

        Both centroids and the direction are those of all other words where it was fitted; 0 where
        these centroids coincide.

        Args:
            products: inner product of every word here with every word there, [n, n].
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
