"""The probe against scikit-learn's, and what it reads of noise."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from interp.experiments.neuron_clusters.probe import probe_accuracy
from interp.metrics.functional.order import folds


def labelled(n, draws=5, seed=0):
    rng = np.random.default_rng(seed)
    given = np.arange(2 * n) < n
    return np.array([given, *(rng.permutation(given) for _ in range(draws))])


@pytest.mark.parametrize(("n", "d"), [(15, 4), (12, 60)])
def test_it_is_a_ridge_classifier_at_its_penalty(n, d):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(2 * n, d)) * rng.random(d) + 7
    points[:n, 0] += 0.5
    labels = labelled(n)
    held_out = folds(np.tile(np.arange(n), 2), rng)
    found = probe_accuracy(points, labels, held_out)
    for b, of_draw in enumerate(labels):
        right = np.empty(2 * n)
        for test in held_out:
            fitted = points[~test]
            penalty = ((fitted - fitted.mean(0)) ** 2).sum(1).mean()
            probe = RidgeClassifier(alpha=penalty).fit(fitted, of_draw[~test])
            right[test] = probe.predict(points[test]) == of_draw[test]
        assert found[b] == pytest.approx(right.mean())


def test_groups_that_are_apart_are_told_apart_and_noise_is_not():
    rng = np.random.default_rng(2)
    n, labels = 20, labelled(20, draws=0)
    held_out = folds(np.tile(np.arange(n), 2), rng)
    noise = [probe_accuracy(rng.normal(size=(40, 30)), labels, held_out)[0] for _ in range(100)]
    assert np.mean(noise) == pytest.approx(0.5, abs=3 * np.std(noise) / 10)
    apart = rng.normal(size=(40, 30))
    apart[:n, 3] += 20
    assert probe_accuracy(apart, labels, held_out)[0] == 1


def test_it_does_not_change_with_scale_shift_or_rotation():
    rng = np.random.default_rng(3)
    points, labels = rng.normal(size=(24, 9)), labelled(12)
    points[:12] += 0.4
    held_out = folds(np.tile(np.arange(12), 2), rng)
    turn = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    np.testing.assert_array_equal(
        probe_accuracy(points, labels, held_out),
        probe_accuracy(1e3 * points @ turn + 50, labels, held_out),
    )


def test_points_that_coincide_tell_nothing():
    labels = labelled(5, draws=0)
    held_out = folds(np.tile(np.arange(5), 2), np.random.default_rng(4))
    assert probe_accuracy(np.full((10, 3), 0.1), labels, held_out) == pytest.approx(0.5)
    alone = np.array([[True, True, False]])
    each = [np.arange(3) == i for i in range(3)]
    # Left out, each of the two is outvoted by none; the one is held for one of the others.
    assert probe_accuracy(np.zeros((3, 2)), alone, each) == pytest.approx((0.5 + 0) / 2)
