"""By what angle each step from layer to layer turns a token's vector, and how its norm grows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.metrics.functional.points import Array
from interp.stats.observations import ObservationGroups

from .angles import angles, mean_angle

# How many float64 numbers are held at a time; computing with them takes several times that memory.
_CHUNK_SIZE = 2**22


@dataclass(frozen=True, eq=False)
class StepChanges:
    """Angles in degrees and growth of norms, one row per prompt or per observation.

    A step leads from one recorded layer to the next.

    Attributes:
        angle_target: the angle by which each step turns the target's vector, [row, step].
        angle_before: the same for the token before the target, [row, step].
        angle_shuffled: the mean angle between any two of the sentence's vectors, of any layers and
            positions: the angle of a step if it led to an arbitrary one of them, [row].
        norm_growth_target: the target's norm after each step over its norm before it, [row, step].
        norm_growth_before: the same for the token before the target, [row, step].
    """

    angle_target: Array
    angle_before: Array
    angle_shuffled: Array
    norm_growth_target: Array
    norm_growth_before: Array

    def __len__(self) -> int:
        return len(self.angle_shuffled)

    def averaged(self, observation: NDArray[np.intp]) -> "StepChanges":
        """Return the means over the rows of each observation; of norm growth the geometric means.

        Args:
            observation: the number of each row's observation, 0, 1, …, [row].
        """
        counts = np.bincount(observation)

        def mean(values: Array) -> Array:
            total = np.zeros((len(counts), *values.shape[1:]))
            np.add.at(total, observation, values)
            return np.asarray((total.T / counts).T)

        return StepChanges(
            mean(self.angle_target),
            mean(self.angle_before),
            mean(self.angle_shuffled),
            np.exp(mean(np.log(self.norm_growth_target))),
            np.exp(mean(np.log(self.norm_growth_before))),
        )

    def mean(self) -> "MeanChanges":
        """Return the means over rows; of norm growth the geometric means."""
        return MeanChanges(
            self.angle_target.mean(0),
            self.angle_before.mean(0),
            float(self.angle_shuffled.mean()),
            np.exp(np.log(self.norm_growth_target).mean(0)),
            np.exp(np.log(self.norm_growth_before).mean(0)),
        )


@dataclass(frozen=True, eq=False)
class MeanChanges:
    """Means of `StepChanges` over its rows; arrays are [step], `angle_shuffled` is one angle."""

    angle_target: Array
    angle_before: Array
    angle_shuffled: float
    norm_growth_target: Array
    norm_growth_before: Array


@dataclass(frozen=True, eq=False)
class MeasuredPrompts:
    """The prompts that are measured: all but observations with a zero vector.

    Attributes:
        prompts: their indices, ascending, [measured].
        observation_of_prompt: the number of the observation of every prompt, [prompt].
        observation: the same of the measured prompts, numbered 0, 1, … without gaps, [measured].
        n: how many observations are measured.
        n_left_out: how many observations are left out.
    """

    prompts: NDArray[np.intp]
    observation_of_prompt: NDArray[np.intp]
    observation: NDArray[np.intp]
    n: int
    n_left_out: int

    @classmethod
    def of(cls, shared: ObservationGroups, norms: Array) -> "MeasuredPrompts":
        """Leave out the observations of prompts with a vector at the origin.

        Args:
            shared: the observation of each prompt.
            norms: as `vector_norms` returns them, [layer, prompt, 2].
        """
        is_zero = (norms == 0).any(axis=(0, 2))
        left_out = np.isin(shared.number, shared.number[is_zero])
        prompts = np.flatnonzero(~left_out)
        numbers, observation = np.unique(shared.number[prompts], return_inverse=True)
        n_all = int(shared.number.max()) + 1
        return cls(prompts, shared.number, observation, len(numbers), n_all - len(numbers))


def vector_norms(activations: Activations) -> Array:
    """Return the norms of the token before each target and of the target, [layer, prompt, 2].

    Args:
        activations: the two vectors of each prompt, one after the other.
    """
    everything = np.arange(len(activations.samples))
    of_layers = [
        np.linalg.norm(activations.points(i, everything), axis=1)
        for i in range(len(activations.layers))
    ]
    return np.reshape(of_layers, (len(of_layers), -1, 2))


def measure_changes(
    activations: Activations, norms: Array, prompts: NDArray[np.intp]
) -> StepChanges:
    """Measure the given prompts, one row each; all layers and many prompts at a time.

    Args:
        activations: the token before the target and the target of each prompt, in this order.
        norms: as `vector_norms` returns them; those of the given prompts are above 0.
        prompts: the indices of the prompts to measure.
    """
    layers = len(activations.layers)
    values = np.asarray(activations.values)
    values = values.reshape(layers, -1, 2, values[0, 0].size)
    chunk_length = max(1, _CHUNK_SIZE // (2 * layers * values.shape[-1]))
    of_steps = np.empty((len(prompts), layers - 1, 2))
    shuffled = np.empty(len(prompts))
    for start in range(0, len(prompts), chunk_length):
        chunk = slice(start, start + chunk_length)
        # [prompt, layer, position, d].
        vectors = values[:, prompts[chunk]].astype(np.float64).swapaxes(0, 1)
        of_steps[chunk] = angles(vectors[:, :-1], vectors[:, 1:])
        shuffled[chunk] = mean_angle(vectors.reshape(len(vectors), 2 * layers, -1))
    measured = norms[:, prompts]
    growth = (measured[1:] / measured[:-1]).swapaxes(0, 1)
    return StepChanges(of_steps[..., 1], of_steps[..., 0], shuffled, growth[..., 1], growth[..., 0])
