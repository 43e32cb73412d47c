"""The spectrum of some words' embeddings and its dimension, compared with random tokens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.metrics.functional.spectra import (
    effective_rank,
    participation_ratio,
    singular_values,
    stable_rank,
)
from interp.models.words import RandomTokens, Words
from interp.stats.permutation_tests import PermutationTest, permutation_test

# How many dimensions a spectrum spans, by three definitions.
DIMENSIONS = {
    "effective_rank": effective_rank,
    "participation_ratio": participation_ratio,
    "stable_rank": stable_rank,
}


@dataclass(frozen=True, eq=False)
class RandomSpectra:
    """The spectra of random sets of tokens.

    Attributes:
        values: singular values, [set, k].
        axes: the chosen right singular vector of each set, [set, d].
        correlations: of every pair of a set's embeddings, [set, pair].
    """

    values: Array
    axes: Array
    correlations: Array


@dataclass(frozen=True, eq=False)
class WordSpectrum:
    """The embeddings of some words around their mean, compared with random sets of tokens.

    Attributes:
        points: the words' embeddings, [word, d].
        values: singular values around the mean, [k].
        axes: right singular vectors, [vector, d].
        random: the spectra of the random sets.
        dimensions: each of `DIMENSIONS`, [3].
        fewer: tests that the words span fewer dimensions, [3].
        more: tests that they span more, [3].
        correlations: |r| of every two embeddings, [word, word].
        mean_correlation: its mean over pairs of words.
        more_correlated: tests that it is larger, [1].
    """

    points: Array
    values: Array
    axes: Array
    random: RandomSpectra
    dimensions: Array
    fewer: PermutationTest
    more: PermutationTest
    correlations: Array
    mean_correlation: float
    more_correlated: PermutationTest


def word_spectrum(
    words: Words, matrix: NDArray[np.float32], random_tokens: RandomTokens, component: int
) -> WordSpectrum:
    """Compare the spectrum and the correlations of words with those of random tokens.

    Args:
        words: the words.
        matrix: the embedding, [id, d].
        random_tokens: random sets of tokens in their places.
        component: the singular vector that is kept of each random set, from 1.
    """
    points = words.points(matrix, words.ids)
    _, values, axes = np.linalg.svd(centred_points(points), full_matrices=False)
    values = values[: len(points) - 1]
    random = _random_spectra(words, matrix, random_tokens, component)
    dimensions = np.array([measure(values) for measure in DIMENSIONS.values()])
    null = np.array([measure(random.values) for measure in DIMENSIONS.values()])
    correlations = np.abs(np.corrcoef(points))
    mean_correlation = correlations[np.triu_indices(len(points), 1)].mean()
    return WordSpectrum(
        points=points,
        values=values,
        axes=axes,
        random=random,
        dimensions=dimensions,
        fewer=permutation_test(dimensions, null, "less"),
        more=permutation_test(dimensions, null, "greater"),
        correlations=correlations,
        mean_correlation=float(mean_correlation),
        more_correlated=permutation_test(
            mean_correlation[None], np.abs(random.correlations).mean(1)[None], "greater"
        ),
    )


def centred_points(points: Array) -> Array:
    """Return points [n, d] around their mean, which may coincide."""
    return np.asarray(points - points.mean(0))


def cumulative_variance(values: Array) -> Array:
    """Return the share of variance of the first 1, 2, … components, [..., k].

    >>> cumulative_variance(np.array([2.0, 1.0]))
    array([0.8, 1. ])

    Args:
        values: singular values, [..., k].
    """
    variances = np.cumsum(values**2, axis=-1)
    return np.asarray(variances / variances[..., -1:])


def _random_spectra(
    words: Words, matrix: NDArray[np.float32], random_tokens: RandomTokens, component: int
) -> RandomSpectra:
    """Return the singular values, one singular vector and the correlations of each random set."""
    values, axes, correlations = [], [], []
    upper = np.triu_indices(len(words.texts), 1)
    for chunk in random_tokens.chunks(matrix.shape[1]):
        points = words.points(matrix, random_tokens.ids[chunk])
        values.append(singular_values(points))
        centred = points - points.mean(1, keepdims=True)
        # The left singular vector, from the smaller Gram matrix, gives the right one.
        left = np.linalg.eigh(centred @ np.swapaxes(centred, 1, 2))[1][:, :, -component]
        axis = np.einsum("bn,bnd->bd", left, centred)
        axes.append(axis / np.linalg.norm(axis, axis=1, keepdims=True))
        scaled = points - points.mean(2, keepdims=True)
        scaled /= np.linalg.norm(scaled, axis=2, keepdims=True)
        correlations.append((scaled @ np.swapaxes(scaled, 1, 2))[:, upper[0], upper[1]])
    return RandomSpectra(*(np.concatenate(parts) for parts in (values, axes, correlations)))
