"""Reductions against scikit-learn called directly, closed forms, and what each must keep."""

import logging
import sys
import warnings

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.distance import pdist
from sklearn import covariance, decomposition, discriminant_analysis, manifold
from sklearn.metrics.pairwise import pairwise_kernels
from threadpoolctl import threadpool_limits

from interp.core.errors import ConfigError
from interp.reductions import REDUCTIONS, refuse_supervised
from interp.reductions.layouts import MDS, TSNE, UMAP, Isomap, KernelPCA, PaCMAP
from interp.reductions.linear import PCA, SVD, Identity, RandomProjection
from interp.reductions.supervised import LDA, ClassDirection

ALL = [REDUCTIONS[name]() for name in REDUCTIONS]
REDUCING = [reduction for reduction in ALL if not isinstance(reduction, Identity)]
SUPERVISED = [ClassDirection(), LDA()]


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads on few cores wait for each other."""
    with threadpool_limits(1):
        yield


def cloud(n=40, d=12, seed=0):
    """Points with a mean, and less spread from axis to axis."""
    rng = np.random.default_rng(seed)
    return 3 + rng.normal(size=(n, d)) * np.linspace(2, 0.3, d)


def drifting(n=60, d=32, steps=3, drift=0.15, seed=0):
    """Clouds of five clusters, each the one before moved a little."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(1.5, 0.2, d)
    points = 0.7 * rng.normal(size=(5, d))[np.arange(n) % 5] + rng.normal(size=(n, d)) * spread
    clouds = [points]
    for _ in range(steps - 1):
        step = rng.normal(size=(n, d)) * spread
        clouds.append(np.sqrt(1 - drift**2) * clouds[-1] + drift * step)
    return clouds


def halves(n):
    return np.arange(n) % 2


def unit(vector):
    return vector / np.linalg.norm(vector)


def rotation(d, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def up_to_signs(found, expected):
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-6 * np.abs(expected).max())


def apart(x, y):
    """Distance between two layouts [n, k], whatever their place, size, turn and mirror image."""
    x, y = (z - z.mean(0) for z in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return 1 - linalg.svdvals(x.T @ y).sum() ** 2


# --- against scikit-learn and closed forms


@pytest.mark.parametrize(
    ("reduction", "direct"),
    [
        (PCA(n_components=3), decomposition.PCA(3, svd_solver="full")),
        (SVD(n_components=3), decomposition.TruncatedSVD(3, algorithm="arpack", random_state=0)),
        (KernelPCA(kernel="linear"), decomposition.PCA(2)),
        (KernelPCA(kernel="cosine"), decomposition.KernelPCA(2, kernel="cosine")),
        (KernelPCA(kernel="poly", gamma=0.1), decomposition.KernelPCA(2, kernel="poly", gamma=0.1)),
        (
            KernelPCA(kernel="sigmoid", gamma=0.01),
            decomposition.KernelPCA(2, kernel="sigmoid", gamma=0.01, eigen_solver="dense"),
        ),
        (Isomap(), manifold.Isomap(n_neighbors=5)),
        (TSNE(seed=3), manifold.TSNE(perplexity=13, random_state=3)),
        (TSNE(perplexity=5, n_components=3), manifold.TSNE(3, perplexity=5, random_state=0)),
    ],
    ids=repr,
)
def test_it_is_what_scikit_learn_gives(reduction, direct):
    points = cloud()
    up_to_signs(reduction.estimator().fit_transform(points), direct.fit_transform(points))


def test_svd_is_that_of_the_points_as_they_are():
    points = cloud(d=60)
    u, sizes, _ = np.linalg.svd(points, full_matrices=False)
    estimator = SVD(n_components=4).estimator()
    up_to_signs(estimator.fit_transform(points), (u * sizes)[:, :4])
    share = sizes[:4] ** 2 / (points**2).sum()
    np.testing.assert_allclose(estimator.explained_variance_ratio_, share)
    with_all = SVD(n_components=40).estimator().fit(points)
    assert with_all.explained_variance_ratio_.sum() == pytest.approx(1)


def test_rbf_kernel_pca_measures_by_the_median_distance():
    points = cloud()
    squared = pdist(points, "sqeuclidean")
    kernel = np.exp(-((points[:, None] - points) ** 2).sum(2) / np.median(squared))
    centre = np.eye(40) - 1 / 40
    values, vectors = np.linalg.eigh(centre @ kernel @ centre)
    estimator = KernelPCA().estimator()
    scores = estimator.fit_transform(points)
    up_to_signs(scores, (vectors * np.sqrt(np.maximum(values, 0)))[:, [-1, -2]])
    np.testing.assert_allclose(estimator.explained_variance_ratio_, values[[-1, -2]] / values.sum())
    np.testing.assert_allclose(
        np.abs(KernelPCA().estimator().fit_transform(100 * points)), abs(scores)
    )


def test_linear_kernel_pca_explains_what_pca_does():
    points = cloud()
    kernel = KernelPCA(kernel="linear", n_components=3).estimator().fit(points)
    pca = PCA(n_components=3).estimator().fit(points)
    np.testing.assert_allclose(kernel.explained_variance_ratio_, pca.explained_variance_ratio_)


def test_mds_ends_at_scikit_learns_layout_and_begins_from_classical_scaling():
    points = cloud()
    direct = manifold.MDS(2, n_init=1, init="classical_mds").fit_transform(points)
    found = MDS().estimator().fit_transform(points)
    up_to_signs(found, direct)
    in_a_plane = cloud(d=2) @ rotation(9)[:2]
    np.testing.assert_allclose(
        pdist(MDS().estimator().fit_transform(in_a_plane)), pdist(in_a_plane), rtol=1e-6
    )


def test_random_projection_keeps_squared_distances():
    points = cloud(20, 300)
    before = pdist(points, "sqeuclidean")
    ratios = [
        pdist(
            RandomProjection(n_components=19, seed=s).estimator().fit_transform(points),
            "sqeuclidean",
        )
        / before
        for s in range(60)
    ]
    ratios = np.array(ratios)
    # Chi-squared over its 19 degrees of freedom: mean 1, variance 2 / 19.
    assert ratios.mean() == pytest.approx(1, abs=0.03)
    assert ratios.std() == pytest.approx(np.sqrt(2 / 19), rel=0.15)


def test_random_projection_has_the_same_axes_at_every_layer():
    first, second = cloud(seed=1), cloud(30, seed=2)
    estimator = RandomProjection(seed=5).estimator().fit(first)
    again = RandomProjection(seed=5).estimator().fit_transform(second)
    np.testing.assert_allclose(estimator.transform(second), again)


def test_isomap_unrolls_and_joins_what_lies_apart():
    angle = np.linspace(0, 1.5 * np.pi, 60)
    roll = np.column_stack([angle * np.cos(angle), angle * np.sin(angle), np.zeros(60)])
    scores = Isomap(n_components=1).estimator().fit_transform(roll)[:, 0]
    assert (np.diff(scores) > 0).all() or (np.diff(scores) < 0).all()
    two = np.vstack([cloud(20), 100 + cloud(20)])
    scores = Isomap().estimator().fit_transform(two)
    assert abs(np.sign(scores[:20, 0]).sum()) == 20
    assert np.sign(scores[0, 0]) != np.sign(scores[-1, 0])


def test_isomap_with_few_points_joins_all_of_them():
    points = cloud(5)
    up_to_signs(
        Isomap().estimator().fit_transform(points), PCA(2).estimator().fit_transform(points)
    )


# --- fitted on groups


def two_gaussians(n=4000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) + np.eye(d)
    y = halves(n)
    between = np.linspace(2, 0.5, d)
    return rng.normal(size=(n, d)) @ mixing + np.outer(y, between), y, mixing.T @ mixing, between


def first_axis(estimator, d):
    """The first axis, read off by how it maps the unit vectors."""
    return (estimator.transform(np.eye(d)) - estimator.transform(np.zeros((1, d))))[:, 0]


def test_the_class_direction_is_the_difference_of_means():
    points, y, _, between = two_gaussians()
    axis = first_axis(ClassDirection().estimator().fit(points, y), 4)
    np.testing.assert_allclose(axis, unit(points[y == 1].mean(0) - points[y == 0].mean(0)))
    assert axis @ unit(between) > 0.99


def test_lda_is_the_difference_of_means_seen_against_the_covariance():
    points, y, within, between = two_gaussians()
    axis = first_axis(LDA().estimator().fit(points, y), 4)
    assert axis @ unit(np.linalg.solve(within, between)) > 0.998
    direct = discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(points, y)
    assert axis @ unit(direct.coef_[0]) > 0.9999


@pytest.mark.parametrize("d", [10, 60])
def test_the_covariance_of_lda_is_shrunk_as_scikit_learn_does(d):
    points, y = cloud(30, d), halves(30)
    means = np.stack([points[y == group].mean(0) for group in (0, 1)])
    shrunk = covariance.LedoitWolf(assume_centered=True).fit(points - means[y]).covariance_
    axis = first_axis(LDA().estimator().fit(points, y), d)
    np.testing.assert_allclose(axis, unit(np.linalg.solve(shrunk, means[1] - means[0])), atol=1e-9)


def test_lda_of_three_groups_spans_scikit_learns_directions():
    rng = np.random.default_rng(0)
    y = np.arange(3000) % 3
    points = rng.normal(size=(3000, 5)) * [1, 2, 3, 4, 5] + rng.normal(size=(3, 5))[y] * 4
    estimator = LDA(n_components=2).estimator().fit(points, y)
    ours = (estimator.transform(np.eye(5)) - estimator.transform(np.zeros((1, 5)))).T
    direct = discriminant_analysis.LinearDiscriminantAnalysis(solver="svd").fit(points, y)
    theirs = np.linalg.qr(direct.scalings_)[0]
    assert (linalg.svdvals(ours @ theirs) > 0.9999).all()
    assert abs(ours[0] @ unit(direct.scalings_[:, 0])) > 0.9999


@pytest.mark.parametrize("reduction", [ClassDirection(4), LDA(4)], ids=repr)
@pytest.mark.parametrize(("n", "d"), [(40, 12), (30, 200)])
@pytest.mark.parametrize("groups", [2, 3])
def test_axes_are_orthonormal_signed_and_filled_up(reduction, n, d, groups):
    points, y = cloud(n, d), np.arange(n) % groups
    estimator = reduction.estimator()
    scores = estimator.fit_transform(points, y)
    axes = estimator.transform(np.eye(d)) - estimator.transform(np.zeros((1, d)))
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-9)
    parting = scores[:, : groups - 1]
    assert (parting[y == 1].mean(0) > parting[y == 0].mean(0)).all()
    variance = points.var(0).sum()
    np.testing.assert_allclose(estimator.explained_variance_ratio_, scores.var(0) / variance)
    first = axes[:, : groups - 1]
    rest = points - points.mean(0)
    rest = rest - rest @ first @ first.T
    up_to_signs(scores[:, groups - 1 :], PCA(5 - groups).estimator().fit_transform(rest))
    if isinstance(reduction, ClassDirection):
        means = np.stack([points[y == group].mean(0) for group in range(groups)])
        means -= points.mean(0)
        np.testing.assert_allclose(means @ first @ first.T, means, atol=1e-9)


def test_of_many_groups_the_directions_that_part_most_are_kept():
    means = np.zeros((4, 6))
    means[:, [0, 3, 5]] = np.array([[9, 1, 0], [-9, 1, 0], [0, -1, 3], [0, -1, -3]])
    y = np.arange(40) % 4
    points = means[y] + 0.01 * cloud(40, 6)
    for reduction in SUPERVISED:
        axis = first_axis(reduction.estimator().fit(points, y), 6)
        assert abs(axis[0]) > (0.99 if isinstance(reduction, ClassDirection) else 0)
    assert ClassDirection().estimator().fit_transform(points, y).shape == (40, 2)


@pytest.mark.parametrize("reduction", SUPERVISED, ids=repr)
@pytest.mark.parametrize("d", [12, 60])
def test_rotated_points_have_rotated_axes(reduction, d):
    points, y = cloud(d=d), halves(40)
    turned = reduction.estimator().fit_transform(points @ rotation(d) + 5, y)
    up_to_signs(reduction.estimator().fit_transform(points, y), turned)


@pytest.mark.parametrize("reduction", SUPERVISED, ids=repr)
def test_noise_comes_apart_where_it_is_fitted_and_nowhere_else(reduction):
    def separation(scores):
        first, second = scores[y == 0, 0], scores[y == 1, 0]
        return (second.mean() - first.mean()) / np.sqrt((first.var() + second.var()) / 2)

    y = halves(40)
    fitted, held_out = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        estimator = reduction.estimator()
        fitted.append(separation(estimator.fit_transform(rng.normal(size=(40, 200)), y)))
        held_out.append(separation(estimator.transform(rng.normal(size=(40, 200)))))
    assert min(fitted) > 2
    assert abs(np.mean(held_out)) < 3 * np.std(held_out) / np.sqrt(20)


@pytest.mark.parametrize("reduction", SUPERVISED, ids=repr)
def test_names_are_groups_too_and_one_may_have_a_single_point(reduction):
    points = cloud()
    y = np.array(["a", "b"])[halves(40)]
    by_name = reduction.estimator().fit_transform(points, y)
    np.testing.assert_allclose(by_name, reduction.estimator().fit_transform(points, halves(40)))
    single = np.arange(40) == 7
    scores = reduction.estimator().fit_transform(points, single)
    assert scores[7, 0] > scores[~single, 0].max()


@pytest.mark.parametrize("reduction", SUPERVISED, ids=repr)
def test_groups_that_nothing_parts_are_refused_in_words(reduction):
    points = cloud()
    with pytest.raises(ValueError, match="is fitted on groups: y must give the group of each"):
        reduction.estimator().fit(points)
    with pytest.raises(ValueError, match="separates groups, and there is only one"):
        reduction.estimator().fit(points, np.zeros(40))
    same = np.repeat(points[:20], 2, axis=0)
    with pytest.raises(ValueError, match="the means of the groups coincide"):
        reduction.estimator().fit(same, halves(40))


def test_lda_needs_a_spread_within_groups():
    with pytest.raises(ValueError, match="the points of each group coincide"):
        LDA().estimator().fit(cloud(2)[halves(40)], halves(40))


# --- begun from a layout


def test_a_layout_stays_nearer_to_the_one_it_was_begun_from():
    for reduction in (MDS(), TSNE(), UMAP()):
        anew, begun = [], []
        before, *clouds = drifting(seed=0)
        layout = reduction.estimator().fit_transform(before)
        for points in clouds:
            own = reduction.estimator().fit_transform(points)
            following = reduction.estimator(layout).fit_transform(points)
            anew.append(apart(layout, own))
            begun.append(apart(layout, following))
            layout = following
        assert np.mean(begun) < 0.7 * np.mean(anew), reduction


def test_a_layout_of_tsne_that_was_begun_is_no_worse():
    first, second = drifting(steps=2)
    layout = TSNE().estimator().fit_transform(first)
    kept = [
        manifold.trustworthiness(second, TSNE().estimator(start).fit_transform(second))
        for start in (None, layout)
    ]
    assert kept[1] > kept[0] - 0.01


def test_pacmap_stays_turned_as_its_start_is():
    first, second = drifting(n=120, steps=2)
    layout = PaCMAP().estimator().fit_transform(first)
    for turned in (layout, layout[:, ::-1], -layout):
        following = PaCMAP().estimator(turned).fit_transform(second)
        assert np.linalg.norm(following - turned) < 0.5 * np.linalg.norm(turned)


@pytest.mark.parametrize("reduction", ALL, ids=repr)
def test_only_what_goes_step_by_step_begins_from_a_layout(reduction):
    start = cloud(40, 2)
    if not reduction.iterative:
        with pytest.raises(ValueError, match="takes no initial layout"):
            reduction.estimator(start)
    else:
        with pytest.raises(ValueError, match=r"initial layout of shape \(40, 2\) is not \(39, 2\)"):
            reduction.estimator(start).fit(cloud(39))


# --- what all of them share


@pytest.mark.parametrize("reduction", ALL, ids=repr)
def test_the_same_seed_gives_the_same_points_and_fit_remembers_them(reduction):
    points, y = cloud(), halves(40)
    scores = reduction.estimator().fit_transform(points, y)
    np.testing.assert_array_equal(scores, reduction.estimator().fit_transform(points, y))
    assert scores.dtype == np.float64
    estimator = reduction.estimator()
    assert estimator.fit(points, y) is estimator
    assert hasattr(estimator, "transform") == reduction.inductive
    if reduction.inductive:
        np.testing.assert_allclose(estimator.transform(points), scores, atol=1e-8)
        assert estimator.transform(cloud(7, seed=1)).shape == (7, scores.shape[1])


@pytest.mark.parametrize("reduction", [RandomProjection, UMAP, PaCMAP])
def test_another_seed_gives_other_points(reduction):
    one, other = (reduction(seed=seed).estimator().fit_transform(cloud()) for seed in (0, 1))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("reduction", REDUCING, ids=repr)
def test_shares_of_the_variance_are_there_where_they_mean_something(reduction):
    estimator = reduction.estimator().fit(cloud(), halves(40))
    has = isinstance(reduction, (PCA, SVD, KernelPCA, ClassDirection, LDA))
    assert hasattr(estimator, "explained_variance_ratio_") == has
    if has:
        shares = estimator.explained_variance_ratio_
        assert shares.shape == (reduction.n_components,)
        assert (shares > 0).all()
        assert shares.sum() <= 1


def test_a_kernel_with_negative_eigenvalues_has_no_shares():
    estimator = KernelPCA(kernel="sigmoid").estimator().fit(cloud())
    assert not hasattr(estimator, "explained_variance_ratio_")
    kernel = pairwise_kernels(cloud(), metric="sigmoid", gamma=0.01)
    assert np.linalg.eigvalsh(kernel).min() < 0


@pytest.mark.parametrize("reduction", REDUCING, ids=repr)
def test_the_fewest_points_are_enough_and_nothing_is_said(reduction, caplog, capfd):
    caplog.set_level(logging.WARNING)
    for n, d in (
        (reduction.min_samples, 120),
        (40, 40),
        (130, 3 if reduction.n_components < 4 else 20),
    ):
        points = cloud(n, d)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = reduction.estimator().fit_transform(points, np.arange(n) % 2)
        assert scores.shape == (n, reduction.n_components)
        assert np.isfinite(scores).all()
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("reduction", REDUCING, ids=repr)
def test_points_too_few_or_all_alike_are_refused(reduction):
    with pytest.raises(ConfigError, match=r"n_components: \d+ components are more than \d+ points"):
        reduction.estimator().fit(
            cloud(d=1) if reduction.n_components > 1 else cloud(0), halves(40)
        )
    fewest = reduction.min_samples
    if fewest > reduction.n_components:
        with pytest.raises(ConfigError, match=f"reduction: it needs at least {fewest} points, not"):
            reduction.estimator().fit(cloud(fewest - 1), halves(fewest - 1))
    with pytest.raises(ValueError, match="all points coincide"):
        reduction.estimator().fit(np.full((40, 12), 0.1), halves(40))


def test_half_of_the_points_coinciding_leaves_no_gamma():
    points = np.vstack([np.zeros((40, 3)), cloud(5, 3)])
    with pytest.raises(ValueError, match="half of the points coincide"):
        KernelPCA().estimator().fit(points)
    KernelPCA(gamma=1.0).estimator().fit(points)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "pca", "n_components": 0}, "n_components must be at least 1, not 0"),
        ({"name": "lda", "n_components": -1}, "n_components must be at least 1, not -1"),
        ({"name": "kernel_pca", "kernel": "rbv"}, "kernel cannot be 'rbv'; did you mean 'rbf'"),
        ({"name": "kernel_pca", "gamma": 0.0}, "gamma must be positive, not 0"),
        ({"name": "kernel_pca", "kernel": "cosine", "gamma": 1.0}, "gamma: kernel=cosine has none"),
        ({"name": "isomap", "neighbors": 0}, "neighbors must be at least 1, not 0"),
        ({"name": "random_projection", "seed": -1}, "seed must lie between 0 and 4294967295"),
        ({"name": "tsne", "n_components": 4}, "n_components of tsne must be at most 3, not 4"),
        ({"name": "tsne", "perplexity": 0.5}, "perplexity must be at least 1, not 0.5"),
        ({"name": "tsne", "seed": 2**32}, "seed must lie between 0 and 4294967295, not 4294967296"),
        ({"name": "umap", "neighbors": 1}, "neighbors must be at least 2, not 1"),
        ({"name": "umap", "min_dist": 2.0}, "min_dist must lie between 0 and 1, not 2"),
        ({"name": "pacmap", "neighbors": 0}, "neighbors must be at least 1, not 0"),
    ],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ConfigError, match=said):
        REDUCTIONS.build(settings)


@pytest.mark.parametrize("extra", ["umap", "pacmap"])
def test_what_is_not_installed_says_how_to_install_it(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(ConfigError) as caught:
        REDUCTIONS.build({"name": extra})
    said = f"reduction.name: {extra} is not installed: pip install 'interp[{extra}]'"
    assert str(caught.value) == said


def test_perplexity_needs_more_points_than_that():
    assert TSNE(perplexity=30).min_samples == 31
    assert TSNE().min_samples == 4


@pytest.mark.parametrize("reduction", ALL, ids=repr)
def test_groups_are_not_compared_after_fitting_on_them(reduction):
    if reduction.supervised:
        with pytest.raises(
            ConfigError, match=r"is fitted on the groups .* analysis=layer_geometry"
        ):
            refuse_supervised(reduction)
    else:
        refuse_supervised(reduction)
