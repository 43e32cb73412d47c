import itertools

import numpy as np
import pytest
import scipy.stats

from interp.metrics.pairs import Cosine
from interp.stats.permutation_tests import calibrated_score, draw_permutations, permutation_test


def test_p_is_scipys_over_all_pairings():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6, 4))
    y = x + 1.5 * rng.normal(size=(6, 4))
    cosine = Cosine()
    every_other = [o for o in itertools.permutations(range(6)) if o != tuple(range(6))]
    null = [[cosine(x, y[list(order)]) for order in every_other]]
    ours = permutation_test(np.array([cosine(x, y)]), np.array(null), "greater")
    theirs = scipy.stats.permutation_test(
        (np.arange(6),),
        lambda order: cosine(x, y[order.astype(int)]),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    # Leaving the identity out of the draws, (b + 1) / (B + 1) is the exact share.
    assert ours.p[0] == pytest.approx(theirs.pvalue)
    assert ours.p_corrected[0] == pytest.approx(theirs.pvalue)


def simulated(seed, layers=8, draws=199):
    """Layers that depend on each other and differ in scale, with nothing to find."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(1, draws + 1))
    values = 0.7 * shared + rng.normal(size=(layers, draws + 1))
    values = values * np.geomspace(0.01, 100, layers)[:, None] + 5
    return values[:, 0], values[:, 1:]


def test_p_is_uniform_where_there_is_nothing_to_find():
    p = [permutation_test(*simulated(seed), "greater").p[3] for seed in range(400)]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


def test_the_correction_bounds_the_chance_of_any_false_finding():
    smallest = np.array(
        [permutation_test(*simulated(seed), "greater").p_corrected.min() for seed in range(800)]
    )
    uncorrected = np.array(
        [permutation_test(*simulated(seed), "greater").p.min() for seed in range(800)]
    )
    # Three standard errors of a share of 0.05 in 800 are 0.023.
    assert abs((smallest <= 0.05).mean() - 0.05) < 0.023
    assert (uncorrected <= 0.05).mean() > 0.15


def test_less_is_greater_with_the_sign_reversed():
    observed, null = simulated(1)
    greater = permutation_test(observed, null, "greater")
    less = permutation_test(-observed, -null, "less")
    np.testing.assert_array_equal(greater.p, less.p)
    np.testing.assert_array_equal(greater.p_corrected, less.p_corrected)
    np.testing.assert_allclose(greater.z, -less.z)


def test_moments_and_band_of_the_null():
    observed, null = simulated(2)
    test = permutation_test(observed, null, "greater")
    np.testing.assert_allclose(test.null_mean, null.mean(1))
    np.testing.assert_allclose(test.z, (observed - null.mean(1)) / null.std(1))
    np.testing.assert_allclose(test.null_low, np.percentile(null, 2.5, axis=1))
    np.testing.assert_allclose(test.null_high, np.percentile(null, 97.5, axis=1))


def test_rounding_does_not_make_a_finding():
    observed = np.array([0.3, 0.0])
    rounding = np.random.default_rng(0).normal(size=(2, 99)) * 1e-16
    test = permutation_test(observed, observed[:, None] + rounding, "greater")
    np.testing.assert_array_equal(test.p[:1], 1)
    np.testing.assert_array_equal(test.z[:1], 0)
    np.testing.assert_array_equal(test.p_corrected[:1], 1)
    assert np.isfinite(test.z).all()


def test_a_planted_layer_alone_is_found():
    observed, null = simulated(4)
    observed[5] = null[5].max() + 3 * null[5].std()
    test = permutation_test(observed, null, "greater")
    assert test.p_corrected[5] == pytest.approx(1 / 200)
    assert (np.delete(test.p_corrected, 5) > 0.05).all()


def test_faulty_nulls_are_refused():
    with pytest.raises(ValueError, match="permutations"):
        permutation_test(np.zeros(2), np.zeros((2, 0)), "greater")
    with pytest.raises(ValueError, match="not finite"):
        permutation_test(np.array([np.nan]), np.zeros((1, 9)), "greater")


def test_permutations_are_uniform_orders():
    orders = draw_permutations(3, 6000, np.random.default_rng(0))
    assert (np.sort(orders, axis=1) == np.arange(3)).all()
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_a_score_is_0_at_the_95th_percentile_and_1_at_identity():
    null = np.random.default_rng(0).normal(size=(3, 199))
    high = np.percentile(null, 95, axis=1)
    identity = np.array([5.0, 5.0, 5.0])
    found = calibrated_score(np.array([high[0], 5.0, (high[2] + 5) / 2]), null, identity, "greater")
    np.testing.assert_allclose(found, [0, 1, 0.5], atol=1e-12)
    # A distance: smaller is closer, and 0 is identity.
    upside_down = calibrated_score(-(found * 0 + high), -null, -identity, "less")
    np.testing.assert_allclose(upside_down, 0, atol=1e-12)


def test_a_score_above_0_goes_with_a_small_p():
    rng = np.random.default_rng(1)
    observed, null = rng.normal(size=400), rng.normal(size=(400, 199))
    score = calibrated_score(observed, null, np.full(400, 9.0), "greater")
    p = permutation_test(observed, null, "greater").p
    assert (p[score > 0] <= 0.055).all()
    assert (p[score < 0] > 0.045).all()
    assert 0.02 < (score > 0).mean() < 0.09


def test_a_null_at_identity_leaves_no_room_for_a_score():
    found = calibrated_score(np.ones(2), np.ones((2, 9)), np.ones(2), "greater")
    np.testing.assert_array_equal(found, 0)
