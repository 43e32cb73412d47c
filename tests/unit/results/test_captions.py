import numpy as np
import pytest

from interp.results.captions import Reading

LAYERS = ("layer 0", "layer 1", "layer 2", "layer 3", "layer 4")
STEPS = ("embed", "mid 0", "post 0", "mid 1", "post 1")


def reading(names: tuple[str, ...]) -> Reading:
    return Reading(tuple(range(5)), names, "model", "hook", "mean", ("a", "b"), "9 prompts", "")


@pytest.mark.parametrize(
    ("which", "layers", "steps"),
    [
        ([], "no layer", "no step"),
        ([1], "layer 1", "mid 0"),
        ([1, 4], "layers 1, 4", "mid 0, post 1"),
        ([0, 1, 2, 4], "4 of 5 layers", "4 of 5 steps"),
        ([0, 1, 2, 3, 4], "all 5 layers", "all 5 steps"),
    ],
)
def test_layers_are_told_by_number_and_steps_by_name(which, layers, steps):
    mask = np.isin(np.arange(5), which)
    assert reading(LAYERS).where(mask) == layers
    assert reading(STEPS).where(mask) == steps
