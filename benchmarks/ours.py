"""The library's own way of reading, at the one place where the benchmarks call it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.cache import ActivationStore, requests
from interp.cache.request import Request
from interp.data.activations import Activations
from interp.data.positions import Position
from interp.data.prompts import PromptSet
from interp.forward.capture import capture
from interp.hooks import HookPoint
from interp.models import ModelSource


def activations(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position
) -> Activations:
    """Read from texts to labelled activations; tokenisation and planning are part of it."""
    return capture(source, prompts, hook, position)


def ours(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position
) -> NDArray[np.float32]:
    """Return what is read, as float32 [layer, sample, *unit]."""
    return np.asarray(activations(source, prompts, hook, position).values)


def ours_stored(
    source: ModelSource, prompts: PromptSet, hook: HookPoint, position: Position, folder: Path
) -> None:
    """Read, and keep what was read in the activation store of a folder."""
    requests.activations(
        Request(source, prompts, hook, position), ActivationStore.of(str(folder), 50)
    )
