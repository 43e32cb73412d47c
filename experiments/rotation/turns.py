"""How far each step from layer to layer turns a token's vector, and how much longer it makes it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.data.activations import Activations
from interp.metrics.functional.points import Array

from .angles import angles, mean_angle

# Numbers held at once as float64; what is computed of them takes a few times as much memory.
_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class Turns:
    """Angles in degrees and growths of norms, of sentences or of means over them.

    A step leads from one layer that is read to the next.

    Attributes:
        target: the angle by which each step turns the target's vector, [sentence, step].
        before: that of the token before it, [sentence, step].
        shuffled: the mean angle between any two of the sentence's vectors, of whatever layers and
            positions; what a step would turn by if it led anywhere, [sentence].
        growth_target: the target's norm after each step over that before, [sentence, step].
        growth_before: that of the token before it, [sentence, step].
    """

    target: Array
    before: Array
    shuffled: Array
    growth_target: Array
    growth_before: Array

    def __len__(self) -> int:
        return len(self.shuffled)

    def averaged(self, observation: NDArray[np.intp]) -> "Turns":
        """Return the means over the sentences of each observation: of norms the geometric one.

        Args:
            observation: the number of each sentence's observation, 0, 1, …, [sentence].
        """
        counts = np.bincount(observation)

        def mean(values: Array) -> Array:
            total = np.zeros((len(counts), *values.shape[1:]))
            np.add.at(total, observation, values)
            return np.asarray((total.T / counts).T)

        return Turns(
            mean(self.target),
            mean(self.before),
            mean(self.shuffled),
            np.exp(mean(np.log(self.growth_target))),
            np.exp(mean(np.log(self.growth_before))),
        )


def norms(activations: Activations) -> Array:
    """Return the norm of the token before each target and that of the target, [layer, prompt, 2].

    Args:
        activations: the two vectors of each prompt, one after the other.
    """
    everything = np.arange(len(activations.samples))
    of_layer = [
        np.linalg.norm(activations.points(i, everything), axis=1)
        for i in range(len(activations.layers))
    ]
    return np.reshape(of_layer, (len(of_layer), -1, 2))


def turns(activations: Activations, lengths: Array, prompts: NDArray[np.intp]) -> Turns:
    """Measure some prompts, all layers and many prompts at once.

    Args:
        activations: the token before the target and the target of each prompt, in this order.
        lengths: their norms, as `norms` gives them; none of those that are measured is 0.
        prompts: the numbers of those to measure.
    """
    layers = len(activations.layers)
    values = np.asarray(activations.values)
    values = values.reshape(layers, -1, 2, values[0, 0].size)
    at_once = max(1, _AT_ONCE // (2 * layers * values.shape[-1]))
    of_steps = np.empty((len(prompts), layers - 1, 2))
    shuffled = np.empty(len(prompts))
    for start in range(0, len(prompts), at_once):
        chunk = slice(start, start + at_once)
        # [prompt, layer, position, d].
        vectors = values[:, prompts[chunk]].astype(np.float64).swapaxes(0, 1)
        of_steps[chunk] = angles(vectors[:, :-1], vectors[:, 1:])
        shuffled[chunk] = mean_angle(vectors.reshape(len(vectors), 2 * layers, -1))
    chosen = lengths[:, prompts]
    growth = (chosen[1:] / chosen[:-1]).swapaxes(0, 1)
    return Turns(of_steps[..., 1], of_steps[..., 0], shuffled, growth[..., 1], growth[..., 0])
