"""Separation, order and alignment against scikit-learn, SciPy and what is known beforehand."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest, spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score, calinski_harabasz_score, silhouette_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import NearestCentroid

from interp.experiments.layer_geometry.procrustes import aligned
from interp.metrics.functional import separation
from interp.metrics.functional.order import folds, rank_correlations, ridge_r2
from interp.stats import permutations

# Prompts of one to three tokens, in groups of unequal size.
TOKENS = np.array([1, 2, 3, 1, 2, 2, 3, 1, 1, 2, 3, 2])
PROMPT = np.repeat(np.arange(12), TOKENS)
GROUPS = {
    "two": np.repeat([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], TOKENS),
    "four": np.repeat([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], TOKENS),
}


@pytest.fixture
def cloud():
    return np.random.default_rng(0).normal(size=(len(PROMPT), 5))


@pytest.fixture(params=GROUPS)
def labels(request):
    rng = np.random.default_rng(1)
    return permutations.labellings(GROUPS[request.param], PROMPT, 30, rng)


def test_the_silhouette_is_scikit_learns(cloud, labels):
    theirs = [silhouette_score(cloud, row) for row in labels]
    found = separation.silhouette(cdist(cloud, cloud), labels)
    np.testing.assert_allclose(found, theirs, atol=1e-12)
    np.testing.assert_allclose(separation.silhouette_of_points(cloud, labels), theirs, atol=1e-12)


def test_the_silhouette_of_lonely_and_of_coinciding_points_is_zero():
    cloud = np.array([[0.0], [0.0], [5.0]])
    assert separation.silhouette(cdist(cloud, cloud), np.array([[0, 0, 1]])) == pytest.approx(2 / 3)
    same = np.zeros((4, 4))
    assert separation.silhouette(same, np.array([[0, 0, 1, 1]])) == 0


def test_the_variance_between_groups_is_that_of_calinski_and_harabasz(cloud, labels):
    share = separation.variance_between(cloud, labels)
    n, groups = len(cloud), labels.max() + 1
    theirs = [calinski_harabasz_score(cloud, row) for row in labels]
    np.testing.assert_allclose(share / (1 - share) * (n - groups) / (groups - 1), theirs)


def test_groups_that_do_not_vary_hold_all_of_the_variance_between_them():
    cloud = np.repeat([[1.0, 2.0], [3.0, 1.0]], 4, axis=0)
    labels = np.array([np.repeat([0, 1], 4), np.tile([0, 1], 4)])
    found = separation.variance_between(cloud, labels)
    np.testing.assert_allclose(found, [1, 0], atol=1e-12)
    assert separation.variance_between(np.zeros((8, 3)), labels[:1]) == 0


def test_the_nearest_centroid_is_scikit_learns_with_each_prompt_held_out(cloud, labels):
    labels = labels[:5]
    found = separation.nearest_centroid_accuracy(cloud, labels, PROMPT)
    theirs = []
    for row in labels:
        predicted = cross_val_predict(
            NearestCentroid(), cloud, row, groups=PROMPT, cv=LeaveOneGroupOut()
        )
        theirs.append(balanced_accuracy_score(row, predicted))
    np.testing.assert_allclose(found, theirs, atol=1e-12)


def test_separation_does_not_change_with_the_number_held_at_once(cloud, labels, monkeypatch):
    def measured():
        return [
            separation.silhouette(cdist(cloud, cloud), labels),
            separation.silhouette_of_points(cloud, labels),
            separation.variance_between(cloud, labels),
            separation.nearest_centroid_accuracy(cloud, labels, PROMPT),
        ]

    before = measured()
    monkeypatch.setattr(separation, "_HELD_AT_ONCE", 300)
    monkeypatch.setattr(separation, "_MEMBERS_AT_ONCE", 400)
    np.testing.assert_allclose(measured(), before, rtol=1e-12)


@pytest.mark.parametrize("kind", GROUPS)
def test_labellings_move_whole_prompts_and_begin_with_the_given_one(kind):
    found = permutations.labellings(GROUPS[kind], PROMPT, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], GROUPS[kind])
    assert len(np.unique(found, axis=0)) > 40
    of_prompt = np.cumsum(TOKENS) - 1
    np.testing.assert_array_equal(found, found[:, of_prompt][:, PROMPT])
    for row in found:
        counts = np.bincount(row[of_prompt])
        np.testing.assert_array_equal(counts, np.bincount(GROUPS[kind][of_prompt]))


def test_reorderings_move_whole_units_and_are_complete_where_few():
    values, unit = np.array([3.0, 3, 1, 2, 1]), np.array([0, 0, 1, 2, 1])
    whole = np.zeros_like(unit)
    found = permutations.reorderings(values, unit, whole, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], values)
    assert len(found) == len(np.unique(found, axis=0)) == 6
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert len(permutations.reorderings(values, unit, whole, 4, np.random.default_rng(0))) == 5


def test_a_pairs_two_numbers_move_together():
    values, unit = np.array([1.0, 2, 3, 10, 20, 30]), np.tile(np.arange(3), 2)
    part = np.repeat([0, 1], 3)
    found = permutations.reorderings(values, unit, part, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[:, 3:], 10 * found[:, :3])
    assert len(np.unique(found, axis=0)) == 6


@pytest.mark.parametrize(("groups", "every"), [(2, 2**3), (3, 6**3)])
def test_labels_dealt_out_within_units_are_complete_where_few(groups, every):
    labels, unit = np.repeat(np.arange(groups), 4), np.tile(np.arange(4), groups)
    found = permutations.labellings_within(labels, unit, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], labels)
    # The first unit keeps its labels: to exchange them everywhere divides nothing anew.
    assert len(found) == len(np.unique(found, axis=0)) == every
    for row in found:
        for number in range(4):
            assert sorted(row[unit == number]) == list(range(groups))
    drawn = permutations.labellings_within(labels, unit, 5, np.random.default_rng(0))
    assert len(drawn) == 6


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


def test_a_rotating_cloud_stays_still_after_alignment():
    rng = np.random.default_rng(5)
    cloud = rng.normal(size=(30, 2)) * [2, 1]
    turns = [np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(8)]
    turns = [turn * [1, (-1) ** i] for i, turn in enumerate(turns)]
    assert {round(np.linalg.det(turn)) for turn in turns} == {-1, 1}
    frames = aligned(np.array([cloud @ turn for turn in turns]))
    np.testing.assert_allclose(frames, np.broadcast_to(frames[0], frames.shape), atol=1e-12)


def test_alignment_keeps_distances_and_the_first_frame():
    frames = np.random.default_rng(6).normal(size=(4, 9, 3))
    turned = aligned(frames)
    np.testing.assert_array_equal(turned[0], frames[0])
    for before, after in zip(frames, turned, strict=True):
        np.testing.assert_allclose(cdist(after, after), cdist(before, before), atol=1e-12)
    steps = [((b - a) ** 2).sum() for a, b in itertools.pairwise(turned)]
    for i, step in enumerate(steps):
        assert step <= ((frames[i + 1] - turned[i]) ** 2).sum() + 1e-12


def test_pure_noise_gives_uniform_p_for_labels_and_order():
    rng = np.random.default_rng(7)
    p = {"silhouette": [], "order": []}
    labels, order = np.repeat([0, 1], 10), np.arange(20.0)
    for _ in range(200):
        cloud = rng.normal(size=(20, 4))
        given = permutations.labellings(labels, np.arange(20), 99, rng)
        scores = separation.silhouette(cdist(cloud, cloud), given)
        p["silhouette"].append((scores[1:] >= scores[0] - 1e-12).sum() + 1)
        given = permutations.reorderings(order, np.arange(20), np.zeros(20, int), 99, rng)
        best = np.abs(rank_correlations(cloud, given)).max(1)
        p["order"].append((best[1:] >= best[0] - 1e-12).sum() + 1)
    for found in p.values():
        # The ranks run from 1 to 100; jittered within their step they are uniform on (0, 1).
        ranks = (np.array(found) - rng.random(200)) / 100
        assert kstest(ranks, "uniform").pvalue > 0.01
