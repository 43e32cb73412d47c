"""Which frequency each neuron follows over the pairs, and how closely."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.results.result import Result

from .fourier import frequencies
from .observed import Observed
from .waves import neuron_frequencies, shuffled_fractions, two_dimensional

Array = NDArray[np.float64]

# From this share on a neuron counts as one of a frequency (Nanda et al., 2023).
FOLLOWS = 0.85
_DRAWS = 10
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Neurons:
    """What each neuron is made of.

    Attributes:
        coefficients: in the products of the Fourier basis over a and b, [n, n, m].
        frequency: the one that explains most of each neuron's variance, [m].
        explained: what share it does, [m].
        null: the best share where the numbers are shuffled, [draw, m].
    """

    coefficients: NDArray[np.floating]
    frequency: NDArray[np.intp]
    explained: Array
    null: Array

    @property
    def following(self) -> float:
        """The fraction of neurons that one frequency explains to 85% or more."""
        return float((self.explained >= FOLLOWS).mean())

    @property
    def following_by_chance(self) -> float:
        """The same where the numbers are shuffled."""
        return float((self.null >= FOLLOWS).mean())


def neurons_of(seen: Observed, rng: np.random.Generator) -> Neurons:
    """Take the neurons apart."""
    maps = seen.grouped.mlp_post
    coefficients = two_dimensional(maps)
    frequency, explained = neuron_frequencies(coefficients)
    return Neurons(coefficients, frequency, explained, shuffled_fractions(maps, _DRAWS, rng))


def axis_of(number: str, place: str) -> str:
    """Return what an axis of numbers is called: "a", or "a, as exponent of 3"."""
    return number if place == "number" else f"{number}, as {place}"


def neurons_report(
    seen: Observed,
    found: Neurons,
    keys: tuple[int, ...],
    rng: np.random.Generator,
    *,
    told: str,
    place: str,
) -> Result:
    """Return the maps of some neurons, their components, and which frequency each one follows."""
    import pandas as pd

    from interp import plotting

    from . import fourier_figures

    maps = seen.grouped.mlp_post
    strength = maps.std((0, 1), dtype=np.float64)
    chosen = _examples(found, strength, keys)
    logits = seen.grouped.logits - seen.grouped.logits.mean(2, keepdims=True)
    powers = [_mean_power(found.coefficients), _mean_power(two_dimensional(logits))]
    held = _at_keys(powers, keys)
    order = rng.permutation(len(seen.order))
    shuffled = [two_dimensional(x[np.ix_(order, order)]) for x in (maps, logits)]
    chance = _at_keys([_mean_power(x) for x in shuffled], keys)
    return Result(
        tables={
            "neurons": pd.DataFrame(
                {
                    "neuron": np.arange(len(strength)),
                    "frequency": found.frequency,
                    "explained": found.explained,
                    "by_chance": found.null.mean(0),
                    "standard_deviation": strength,
                }
            )
        },
        figures={
            "neurons": plotting.number_maps(
                np.moveaxis(maps[..., chosen].astype(np.float64), -1, 0),
                [
                    f"neuron {i}: frequency {found.frequency[i]}, {found.explained[i]:.0%}"
                    for i in chosen
                ],
                title="Neurons over both numbers, with their frequency and the variance that it "
                "explains",
                subtitle=f"{told} · at “=”, the strongest" + " of each key frequency" * bool(keys),
                label="activation",
                xlabel=axis_of("b", place),
                ylabel=axis_of("a", place),
            ),
            "neuron_components": plotting.product_spectrum(
                np.sqrt(powers),
                ["neurons, root mean square", "logits, root mean square"],
                title=f"Components at the key frequencies hold {held[0]:.0%} of the neurons' "
                f"variance and {held[1]:.0%} of the logits'"
                if keys
                else "Two-dimensional Fourier components of neurons and logits",
                subtitle=f"{told} · where numbers are shuffled {chance[0]:.1%} and {chance[1]:.1%}"
                if keys
                else told,
                label="component",
            ),
            "neuron_frequencies": fourier_figures.neuron_fractions(
                found.frequency,
                found.explained,
                found.null,
                FOLLOWS,
                keys,
                n_frequencies=len(seen.order) // 2,
                title=f"{found.following:.0%} of neurons follow one frequency to {FOLLOWS:.0%} of "
                "their variance or more",
                subtitle=f"{told} · where numbers are shuffled {found.following_by_chance:.0%} do",
                xlabel="fraction of a neuron's variance",
                null_label=f"numbers shuffled, {len(found.null)} draws",
            ),
        },
    )


def _mean_power(coefficients: NDArray[np.floating]) -> Array:
    return np.asarray((coefficients.astype(np.float64) ** 2).mean(2))


def _at_keys(powers: list[Array], keys: tuple[int, ...]) -> list[float]:
    """Return the share of power, the constant's left out, that lies at one key frequency."""
    of_row = frequencies(len(powers[0]))
    here = np.zeros(powers[0].shape, bool)
    for key in keys:
        rows = np.flatnonzero((of_row == 0) | (of_row == key))
        here[np.ix_(rows, rows)] = True
    here[0, 0] = False
    # Where nothing varies nothing is held.
    return [float(power[here].sum() / ((power.sum() - power[0, 0]) or 1.0)) for power in powers]


def _examples(found: Neurons, strength: Array, keys: tuple[int, ...]) -> list[int]:
    """Return the strongest neurons of each key frequency by turns, then the strongest of all."""
    strongest = [int(i) for i in np.argsort(-strength, kind="stable")]
    of_key = [[i for i in strongest if found.frequency[i] == key] for key in keys]
    by_turns = [own[turn] for turn in range(_SHOWN) for own in of_key if turn < len(own)]
    return list(dict.fromkeys([*by_turns, *strongest]))[:_SHOWN]
