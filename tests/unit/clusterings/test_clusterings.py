"""Clusterings against scikit-learn called directly, planted clusters, and what they refuse."""

import warnings

import numpy as np
import pytest
from sklearn import cluster
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from interp.cache import ActivationStore
from interp.clusterings import CLUSTERINGS
from interp.clusterings.density import DBSCAN, HDBSCAN
from interp.clusterings.partitions import Agglomerative, KMeans
from interp.core.configuration import resolved
from interp.core.errors import ConfigError
from interp.runner.build import build
from interp.runner.fingerprint import tags_of
from interp.runner.inputs import Inputs
from tests.contract.test_conf import composed

ALL = [CLUSTERINGS[name]() for name in CLUSTERINGS]


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads on few cores wait for each other."""
    with threadpool_limits(1):
        yield


def blobs(clusters=3, n=60, spread=0.4, seed=0):
    centres = 8 * np.random.default_rng(seed).normal(size=(clusters, 5))
    return make_blobs(n, centers=centres, cluster_std=spread, random_state=seed)


def same(found, expected):
    assert adjusted_rand_score(found, expected) == 1


@pytest.mark.parametrize("clustering", ALL, ids=repr)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_planted_clusters_are_found_at_any_scale(clustering, scale):
    points, planted = blobs()
    found = clustering.fit_predict(scale * points, 0)
    assert found.dtype == np.intp
    inside = found >= 0
    assert inside.mean() > 0.7
    assert set(found[inside]) == {0, 1, 2}
    same(found[inside], planted[inside])


@pytest.mark.parametrize("linkage", ["average", "complete", "single", "ward"])
def test_agglomerative_is_scikit_learns(linkage):
    points, _ = blobs(spread=3)
    direct = cluster.AgglomerativeClustering(4, linkage=linkage).fit_predict(points)
    same(Agglomerative(4, linkage).fit_predict(points, 0), direct)


def test_kmeans_is_scikit_learns_best_of_three_starts():
    points, _ = blobs(spread=3)
    direct = cluster.KMeans(5, n_init=3, random_state=7).fit_predict(points)
    np.testing.assert_array_equal(KMeans(5).fit_predict(points, 7), direct)


def test_hdbscan_is_scikit_learns():
    noise = np.random.default_rng(1).uniform(-20, 20, size=(12, 5))
    points = np.concatenate([blobs(spread=2)[0], noise])
    direct = cluster.HDBSCAN(4, copy=True).fit_predict(points)
    assert (direct < 0).any()
    np.testing.assert_array_equal(HDBSCAN(4).fit_predict(points, 0), direct)


@pytest.mark.parametrize("eps", [0.7, 1.0, 1.5])
def test_dbscan_is_scikit_learns_at_a_distance_in_units_of_that_to_neighbours(eps):
    points, _ = blobs(spread=2)
    to_fourth = NearestNeighbors(n_neighbors=4).fit(points).kneighbors(points)[0][:, -1]
    near = eps * np.median(to_fourth)
    direct = cluster.DBSCAN(eps=near, min_samples=4).fit_predict(points)
    np.testing.assert_array_equal(DBSCAN(eps, 4).fit_predict(points, 0), direct)


def test_half_of_the_points_are_dense_at_an_eps_of_one():
    points = np.random.default_rng(0).normal(size=(101, 3))
    to_fifth = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1)[:, 4]
    direct = cluster.DBSCAN(eps=np.median(to_fifth), min_samples=5).fit(points)
    assert len(direct.core_sample_indices_) == 51
    np.testing.assert_array_equal(DBSCAN().fit_predict(points, 0), direct.labels_)


@pytest.mark.parametrize("clustering", [KMeans(), Agglomerative(linkage="ward")], ids=repr)
@pytest.mark.parametrize("planted", [2, 3, 5, 8])
def test_auto_is_the_number_with_the_largest_silhouette(clustering, planted):
    points, labels = blobs(planted, seed=planted)
    found = clustering.fit_predict(points, 0)
    same(found, labels)
    fixed = [type(clustering)(k).fit_predict(points, 0) for k in range(2, 9)]
    best = max(silhouette_score(points, labels) for labels in fixed)
    assert silhouette_score(points, found) == pytest.approx(best)


def test_auto_tries_fewer_clusters_than_there_are_points():
    points = np.array([[0.0, 0], [0, 1], [9, 0]])
    same(KMeans().fit_predict(points, 0), [0, 0, 1])
    with pytest.raises(ValueError, match="2 points are fewer than 3"):
        KMeans().fit_predict(points[:2], 0)


@pytest.mark.parametrize("clustering", ALL, ids=repr)
def test_points_that_coincide_are_no_two_clusters(clustering):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = clustering.fit_predict(np.ones((12, 3)), 0)
        pairs = clustering.fit_predict(np.repeat([[0.0, 1], [1, 0]], 6, axis=0), 0)
    if not isinstance(clustering, Agglomerative):
        assert set(found) <= {0, -1}
    same(pairs, np.repeat([0, 1], 6))


def test_dbscan_may_find_noise_alone():
    assert set(DBSCAN(eps=1e-6).fit_predict(blobs()[0], 0)) == {-1}


@pytest.mark.parametrize("clustering", ALL, ids=repr)
def test_the_same_seed_gives_the_same_clusters(clustering):
    points = np.random.default_rng(3).normal(size=(40, 6))
    first, second = (clustering.fit_predict(points, 11) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "kmeans", "n_clusters": 1}, "clustering.n_clusters must be at least 2, not 1"),
        ({"name": "kmeans", "n_clusters": "many"}, "n_clusters must be auto or a number"),
        ({"name": "kmeans", "n_clusters": 2.5}, "n_clusters must be auto or a number, not 2.5"),
        ({"name": "agglomerative", "linkage": "averge"}, "did you mean 'average'"),
        ({"name": "dbscan", "eps": 0.0}, "clustering.eps must be positive, not 0.0"),
        ({"name": "dbscan", "min_samples": 1}, "min_samples must be at least 2"),
        ({"name": "hdbscan", "min_cluster_size": 1}, "min_cluster_size must be at least 2"),
        ({"name": "kmean"}, "did you mean 'kmeans'"),
    ],
)
def test_what_cannot_be_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        CLUSTERINGS.build(settings)


def test_a_clustering_that_nobody_asks_for_does_not_change_the_fingerprint(tmp_path):
    store = ActivationStore(tmp_path, 10**9)

    def fingerprint(*overrides):
        config = composed("model=tiny", *overrides)
        experiment = build(config)
        inputs = Inputs(experiment, tmp_path, store)
        return tags_of(experiment, inputs, resolved(config))["fingerprint"]

    assert fingerprint("clustering=dbscan") == fingerprint()
    assert fingerprint("seed=1") != fingerprint()
