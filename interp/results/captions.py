"""Phrases that name a run's layers, groups and units; figures and findings share them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.metrics.functional.points import Array
from interp.stats.calibration import describe_layers
from interp.stats.permutation_tests import PermutationTest


@dataclass(frozen=True)
class Caption:
    """The layers of a model that were read, and the words that figures and findings use for them.

    Attributes:
        layers: their numbers.
        names: their names: "layer 3", or the name of a step.
        model: the model's title.
        hook: the site.
        position: the tokens that were read.
        groups: the names of the groups.
        units: the number and kind of the points: "16 prompts".
        notice: a remark on the site in this model; mostly "".
    """

    layers: tuple[int, ...]
    names: tuple[str, ...]
    model: str
    hook: str
    position: str
    groups: tuple[str, ...]
    units: str
    notice: str

    @property
    def steps_have_names(self) -> bool:
        """Whether the layers have names other than their numbers."""
        return self.names != tuple(f"layer {layer}" for layer in self.layers)

    @property
    def unit(self) -> str:
        """The word for one layer: "layer", or "step" where steps have names."""
        return "step" if self.steps_have_names else "layer"

    @property
    def ticks(self) -> tuple[str, ...]:
        """The tick labels of an axis of layers; empty where the numbers are the labels."""
        return self.names if self.steps_have_names else ()

    @property
    def xlabel(self) -> str:
        """The title of an axis of layers."""
        return f"{self.unit} ({self.hook})"

    def name_layers(self, which: NDArray[np.bool_]) -> str:
        """Return the layers of a mask in words: "layers 3, 4", "4 of 7 layers", "no step"."""
        if self.steps_have_names and 0 < which.sum() <= 3:
            return ", ".join(name for name, yes in zip(self.names, which, strict=True) if yes)
        return describe_layers(self.layers, which).replace("layer", self.unit)

    @property
    def group_phrase(self) -> str:
        """The groups in one phrase: "digits and words"."""
        *others, last = self.groups
        return f"{', '.join(others)} and {last}" if others else last

    def subtitle(self, *more: str) -> str:
        """Return the line below a figure's title."""
        parts = (self.model, self.hook, self.position, self.units, *more, self.notice)
        return " · ".join(part for part in parts if part)


def values_with_p(values: Array, test: PermutationTest) -> list[str]:
    """Return each value with its corrected p, as a summary table shows them."""
    pairs = zip(values, test.p_corrected, strict=True)
    return [f"{value:.3g} (p {p:.2g})" for value, p in pairs]
