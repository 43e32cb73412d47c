"""The validity of clusters against scikit-learn, closed forms and planted neurons."""

import itertools
import re

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn import metrics
from threadpoolctl import threadpool_limits

from interp import plotting
from interp.clusterings.density import DBSCAN
from interp.clusterings.partitions import Agglomerative, KMeans
from interp.experiments.neuron_clusters import (
    cluster_figures,
    cluster_measures,
    cluster_report,
    figures,
)
from interp.experiments.neuron_clusters.clusters import ClusterSettings, cluster_neurons
from interp.experiments.neuron_clusters.layer_report import Comparison
from interp.experiments.neuron_clusters.selected_neurons import SelectedNeurons
from interp.experiments.neuron_clusters.validity import (
    Clusters,
    ClusterTests,
    NullClusters,
    Points,
    Repetitions,
    Space,
    cluster_in,
)
from interp.reductions.layouts import TSNE, KernelPCA
from interp.reductions.linear import PCA, Identity
from interp.results.captions import Caption
from interp.results.result import Result

PAIRS = 20
CAPTION = Caption(
    layers=(3,),
    names=("layer 3",),
    model="tiny",
    hook="mlp_post",
    position="position: target",
    groups=("him", "her"),
    units="40 prompts",
    notice="",
)


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads on few cores wait for each other."""
    with threadpool_limits(1):
        yield


def paired(pairs=PAIRS):
    """Which sentences are of the first group, and the pair of each."""
    return np.repeat([True, False], pairs), np.tile(np.arange(pairs), 2)


def tuned(n, rng, tuning=1.0, pairs=PAIRS):
    """Neurons [n, sentence] that share their tuning alone, up to its sign, and the signs."""
    in_first, pair = paired(pairs)
    signs = rng.choice([-1.0, 1.0], n)
    own = rng.normal(size=(n, pairs))[:, pair] + rng.normal(size=(n, 2 * pairs))
    return own + tuning * signs[:, None] * np.where(in_first, 1, -1), signs


def selected(neurons, t, same_sentences=False):
    in_first, pair = paired(neurons.shape[1] // 2)
    names = tuple(map(str, range(len(neurons))))
    return SelectedNeurons(neurons.T, in_first, pair, names, t, ("him", "her"), same_sentences)


def asked(found, reduction=None, clustering=None, permutations=39, seed=0):
    settings = ClusterSettings(
        reduction or Identity(), clustering or KMeans(2), 64, 0.05, permutations
    )
    clusters = cluster_neurons(found, settings, np.random.default_rng(seed))
    comparison = Comparison(None, None, None, None, CAPTION)
    return Result(
        scalars=cluster_report.scalars(clusters),
        tables=cluster_report.tables(clusters),
        figures=figures.clustering_figures(clusters, "layer 3", comparison),
        finding=cluster_report.describe_finding(clusters, "layer 3"),
    )


def in_all_dimensions(neurons, clustering, draws, rng):
    in_first, pair = paired(neurons.shape[1] // 2)
    points = Points.of(neurons.T, in_first, pair)
    t = np.zeros(len(neurons))
    found = cluster_in(Space.full(), points, t, clustering, Repetitions(draws, 0, 0), rng)
    return ClusterTests.of((found,), 0.05)


# --- the maths


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(30, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions, rng.integers(-1, 3, 30)


def test_silhouettes_are_scikit_learns_and_noise_counts_nothing(cloud):
    directions, labels = cloud
    apart = cluster_measures.cosine_distances(directions)
    np.testing.assert_allclose(apart, metrics.pairwise.cosine_distances(directions), atol=1e-12)
    inside = labels >= 0
    each = metrics.silhouette_samples(directions[inside], labels[inside], metric="cosine")
    np.testing.assert_allclose(cluster_measures.silhouettes(apart, labels)[inside], each)
    assert np.isnan(cluster_measures.silhouettes(apart, labels)[~inside]).all()
    assert cluster_measures.silhouette(apart, labels) == pytest.approx(each.sum() / len(labels))
    assert cluster_measures.silhouette(apart, 7 * labels) == pytest.approx(each.sum() / len(labels))


@pytest.mark.parametrize("labels", [[-1] * 5, [0] * 5, [0, 0, -1, -1, -1]])
def test_fewer_than_two_clusters_have_no_silhouette(labels):
    apart = cluster_measures.cosine_distances(np.eye(5))
    assert cluster_measures.silhouette(apart, np.array(labels)) == 0
    assert np.isnan(cluster_measures.silhouettes(apart, np.array(labels))).all()


def test_points_alone_in_their_clusters_have_a_silhouette_of_zero():
    apart, labels = cluster_measures.cosine_distances(np.eye(4)), np.array([0, 1, 2, -1])
    np.testing.assert_array_equal(cluster_measures.silhouettes(apart, labels), [0, 0, 0, np.nan])
    assert cluster_measures.silhouette(apart, labels) == 0


def test_mean_cosines_within_and_between_are_those_of_all_pairs(cloud):
    directions, labels = cloud
    cosines = directions @ directions.T
    within, between = [], []
    for i, j in itertools.combinations(range(len(labels)), 2):
        if min(labels[i], labels[j]) >= 0:
            (within if labels[i] == labels[j] else between).append(cosines[i, j])
    found = cluster_measures.within_and_between(cosines, labels)
    np.testing.assert_allclose(found, [np.mean(within), np.mean(between)])
    assert np.isnan(cluster_measures.within_and_between(cosines, np.full(30, -1))).all()


def test_agreement_is_hubert_and_arabies():
    # Pairs together in both 1, in the first 2, in the second 1, of 6: (1 - 2/6) / (1.5 - 2/6).
    one, other = np.array([0, 0, 1, 1]), np.array([5, 5, 6, 7])
    assert cluster_measures.agreement(one, other) == pytest.approx((1 - 1 / 3) / (1.5 - 1 / 3))
    assert cluster_measures.agreement(one, 1 - one) == 1


@pytest.mark.parametrize("within", [True, False])
def test_a_shuffle_keeps_pairs_together_and_within_groups_the_groups(within):
    rng = np.random.default_rng(1)
    in_first, pair = paired(5)
    values = rng.normal(size=(4, 10))
    moved = cluster_measures.permute_sentences(values, in_first, pair, within, rng)
    for before, after in zip(values, moved, strict=True):
        of_before, of_after = (
            [(row[in_first][i], row[~in_first][i]) for i in range(5)] for row in (before, after)
        )
        if not within:
            of_before, of_after = ([tuple(sorted(p)) for p in of] for of in (of_before, of_after))
        assert sorted(of_before) == sorted(of_after)
    assert not np.allclose(moved, values)
    if within:
        np.testing.assert_allclose(
            moved @ np.where(in_first, 1, -1), values @ np.where(in_first, 1, -1)
        )


def test_every_order_of_pairs_is_equally_likely_and_each_neurons_is_its_own():
    rng = np.random.default_rng(2)
    in_first, pair = paired(3)
    values = np.tile(pair.astype(float), (12000, 1))
    moved = cluster_measures.permute_sentences(values, in_first, pair, True, rng)
    np.testing.assert_array_equal(moved[:, in_first], moved[:, ~in_first])
    counts = np.unique(moved[:, in_first], axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
    swapped = cluster_measures.permute_sentences(
        np.tile(in_first * 1.0, (12000, 1)), in_first, pair, False, rng
    )
    assert np.abs(swapped[:, in_first].mean(0) - 0.5).max() < 5 / np.sqrt(4 * 12000)


def test_groups_that_are_no_pairs_are_shuffled_sentence_by_sentence():
    rng = np.random.default_rng(3)
    in_first, each = np.arange(9) < 4, np.arange(9)
    values = np.tile(np.arange(9.0), (500, 1))
    moved = cluster_measures.permute_sentences(values, in_first, each, True, rng)
    np.testing.assert_array_equal(np.sort(moved[:, in_first], axis=1), values[:, in_first])
    np.testing.assert_array_equal(np.sort(moved[:, ~in_first], axis=1), values[:, ~in_first])
    anywhere = cluster_measures.permute_sentences(values, in_first, each, False, rng)
    np.testing.assert_array_equal(np.sort(anywhere, axis=1), values)
    assert anywhere[:, in_first].max() == 8


def test_directions_make_cosines_of_correlations():
    rng = np.random.default_rng(4)
    values = 5 + rng.normal(size=(40, 6)) * 10.0 ** np.arange(-3, 3)
    values[:, 2] = 0.1
    points = Points.of(values, *paired())
    expected = np.corrcoef(np.delete(values, 2, 1).T)
    directions = points.directions[points.varies]
    np.testing.assert_allclose(directions @ directions.T, expected, atol=1e-9)
    np.testing.assert_array_equal(points.varies, np.arange(6) != 2)


def test_resamples_draw_pairs_as_a_whole_and_are_centred_anew():
    in_first, pair = paired(6)
    values = np.random.default_rng(5).normal(size=(12, 3))
    for drawn in Points.of(values, in_first, pair).resampled(20, np.random.default_rng(0)):
        first, second = drawn.observation[drawn.in_first], drawn.observation[~drawn.in_first]
        np.testing.assert_array_equal(np.sort(first), np.sort(second))
        assert len(first) == 6
        np.testing.assert_allclose(drawn.directions.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(drawn.directions, axis=1), 1)


# --- are they there?


def test_noise_is_called_clustered_no_more_often_than_said():
    rng = np.random.default_rng(10)
    found = [
        in_all_dimensions(tuned(10, rng, 0, 8)[0], Agglomerative(2, "ward"), 9, rng).tests[0].p
        for _ in range(100)
    ]
    # Each of the ten arrangements is as likely to be the most clustered.
    assert (np.array(found) <= 0.1).mean(0).max() <= 0.1 + 3 * np.sqrt(0.09 / 100)
    assert np.abs(np.mean(found, 0) - 0.55).max() < 4 * np.sqrt(0.0825 / 100)


def test_tuning_alone_is_found_by_the_first_null_and_not_by_the_second():
    rng = np.random.default_rng(11)
    found = np.array(
        [
            in_all_dimensions(tuned(10, rng, 1.5, 8)[0], Agglomerative(2, "ward"), 9, rng)
            .tests[0]
            .p
            for _ in range(100)
        ]
    )
    assert (found[:, 0] <= 0.1).mean() > 0.95
    assert (found[:, 1] <= 0.1).mean() <= 0.1 + 3 * np.sqrt(0.09 / 100)
    assert np.abs(found[:, 1].mean() - 0.55) < 4 * np.sqrt(0.0825 / 100)


@pytest.mark.parametrize("clustering", [KMeans(3), Agglomerative(), DBSCAN(eps=1.5)], ids=repr)
def test_clusters_beyond_tuning_are_found(clustering):
    rng = np.random.default_rng(12)
    neurons, signs = tuned(36, rng, 0.5)
    planted = np.arange(36) % 3
    neurons += 3 * rng.normal(size=(3, PAIRS))[planted][:, paired()[1]]
    result = asked(selected(neurons, 3 * signs), PCA(2), clustering, permutations=30)
    members = result.tables["cluster_members"]
    for space in ("all dimensions", "the layout of pca"):
        found = members[f"cluster in {space}"]
        inside = (found != "noise").to_numpy()
        assert inside.mean() > 0.6
        assert metrics.adjusted_rand_score(found[inside], planted[inside]) == 1
    tests = result.tables["cluster_tests"]
    np.testing.assert_allclose(tests["p"][:2], 1 / 31)
    np.testing.assert_allclose(tests["p"][2:], 1 / 21)
    assert "further apart than their tuning to him and her makes them (" in result.finding
    assert result.scalars["clusters_resamples_ari"] > 0.5


def test_clusters_that_are_the_sign_of_t_are_said_to_be():
    neurons, signs = tuned(30, np.random.default_rng(13), 2)
    result = asked(selected(neurons, 4 * signs))
    assert "), which are the sign of t (adjusted Rand index 1.00)." in result.finding
    assert "Adjusted Rand index with the sign of t 1.00" in result.finding
    assert result.scalars["clusters_sign_ari"] == 1
    table = result.tables["clusters"]
    assert list(table["cluster"]) == ["1", "2"]
    np.testing.assert_allclose(table["mean t"], [4, -4])
    np.testing.assert_allclose(table["neurons"], [(signs > 0).sum(), (signs < 0).sum()])
    assert table["share"].sum() == pytest.approx(1)


def test_noise_selected_on_the_sentences_it_is_clustered_on_looks_clustered_by_sign():
    """The claim of the warning, and that other sentences show nothing."""
    half = paired()[1] < PAIRS // 2
    p = {True: [], False: []}
    for seed in range(16):
        rng = np.random.default_rng(seed)
        neurons = rng.normal(size=(600, 2 * PAIRS))
        for same_sentences in (True, False):
            chooses = neurons[:, half]
            t = ttest_rel(chooses[:, : PAIRS // 2], chooses[:, PAIRS // 2 :], axis=1).statistic
            strongest = np.argsort(-np.abs(t))[:30]
            shown = half if same_sentences else ~half
            ward = Agglomerative(2, "ward")
            found = in_all_dimensions(neurons[strongest][:, shown], ward, 19, rng)
            p[same_sentences].append(found.tests[0].p[0])
    assert np.max(p[True]) == pytest.approx(0.05)
    assert abs(np.mean(p[False]) - 0.525) < 4 * np.sqrt(1 / 12 / 16)
    told = selected(neurons[strongest][:, half], t[strongest], same_sentences=True)
    result = asked(told, clustering=ward)
    assert result.scalars["clusters_sign_ari"] > 0.8
    assert "further apart than their tuning" not in result.finding
    assert "Caution: they were selected on the same sentences" in result.finding


def test_a_layout_counts_only_where_clusters_are_there_in_all_dimensions():
    def found(observed, nulls):
        null = np.array(nulls, float)
        empty = np.empty(0)
        return Clusters(
            *(Space.full(), empty, empty, empty, observed, (0.0, 0.0)),
            *(NullClusters(null, empty, empty), empty, empty),
        )

    full = found(0.5, [np.arange(39) / 100, np.arange(39) / 60])
    layout = found(0.9, [np.zeros(39), np.zeros(39)])
    tests = ClusterTests.of((full, layout), 0.05)
    beyond = (1 + (np.arange(39) / 60 >= 0.5).sum()) / 40
    np.testing.assert_allclose(tests.p_corrected, [[1 / 40, beyond], [1 / 40, beyond]])
    np.testing.assert_array_equal(tests.significant, [[True, False], [True, False]])
    few = ClusterTests.of((found(0.5, np.zeros((2, 10))),), 0.05)
    assert few.too_few[0]


def test_a_clustering_does_not_depend_on_how_strongly_neurons_respond():
    neurons, signs = tuned(20, np.random.default_rng(14), 1)
    scaled = neurons * 10.0 ** np.linspace(-3, 3, 20)[:, None] + np.arange(20)[:, None]
    one, other = (asked(selected(x, 3 * signs)) for x in (neurons, scaled))
    assert one.scalars == pytest.approx(other.scalars, rel=1e-6)


# --- what cannot be done is said, and the rest is done


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_neurons_are_said_to_be(n):
    neurons, signs = tuned(n, np.random.default_rng(20))
    result = asked(selected(neurons, 3 * signs), TSNE())
    assert result.scalars == {"selected_neurons": n}
    assert not result.figures
    said = (
        "No neuron was selected at layer 3"
        if n == 0
        else f"{n} vary over the sentences; k-means needs 4"
    )
    assert said in result.finding


def test_neurons_that_do_not_vary_are_left_out():
    neurons, signs = tuned(9, np.random.default_rng(21))
    neurons[[2, 5]] = 0.3
    result = asked(selected(neurons, 3 * signs))
    assert "2 of 9 selected neurons do not vary over the sentences" in result.finding
    assert list(result.tables["cluster_members"]["neuron"]) == list("0134678")


@pytest.mark.parametrize("sentences", [0, 2])
def test_too_few_sentences_are_said_to_be(sentences):
    neurons = np.random.default_rng(22).normal(size=(9, sentences))
    said = f"{sentences} sentences at layer 3 are too few to cluster neurons by."
    assert asked(selected(neurons, np.ones(9))).finding == said


def test_neurons_that_respond_alike_are_one_cluster():
    neurons = np.random.default_rng(23).normal(size=40) * np.arange(1, 9)[:, None]
    result = asked(selected(neurons, np.ones(8)), TSNE())
    assert result.finding == "All 8 neurons at layer 3 respond alike: one cluster."


def test_neurons_of_opposite_sign_and_no_other_difference_are_two():
    neurons = np.random.default_rng(24).normal(size=40) * np.repeat([1, -1], 4)[:, None]
    result = asked(selected(neurons, np.repeat([3.0, -3.0], 4)), PCA(2), Agglomerative())
    assert result.scalars["clusters_found"] == 2
    assert result.scalars["clusters_silhouette"] == pytest.approx(1)
    assert result.scalars["layout_clusters_sign_ari"] == 1


@pytest.mark.parametrize(
    ("reduction", "said"),
    [
        (
            TSNE(perplexity=12),
            r"tsne \(n_components=2, perplexity=12, seed=0\) needs at least 13 n",
        ),
        (Identity(), "reduction=identity makes none, reduction=tsne does"),
        (PCA(11), "11 components are more than 10 neurons over 40 sentences have"),
        (PCA(1), "a plane needs reduction.n_components=2"),
        (KernelPCA(), "half of the points coincide"),
    ],
    ids=repr,
)
def test_a_layout_that_cannot_be_made_is_left_out_with_its_reason(reduction, said):
    neurons, signs = tuned(10, np.random.default_rng(25))
    if isinstance(reduction, KernelPCA):
        neurons[:9] = neurons[0]
    result = asked(selected(neurons, 3 * signs), reduction)
    assert result.finding.count("There is no layout") == 1
    assert "In the layout of" not in result.finding
    assert np.isfinite(list(result.scalars.values())).all()
    assert set(result.figures) == {"cluster_matrices", "cosines", "silhouette_null"}
    assert re.search(said, result.finding)


def test_noise_alone_is_no_cluster_and_the_rest_is_drawn():
    neurons, signs = tuned(12, np.random.default_rng(26))
    result = asked(selected(neurons, 3 * signs), PCA(2), DBSCAN(eps=1e-6))
    assert "DBSCAN finds no cluster among 12 neurons at layer 3" in result.finding
    assert result.scalars["clusters_noise"] == 1
    assert "clusters_sign_ari" not in result.scalars
    assert set(result.tables["clusters"]["cluster"]) == {"noise"}
    assert {"clusters", "centroids", "cosines"} <= set(result.figures)


def test_too_few_permutations_are_said_to_be():
    neurons, signs = tuned(12, np.random.default_rng(27), 3)
    assert (
        "too few permutations to reach p < 0.05"
        in asked(selected(neurons, signs), permutations=9).finding
    )


def test_of_many_neurons_the_strongest_are_clustered():
    rng = np.random.default_rng(28)
    neurons, signs = tuned(80, rng)
    t = signs * rng.permutation(80)
    result = asked(selected(neurons, t), clustering=Agglomerative(2))
    assert "those of the largest |t| among 80 selected neurons" in result.finding
    members = result.tables["cluster_members"]
    assert len(members) == 64
    assert np.abs(members["t"]).min() == 80 - 64


def test_figures_say_what_was_clustered_and_on_which_sentences(tmp_path):
    neurons, signs = tuned(12, np.random.default_rng(29), 2)
    for same_sentences, said in ((False, "selected on other"), (True, "selected on the same")):
        result = asked(selected(neurons, 3 * signs, same_sentences), PCA(2))
        assert len(result.figures) == 5
        for figure in result.figures.values():
            below = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
            assert any(said in text for text in below)
    *panels, by_sign = [axes for axes in result.figures["clusters"].axes if axes.collections]
    assert len(panels) == 2
    drawn = [np.asarray(part.get_offsets()) for part in by_sign.collections]
    assert sorted(map(len, drawn)) == sorted([(signs > 0).sum(), (signs < 0).sum()])


@pytest.mark.parametrize("n_clusters", [1, 9, 14])
def test_legends_stay_within_the_figure_and_apart(n_clusters):
    points = np.random.default_rng(30).normal(size=(200, 2))
    labels = np.arange(200) % (n_clusters + 1) - 1
    partition = cluster_figures.Partition("clusters in all dimensions", labels)
    figure = cluster_figures.cluster_layouts(
        cluster_figures.ClusterLayouts(
            points,
            [partition, partition],
            points[:, 0],
            groups=("names of people and places", "objects"),
        ),
        cluster_figures.PlaneTexts("What is shown", "of what", "one", "two"),
    )
    plotting.pixels(figure)
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    assert len(boxes) == 3
    assert min(box.y0 for box in boxes) >= 0
    assert all(one.x1 <= other.x0 for one, other in itertools.pairwise(boxes))
    assert boxes[-1].x1 <= figure.bbox.x1
