"""Separation of groups against scikit-learn and closed forms."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import balanced_accuracy_score, calinski_harabasz_score, silhouette_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import NearestCentroid

from interp.metrics.functional import separation
from interp.stats import permutations

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
    return permutations.draw_labellings(GROUPS[request.param], PROMPT, 30, rng)


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
