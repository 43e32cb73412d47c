import numpy as np
import pytest

from interp.results.captions import Caption, values_with_p
from interp.stats.permutation_tests import PermutationTest

LAYERS = ("layer 0", "layer 1", "layer 2", "layer 3", "layer 4")
STEPS = ("embed", "mid 0", "post 0", "mid 1", "post 1")


def caption(names: tuple[str, ...]) -> Caption:
    return Caption(tuple(range(5)), names, "m", "hook", "target", ("a", "b"), "2 prompts", "")


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
def test_a_mask_is_named_by_layers_or_steps(which, layers, steps):
    mask = np.isin(np.arange(5), which)
    assert caption(LAYERS).name_layers(mask) == layers
    assert caption(STEPS).name_layers(mask) == steps


def test_the_phrases_of_a_caption():
    plain = caption(LAYERS)
    assert plain.group_phrase == "a and b"
    assert plain.subtitle("99 permutations") == "m · hook · target · 2 prompts · 99 permutations"
    assert (plain.unit, plain.xlabel, plain.ticks) == ("layer", "layer (hook)", ())
    assert (caption(STEPS).unit, caption(STEPS).ticks) == ("step", STEPS)


def test_values_stand_with_their_corrected_p():
    half = np.full(2, 0.5)
    test = PermutationTest(half, half, half, half, half, np.array([0.0125, 1.0]))
    assert values_with_p(np.array([0.123456, 2.0]), test) == ["0.123 (p 0.013)", "2 (p 1)"]
