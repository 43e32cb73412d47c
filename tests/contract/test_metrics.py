"""The metrics against independent implementations, closed forms and their own declarations."""

import itertools

import numpy as np
import ot
import pytest
import repsim
import scipy.linalg
import scipy.spatial.distance
import scipy.special
import scipy.stats
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestNeighbors

from interp.core.errors import ConfigError
from interp.metrics import METRICS
from interp.metrics.distributions import (
    CosineOfMeans,
    GromovWasserstein,
    PrincipalAngles,
    SingularValues,
    Wasserstein,
)
from interp.metrics.kernels import RBFCKA, RSA, LinearCKA, MutualKNN, Recurrence, RVCoefficient
from interp.metrics.pairs import Cosine, DifferenceNorm, Euclidean, Trace
from interp.metrics.subspaces import CCA, PWCCA, SVCCA, LinearPredictivity, Procrustes
from interp.metrics.vocabulary import (
    JensenShannon,
    KLDivergence,
    Pearson,
    TopKOverlap,
    TotalVariation,
)

VARIANTS = [
    Cosine(),
    Euclidean(),
    Euclidean(relative=False),
    *(DifferenceNorm(norm, r) for norm in ("frobenius", "spectral", "nuclear") for r in (0, 1)),
    Trace(),
    Trace(center=False),
    LinearCKA(),
    LinearCKA(debiased=False),
    RBFCKA(),
    RBFCKA(bandwidth=0.4, debiased=False),
    RVCoefficient(),
    RVCoefficient(modified=True),
    *(RSA(c, d) for c in ("spearman", "pearson") for d in ("correlation", "cosine", "euclidean")),
    MutualKNN(k=3),
    Recurrence(rate=0.2),
    Procrustes(),
    CCA(components=4),
    CCA(components=None),
    SVCCA(variance=0.9, components=None),
    SVCCA(components=3),
    PWCCA(components=5),
    PWCCA(components=None),
    LinearPredictivity(),
    LinearPredictivity(folds=3, ridge=1.0),
    CosineOfMeans(),
    SingularValues(),
    SingularValues(center=False, relative=False),
    PrincipalAngles(components=2),
    Wasserstein(),
    GromovWasserstein(),
    KLDivergence(),
    KLDivergence("reverse"),
    JensenShannon(),
    TotalVariation(),
    TopKOverlap(k=2),
    Pearson(),
]
every_metric = pytest.mark.parametrize("metric", VARIANTS, ids=repr)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def clouds(rng):
    x = rng.normal(size=(30, 8)) * rng.uniform(0.5, 3, 8) + rng.normal(size=8)
    y = x @ rng.normal(size=(8, 8)) + 2 * rng.normal(size=(30, 8)) + rng.normal(size=8)
    return x, y


def test_every_registered_metric_is_tested():
    assert {METRICS.name_of(metric) for metric in VARIANTS} == set(METRICS)


def over_pairs(measure):
    return lambda x, y: np.mean([measure(a, b) for a, b in zip(x, y, strict=True)])


def softmax(x):
    return scipy.special.softmax(x, axis=1)


def relative_norm(order):
    return lambda x, y: (
        np.linalg.norm(x - y, order) / (np.linalg.norm(x, order) + np.linalg.norm(y, order))
    )


def rv(x, y, *, modified):
    """Smilde et al. (2009): the matrix correlation of XXᵀ and YYᵀ, diagonals off if modified."""
    x, y = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    if modified:
        x, y = (z - np.diag(np.diag(z)) for z in (x, y))
    return np.trace(x.T @ y) / np.sqrt(np.trace(x.T @ x) * np.trace(y.T @ y))


def song_cka(kernel_x, kernel_y):
    def hsic(k, el):
        """Song et al. (2012), equation 4, term by term."""
        n = len(k)
        k, el = k - np.diag(np.diag(k)), el - np.diag(np.diag(el))
        one = np.ones(n)
        first = np.trace(k @ el)
        second = (one @ k @ one) * (one @ el @ one) / ((n - 1) * (n - 2))
        third = 2 / (n - 2) * (one @ k @ el @ one)
        return (first + second - third) / (n * (n - 3))

    return hsic(kernel_x, kernel_y) / np.sqrt(hsic(kernel_x, kernel_x) * hsic(kernel_y, kernel_y))


def gaussian(x, bandwidth):
    median = np.median(scipy.spatial.distance.pdist(x))
    return rbf_kernel(x, gamma=1 / (2 * (bandwidth * median) ** 2))


def biased_cka(kernel_x, kernel_y):
    centring = np.eye(len(kernel_x)) - 1 / len(kernel_x)
    x, y = (centring @ k @ centring for k in (kernel_x, kernel_y))
    return (x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)


def rsa(correlation, dissimilarity):
    pdist = scipy.spatial.distance.pdist
    return lambda x, y: correlation(pdist(x, dissimilarity), pdist(y, dissimilarity))[0]


def mutual_neighbours(x, y, k=3):
    near = [
        NearestNeighbors(n_neighbors=k + 1, metric="cosine").fit(z).kneighbors(z)[1][:, 1:]
        for z in (x, y)
    ]
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)])


def recurrences(x, y, rate=0.2):
    pairs = [scipy.spatial.distance.pdist(z) for z in (x, y)]
    close = [p <= np.sort(p)[round(rate * len(p)) - 1] for p in pairs]
    return (close[0] & close[1]).sum() / close[0].sum()


def canonical(x, y):
    """Canonical correlations as the generalised eigenvalues of covariances."""
    x, y = x - x.mean(0), y - y.mean(0)
    cross = x.T @ y
    explained = cross @ np.linalg.solve(y.T @ y, cross.T)
    squares, directions = scipy.linalg.eigh(explained, x.T @ x)
    return np.sqrt(np.maximum(squares[::-1], 0)), directions[:, ::-1]


def pwcca(x, y):
    """Morcos et al. (2018): weights from the canonical variates' products with the neurons."""
    rho, directions = canonical(x, y)
    x = x - x.mean(0)
    variates = x @ directions
    variates /= np.linalg.norm(variates, axis=0)
    weights = np.abs(variates.T @ x).sum(1)
    return (weights * rho).sum() / weights.sum()


def principal_scores(x, k):
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return u[:, :k] * s[:k]


def held_out_r2(x, y):
    error = baseline = 0
    for training, test in KFold(5).split(x):
        lengths = ((x[training] - x[training].mean(0)) ** 2).sum(1)
        model = Ridge(alpha=0.1 * lengths.mean()).fit(x[training], y[training])
        error += ((y[test] - model.predict(x[test])) ** 2).sum()
        baseline += ((y[test] - y[training].mean(0)) ** 2).sum()
    return 1 - error / baseline


def spectra_apart(x, y, *, center, relative):
    s = [scipy.linalg.svdvals(z - center * z.mean(0)) / np.sqrt(len(z)) for z in (x, y)]
    return np.linalg.norm(s[0] - s[1]) / (sum(map(np.linalg.norm, s)) if relative else 1)


def subspaces_apart(x, y):
    axes = [np.linalg.svd(z - z.mean(0))[2][:2].T for z in (x, y)]
    return np.degrees(scipy.linalg.subspace_angles(*axes)).mean()


def top_words_shared(x, y):
    return over_pairs(lambda a, b: len({*np.argsort(-a)[:2]} & {*np.argsort(-b)[:2]}) / 2)(x, y)


ORACLES = [
    (Cosine(), over_pairs(lambda a, b: 1 - scipy.spatial.distance.cosine(a, b))),
    (Euclidean(relative=False), over_pairs(scipy.spatial.distance.euclidean)),
    (
        Euclidean(),
        over_pairs(lambda a, b: np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))),
    ),
    (DifferenceNorm("frobenius", False), lambda x, y: np.linalg.norm(x - y)),
    (DifferenceNorm("spectral", False), lambda x, y: np.linalg.norm(x - y, 2)),
    (DifferenceNorm("nuclear", False), lambda x, y: np.linalg.norm(x - y, "nuc")),
    (DifferenceNorm("frobenius"), relative_norm(None)),
    (DifferenceNorm("spectral"), relative_norm(2)),
    (DifferenceNorm("nuclear"), relative_norm("nuc")),
    (Trace(center=False), lambda x, y: np.trace(x.T @ y) / np.sqrt((x**2).sum() * (y**2).sum())),
    (LinearCKA(), lambda x, y: song_cka(x @ x.T, y @ y.T)),
    (LinearCKA(debiased=False), lambda x, y: repsim.cka([x, y], "linear", "gretton")[0, 1]),
    (RBFCKA(), lambda x, y: song_cka(gaussian(x, 0.8), gaussian(y, 0.8))),
    (
        RBFCKA(bandwidth=0.4, debiased=False),
        lambda x, y: biased_cka(gaussian(x, 0.4), gaussian(y, 0.4)),
    ),
    (RVCoefficient(), lambda x, y: rv(x, y, modified=False)),
    (RVCoefficient(modified=True), lambda x, y: rv(x, y, modified=True)),
    *(
        (RSA(name, d), rsa(correlation, d))
        for name, correlation in (
            ("spearman", scipy.stats.spearmanr),
            ("pearson", scipy.stats.pearsonr),
        )
        for d in ("correlation", "cosine", "euclidean")
    ),
    (MutualKNN(k=3), mutual_neighbours),
    (Recurrence(rate=0.2), recurrences),
    (CCA(components=None), lambda x, y: canonical(x, y)[0].mean()),
    (
        CCA(components=4),
        lambda x, y: canonical(principal_scores(x, 4), principal_scores(y, 4))[0].mean(),
    ),
    (PWCCA(components=None), pwcca),
    (LinearPredictivity(), held_out_r2),
    (
        CosineOfMeans(),
        lambda x, y: 1 - scipy.spatial.distance.cosine(x.mean(0), y.mean(0)),
    ),
    (SingularValues(), lambda x, y: spectra_apart(x, y, center=True, relative=True)),
    (
        SingularValues(center=False, relative=False),
        lambda x, y: spectra_apart(x, y, center=False, relative=False),
    ),
    (PrincipalAngles(components=2), subspaces_apart),
    (
        Wasserstein(),
        lambda x, y: np.sqrt(ot.emd2([], [], scipy.spatial.distance.cdist(x, y, "sqeuclidean"))),
    ),
    (KLDivergence(), lambda x, y: over_pairs(scipy.stats.entropy)(softmax(x), softmax(y))),
    (
        KLDivergence("reverse"),
        lambda x, y: over_pairs(scipy.stats.entropy)(softmax(y), softmax(x)),
    ),
    (
        JensenShannon(),
        lambda x, y: over_pairs(lambda p, q: scipy.spatial.distance.jensenshannon(p, q) ** 2)(
            softmax(x), softmax(y)
        ),
    ),
    (TotalVariation(), lambda x, y: np.abs(softmax(x) - softmax(y)).sum(1).mean() / 2),
    (TopKOverlap(k=2), top_words_shared),
    (Pearson(), over_pairs(lambda a, b: scipy.stats.pearsonr(a, b)[0])),
]


@pytest.mark.parametrize(("metric", "oracle"), ORACLES, ids=[repr(metric) for metric, _ in ORACLES])
def test_values_are_those_of_an_independent_implementation(metric, oracle, clouds):
    assert metric(*clouds) == pytest.approx(oracle(*clouds), rel=1e-8, abs=1e-9)


def test_svcca_keeps_the_components_that_hold_the_variance(clouds):
    x, y = clouds
    spectra = [scipy.linalg.svdvals(z - z.mean(0)) ** 2 for z in clouds]
    kept = [int((np.cumsum(s) / s.sum() < 0.9).sum()) + 1 for s in spectra]
    assert kept == [4, 4]
    rho = canonical(principal_scores(x, kept[0]), principal_scores(y, kept[1]))[0]
    assert SVCCA(variance=0.9, components=None)(x, y) == pytest.approx(rho.mean())
    assert SVCCA(variance=0.9, components=3)(x, y) == pytest.approx(CCA(components=3)(x, y))


def test_canonical_correlations_are_repsims(clouds):
    rho = canonical(*clouds)[0]
    assert (rho**2).mean() == pytest.approx(repsim.cca(list(clouds), "yanai")[0, 1])
    assert CCA(components=None)(*clouds) == pytest.approx(rho.mean())


def test_procrustes_leaves_the_distance_that_scipys_rotation_leaves(clouds):
    x, y = ((z - z.mean(0)) / np.linalg.norm(z - z.mean(0)) for z in clouds)
    rotation, _ = scipy.linalg.orthogonal_procrustes(x, y)
    left = ((x @ rotation - y) ** 2).sum()
    assert Procrustes()(*clouds) == pytest.approx(1 - left / 2)


def test_gromov_wasserstein_of_two_points_is_the_difference_of_their_distances():
    x, y = np.array([[0.0], [3.0]]), np.array([[0.0, 0.0], [0.0, 5.0]])
    # Half of the pairs of points differ, by 2 each.
    assert GromovWasserstein()(x, y) == pytest.approx(np.sqrt(4 / 2))


def test_transport_between_clouds_of_unequal_size_is_pots(rng):
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(11, 3)) + 1
    expected = ot.emd2([], [], scipy.spatial.distance.cdist(x, y, "sqeuclidean"))
    assert Wasserstein()(x, y) == pytest.approx(np.sqrt(expected), rel=1e-7)


def test_independent_clouds_give_what_theory_says(rng):
    n, d = 400, 50
    x, y = rng.normal(size=(2, n, d))
    assert abs(LinearCKA()(x, y)) < 0.02
    assert LinearCKA(debiased=False)(x, y) == pytest.approx(d / (n + d), abs=0.02)
    rho = canonical(x, y)[0]
    assert CCA(components=None)(x, y) == pytest.approx(rho.mean())
    assert (rho**2).mean() == pytest.approx(d / (n - 1), abs=0.01)
    assert abs(RSA()(x, y)) < 0.05
    assert MutualKNN(k=10)(x, y) == pytest.approx(10 / (n - 1), abs=0.01)
    assert LinearPredictivity()(x, y) < 0


def test_the_order_of_tied_neighbours_does_not_matter(rng):
    """Independent clouds of few distinct points: p must be no smaller than its share."""
    metric, found = MutualKNN(k=5), []
    for _ in range(120):
        x, y = (rng.normal(size=(3, 4))[rng.choice(3, 24, p=(0.6, 0.3, 0.1))] for _ in range(2))
        orders = np.stack([np.arange(24), *(rng.permutation(24) for _ in range(99))])
        values = metric.evaluate_permutations([metric.prepared(x)], metric.prepared(y), orders)[0]
        found.append((values >= values[0] - 1e-12).mean())
    assert scipy.stats.kstest(found, "uniform", alternative="greater").pvalue > 0.01
    # On a line all points lie in one direction.
    with pytest.raises(ValueError, match="all points are equally near"):
        metric(np.exp(rng.normal(size=(24, 1))), x)


@pytest.mark.parametrize("spread", [1e-2, 1e-4])
def test_neighbours_that_lie_close_together_are_distinguished(spread, rng):
    base = rng.normal(size=64)
    x, y = (base + spread * rng.normal(size=(2, 30, 64))).astype(np.float32).astype(float)
    # Far from the origin the cosine depends on the component orthogonal to the base.
    across = [z - np.outer(z @ base, base) / (base @ base) for z in (x, y)]
    near = [NearestNeighbors(n_neighbors=6).fit(z).kneighbors(z)[1][:, 1:] for z in across]
    shared = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)])
    assert MutualKNN(k=5)(x, y) == pytest.approx(shared, abs=0.05)


@pytest.mark.parametrize("metric", [Wasserstein(), GromovWasserstein()], ids=repr)
@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e8])
def test_transport_does_not_depend_on_the_unit_of_length(metric, scale, rng):
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(9, 3)) + 1
    assert metric(scale * x, scale * y) == pytest.approx(scale * metric(x, y), rel=1e-6)


TRANSFORMATIONS = {
    "orthogonal": lambda x, rng: x @ scipy.stats.ortho_group.rvs(x.shape[1], random_state=rng),
    "scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + 5 * rng.normal(size=x.shape[1]),
    "linear": lambda x, rng: x @ (np.eye(x.shape[1]) + 0.4 * rng.normal(size=(x.shape[1],) * 2)),
    "permutation": lambda x, rng: x[rng.permutation(len(x))],
}


@every_metric
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_exactly_the_declared_invariances_hold(metric, name, clouds, rng):
    x, y = clouds
    transformed = (TRANSFORMATIONS[name](x, rng) for _ in range(3))
    # A share of whole words may stay the same by coincidence.
    changed = max(abs(metric(z, y) - metric(x, y)) for z in transformed)
    if name in metric.invariances:
        assert changed < 1e-9
    else:
        assert changed > 1e-5


@every_metric
def test_exactly_the_declared_symmetry_holds(metric, clouds):
    x, y = clouds
    changed = abs(metric(x, y) - metric(y, x))
    assert changed < 1e-9 if metric.symmetric else changed > 1e-5


@every_metric
def test_values_stay_in_bounds_and_identity_is_closest(metric, rng):
    low, high = metric.bounds
    for n, d in itertools.product((12, 30), (5, 20)):
        if metric.min_samples > n or (getattr(metric, "components", 1) is None and n <= 2 * d):
            continue
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
        assert low - 1e-12 <= metric(x, y) <= high + 1e-12
        itself = metric(x, x)
        assert metric.identity(metric.prepared(x)) == pytest.approx(itself, abs=1e-6)
        if isinstance(metric, LinearPredictivity):
            # Held-out points cannot be predicted perfectly.
            assert metric(x, y) < itself < 1
        else:
            assert itself == pytest.approx(high if metric.larger_is_closer else low, abs=1e-6)


@every_metric
def test_a_null_holds_the_value_of_each_permutation_and_of_each_cloud(metric, clouds, rng):
    x, y = clouds
    other = x + rng.normal(size=x.shape)
    if metric.paired:
        permutations = np.stack([rng.permutation(len(y)) for _ in range(6)])
        expected = [[metric(z, y[order]) for order in permutations] for z in (x, other)]
    else:
        y = y[:21]
        permutations = np.stack([rng.permutation(51) < size for size in rng.integers(12, 40, 6)])
        pooled = (np.concatenate([z, y]) for z in (x, other))
        expected = [[metric(z[mask], z[~mask]) for mask in permutations] for z in pooled]
    xs = [metric.prepared(x), metric.prepared(other)]
    found = metric.evaluate_permutations(xs, metric.prepared(y), permutations)
    np.testing.assert_allclose(found, expected, atol=1e-8)


@every_metric
def test_dimensions_may_differ_where_the_definition_allows_it(metric, clouds):
    x, y = clouds
    if metric.same_width:
        with pytest.raises(ValueError, match="points of one space, not of 8 and 5 dimensions"):
            metric(x, y[:, :5])
    else:
        assert np.isfinite(metric(x, y[:, :5]))


@every_metric
def test_clouds_that_no_metric_can_compare_are_an_error(metric, clouds):
    x, y = clouds
    if metric.paired:
        with pytest.raises(ValueError, match="pairs need equally many points, not 30 and 29"):
            metric(x, y[:-1])
    for broken in (np.where(x == x[3, 2], np.nan, x), np.where(x == x[3, 2], np.inf, x)):
        with pytest.raises(ValueError, match="must be finite"):
            metric(broken, y)
    if metric.min_samples > 1:
        few = slice(metric.min_samples - 1)
        with pytest.raises(ValueError, match=f"needs at least {metric.min_samples} points"):
            metric(x[few], y[few])


@every_metric
@pytest.mark.parametrize(
    "cloud",
    [np.ones((30, 8)), np.zeros((30, 8)), np.float32(0.1) + np.zeros((30, 8))],
    ids=["ones", "zeros", "a float"],
)
def test_a_cloud_of_one_repeated_point_is_an_error_or_has_a_finite_value(metric, cloud, clouds):
    for other in (cloud, clouds[0]):
        try:
            value = metric(cloud, other)
        except ValueError as error:
            said = str(error)
            assert any(
                word in said
                for word in (
                    "coincide",
                    "origin",
                    "equally far",
                    "equally near",
                    "repeated",
                    "all equal",
                )
            )
        else:
            assert np.isfinite(value)
            assert metric.bounds[0] - 1e-12 <= value <= metric.bounds[1] + 1e-12


@every_metric
def test_rank_deficient_clouds_are_no_special_case(metric, clouds):
    x, y = clouds
    flat = np.column_stack([x[:, :3], np.zeros((len(x), 2)), x[:, :3]])
    try:
        assert np.isfinite(metric(flat, y))
    except ValueError as error:
        assert "span 3 dimensions" in str(error)  # noqa: PT017 — an error is one of two answers


@pytest.mark.parametrize(
    ("metric", "x", "said"),
    [
        (Cosine(), np.eye(4) * [0, 1, 1, 1], "point 0 lies at the origin"),
        (LinearCKA(), np.eye(5), "equally far apart"),
        (LinearCKA(), scipy.stats.ortho_group.rvs(12, random_state=1), "equally far apart"),
        (RSA(dissimilarity="euclidean"), np.eye(6), "equally far apart"),
        (RSA(), np.eye(6) + [[1.0]] * 6, "equally far apart"),
        (Recurrence(), np.eye(6), "equally far apart"),
        (CCA(components=None), np.random.default_rng(0).normal(size=(10, 20)), "whatever the"),
        (PWCCA(components=None), np.random.default_rng(0).normal(size=(10, 20)), "whatever the"),
        (SVCCA(components=None), np.random.default_rng(0).normal(size=(10, 20)), "whatever the"),
        (PrincipalAngles(components=3), np.eye(6)[:, :2], "span 2 dimensions, fewer than the 3"),
        (TopKOverlap(k=8), np.eye(8), "all of 8 words"),
    ],
    ids=lambda value: repr(value) if hasattr(value, "paired") else "",
)
def test_degenerate_clouds_are_an_error(metric, x, said):
    with pytest.raises(ValueError, match=said):
        metric(x, x)


def test_distributions_far_apart_have_finite_divergences():
    x, y = np.array([[800.0, 0.0, -800.0, 1.0]]), np.array([[-800.0, 0.0, 800.0, 1.0]])
    assert KLDivergence()(x, y) == pytest.approx(1600)
    assert JensenShannon()(x, y) == pytest.approx(np.log(2))
    assert TotalVariation()(x, y) == pytest.approx(1)


def test_vocabularies_of_several_chunks_are_summed_whole(rng):
    x, y = rng.normal(size=(2, 5, 10_000))
    p, q = softmax(x), softmax(y)
    kl = over_pairs(scipy.stats.entropy)(p, q)
    assert KLDivergence()(x, y) == pytest.approx(kl)
    assert TotalVariation()(x, y) == pytest.approx(np.abs(p - q).sum(1).mean() / 2)
    js = over_pairs(lambda a, b: scipy.spatial.distance.jensenshannon(a, b) ** 2)(p, q)
    assert JensenShannon()(x, y) == pytest.approx(js)
    correlation = over_pairs(lambda a, b: np.corrcoef(a, b)[0, 1])
    assert Pearson()(x, y) == pytest.approx(correlation(x, y))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DifferenceNorm(norm="frobenious"), "did you mean 'frobenius'"),
        (lambda: RSA(correlation="kendall"), "correlation cannot be 'kendall'"),
        (lambda: RSA(dissimilarity="euclid"), "did you mean 'euclidean'"),
        (lambda: RBFCKA(bandwidth=0), "bandwidth must be above 0"),
        (lambda: MutualKNN(k=0), "k must be at least 1"),
        (lambda: Recurrence(rate=1.0), "rate must lie between 0 and 1"),
        (lambda: CCA(components=0), "components must be at least 1"),
        (lambda: SVCCA(variance=0.0), "variance must lie between 0 and 1"),
        (lambda: PrincipalAngles(components=0), "components must be at least 1"),
        (lambda: LinearPredictivity(folds=1), "folds must be at least 2"),
        (lambda: LinearPredictivity(ridge=-1.0), "ridge must be at least 0"),
        (lambda: KLDivergence(direction="both"), "direction cannot be 'both'"),
        (lambda: TopKOverlap(k=0), "k must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()
