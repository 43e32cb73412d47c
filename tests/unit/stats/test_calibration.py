"""A value, its null, and the word for it."""

import numpy as np
import pytest

from interp.metrics.distributions import Wasserstein
from interp.metrics.pairs import Cosine, Euclidean
from interp.stats.calibration import calibrate, describe_layers


@pytest.fixture
def null():
    return np.random.default_rng(0).normal(size=(4, 999)) * 0.1


def test_paired_similarities_are_above_chance_near_identity_or_not_significant(null):
    observed = np.array([0.05, 0.5, 0.95, -0.9])
    found = calibrate(observed, null, np.ones(4), Cosine(), 0.05)
    assert found.significance == (
        "not significant",
        "above chance",
        "near identity",
        "below chance",
    )
    assert found.tail == "greater"
    np.testing.assert_array_equal(found.opposite_tail, [False, False, False, True])
    table = found.summary({"layer": (0, 1, 2, 3)}, "mean cosine")
    assert list(table) == [
        *("layer", "mean cosine", "null (95%)", "score", "p (corrected)", "significance"),
    ]
    assert table["significance"].tolist() == list(found.significance)


def test_a_paired_distance_gives_the_same_significance_with_its_sign_reversed(null):
    observed = np.array([0.05, 0.5, 0.95, -0.9])
    plain = calibrate(observed, null, np.ones(4), Cosine(), 0.05)
    turned = calibrate(1 - observed, 1 - null, np.zeros(4), Euclidean(), 0.05)
    assert turned.significance == plain.significance
    np.testing.assert_allclose(turned.score, plain.score)
    np.testing.assert_allclose(turned.excess, plain.excess)
    np.testing.assert_array_equal(turned.opposite_tail, plain.opposite_tail)


def test_groups_are_apart_where_they_differ_more_than_shuffled_ones(null):
    found = calibrate(np.array([1.0, 3, 1, 0.2]), 1 + null, np.zeros(4), Wasserstein(), 0.05)
    assert found.significance == ("not significant", "apart", "not significant", "alike")
    assert found.score[1] < 0 < found.score[0] < 1
    assert found.opposite_tail.tolist() == [False, False, False, True]


def test_layers_in_words():
    layers = (0, 2, 4, 6, 8)

    def said(*which):
        return describe_layers(layers, np.isin(layers, which))

    assert said() == "no layer"
    assert said(2) == "layer 2"
    assert said(0, 8) == "layers 0, 8"
    assert said(0, 2, 4, 8) == "4 of 5 layers"
    assert said(*layers) == "all 5 layers"
