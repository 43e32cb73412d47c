"""The model that a run is compared with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.core.errors import ConfigError
from interp.data.activations import Activations

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Reference:
    """What a reference model reads at the same prompts, hook and position.

    Attributes:
        title: the model's name.
        layers: the layers that would be read.
        samples: the table of samples that would be read.
        space: the name of the space of the points; "" where only reading shows it.
        draws: the number of seeds of its weights; 1 where they are trained, and 0 where no
            reference is configured.
        capture: reads the activations of the i-th seed.
    """

    title: str
    layers: tuple[int, ...]
    samples: "pd.DataFrame"
    space: str
    draws: int
    capture: Callable[[int], Activations]

    def activations(self) -> Iterator[Activations]:
        """Read the activations of one seed after the other, each when it is asked for."""
        return (self.capture(i) for i in range(self.draws))

    def check_samples(self, samples: "pd.DataFrame") -> None:
        """Refuse a reference that does not give one sample for each of the model's.

        Raises:
            ConfigError: a prompt has another number of tokens.
        """
        if not self.samples["prompt"].equals(samples["prompt"]):
            raise ConfigError(
                f"reference: {self.title} gives other tokens than the model; pool them "
                "(position=mean) or take one (position=last)"
            )
