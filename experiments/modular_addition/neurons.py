"""Which frequency each neuron follows over the pairs, and how much of it that explains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fourier import frequencies
from .predictions import Predictions
from .waves import neuron_frequencies, permuted_fractions, two_dimensional

Array = NDArray[np.float64]

# The fraction from which on a neuron counts as following one frequency (Nanda et al., 2023).
FOLLOWS = 0.85
_N_PERMUTATIONS = 10


@dataclass(frozen=True, eq=False)
class Neurons:
    """The neurons' activations over the pairs, by frequency.

    Attributes:
        coefficients: of products of the Fourier basis over a and over b, [n, n, m].
        frequency: the frequency that explains most of each neuron's variance, [m].
        explained: the fraction it explains, [m].
        null: the fraction of the best frequency where the numbers are permuted, [permutation, m].
        standard_deviation: of each neuron over the pairs, [m].
    """

    coefficients: NDArray[np.floating]
    frequency: NDArray[np.intp]
    explained: Array
    null: Array
    standard_deviation: Array

    @property
    def following(self) -> float:
        """The fraction of neurons that one frequency explains to `FOLLOWS` or more."""
        return float((self.explained >= FOLLOWS).mean())

    @property
    def following_by_chance(self) -> float:
        """The same where the numbers are permuted."""
        return float((self.null >= FOLLOWS).mean())

    def strongest(self, keys: tuple[int, ...], count: int) -> list[int]:
        """Return the strongest neurons of the key frequencies in turn, then those of any."""
        order = [int(i) for i in np.argsort(-self.standard_deviation, kind="stable")]
        of_key = [[i for i in order if self.frequency[i] == key] for key in keys]
        in_turn = [own[turn] for turn in range(count) for own in of_key if turn < len(own)]
        return list(dict.fromkeys([*in_turn, *order]))[:count]


def neurons(predictions: Predictions, rng: np.random.Generator) -> Neurons:
    """Decompose the neurons' activations into frequencies."""
    maps = predictions.grouped.mlp_post
    coefficients = two_dimensional(maps)
    frequency, explained = neuron_frequencies(coefficients)
    null = permuted_fractions(maps, _N_PERMUTATIONS, rng)
    spread = np.asarray(maps.std((0, 1), dtype=np.float64))
    return Neurons(coefficients, frequency, explained, null, spread)


@dataclass(frozen=True, eq=False)
class Components:
    """Two-dimensional Fourier components of the neurons and of the logits.

    Attributes:
        sizes: root mean square over neurons, and over logits, [2, n, n].
        share_at_keys: the share of variance at the key frequencies, of neurons and of logits.
        share_by_chance: the same where the numbers are permuted.
    """

    sizes: Array
    share_at_keys: tuple[float, float]
    share_by_chance: tuple[float, float]


def components(
    predictions: Predictions, found: Neurons, keys: tuple[int, ...], rng: np.random.Generator
) -> Components:
    """Compare the share of variance at the key frequencies with that in a permuted order."""
    logits = predictions.grouped.logits
    centred = logits - logits.mean(2, keepdims=True)
    order = rng.permutation(len(predictions.order))
    permuted = np.ix_(order, order)
    of_neurons = _mean_power(found.coefficients)
    of_logits = _mean_power(two_dimensional(centred))
    by_chance = [
        _mean_power(two_dimensional(maps[permuted]))
        for maps in (predictions.grouped.mlp_post, centred)
    ]
    return Components(
        np.sqrt([of_neurons, of_logits]),
        (_share_at(of_neurons, keys), _share_at(of_logits, keys)),
        (_share_at(by_chance[0], keys), _share_at(by_chance[1], keys)),
    )


def _mean_power(coefficients: NDArray[np.floating]) -> Array:
    return np.asarray((coefficients.astype(np.float64) ** 2).mean(2))


def _share_at(power: Array, keys: tuple[int, ...]) -> float:
    """Return the share of power without the constant that lies at one key frequency.

    0 where nothing varies.
    """
    of_row = frequencies(len(power))
    at_key = np.zeros(power.shape, bool)
    for key in keys:
        rows = np.flatnonzero((of_row == 0) | (of_row == key))
        at_key[np.ix_(rows, rows)] = True
    at_key[0, 0] = False
    return float(power[at_key].sum() / ((power.sum() - power[0, 0]) or 1.0))
