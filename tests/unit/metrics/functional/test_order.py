"""Rank correlations and the ridge probe against SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from interp.metrics.functional.order import folds, rank_correlations, ridge_r2


def test_rank_correlations_are_spearmans():
    rng = np.random.default_rng(2)
    components = rng.normal(size=(20, 3)).round(1)
    components[:, 2] = 1.0
    orders = rng.integers(0, 5, size=(4, 20)).astype(float)
    found = rank_correlations(components, orders)
    for b in range(4):
        for k in range(2):
            assert found[b, k] == pytest.approx(spearmanr(components[:, k], orders[b])[0])
    np.testing.assert_array_equal(found[:, 2], 0)


def test_folds_keep_units_together_and_hold_each_point_out_once():
    unit = np.repeat(np.arange(23), 2)
    held_out = np.array(folds(unit, np.random.default_rng(0)))
    assert len(held_out) == 10
    np.testing.assert_array_equal(held_out.sum(0), 1)
    np.testing.assert_array_equal(held_out[:, ::2], held_out[:, 1::2])


def test_the_ridge_probe_is_scikit_learns_one_order_at_a_time():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(24, 40))
    orders = np.array([points @ rng.normal(size=40), rng.normal(size=24)])
    held_out = folds(np.arange(24), rng)
    found = ridge_r2(points, orders, held_out)
    for b, order in enumerate(orders):
        predicted = np.empty(24)
        for test in held_out:
            train = points[~test]
            scale = ((train - train.mean(0)) ** 2).sum() / min(train.shape)
            probe = RidgeCV(np.logspace(-4, 3, 8) * scale).fit(train, order[~test])
            predicted[test] = probe.predict(points[test])
        expected = 1 - ((order - predicted) ** 2).sum() / ((order - order.mean()) ** 2).sum()
        assert found[b] == pytest.approx(expected, abs=1e-8)


def test_the_ridge_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(4)
    order = np.arange(60.0)
    direction = rng.normal(size=100)
    points = np.outer(order / 17, direction) + rng.normal(size=(60, 100))
    held_out = folds(np.arange(60), rng)
    planted = ridge_r2(points, order[None], held_out)
    noise = ridge_r2(rng.normal(size=(60, 100)), order[None], held_out)
    assert planted > 0.95
    assert noise < 0.1
