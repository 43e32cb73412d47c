"""The metrics against independent implementations, closed forms and their own declarations."""

import itertools

import numpy as np
import pytest
import repsim
import scipy.linalg
import scipy.spatial
import scipy.stats

from interp import similarity
from interp.metrics import METRICS, Cosine, LinearCKA, Procrustes, SingularValues

VARIANTS = [
    Cosine(),
    LinearCKA(),
    LinearCKA(debiased=False),
    Procrustes(),
    SingularValues(),
    SingularValues(center=False),
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


def test_cosine_is_scipys(clouds):
    x, y = clouds
    expected = np.mean([1 - scipy.spatial.distance.cosine(a, b) for a, b in zip(x, y, strict=True)])
    assert similarity.cosine(x, y) == pytest.approx(expected, abs=1e-14)


def test_biased_cka_is_repsims(clouds):
    expected = repsim.cka(list(clouds), "linear", "gretton")[0, 1]
    assert similarity.linear_cka(*clouds, debiased=False) == pytest.approx(expected, abs=1e-12)


def test_debiased_cka_is_the_published_estimator(clouds):
    def hsic(k, el):
        """Song et al. (2012), equation 4, term by term."""
        n = len(k)
        k, el = k - np.diag(np.diag(k)), el - np.diag(np.diag(el))
        one = np.ones(n)
        first = np.trace(k @ el)
        second = (one @ k @ one) * (one @ el @ one) / ((n - 1) * (n - 2))
        third = 2 / (n - 2) * (one @ k @ el @ one)
        return (first + second - third) / (n * (n - 3))

    k, el = (z @ z.T for z in clouds)
    expected = hsic(k, el) / np.sqrt(hsic(k, k) * hsic(el, el))
    assert similarity.linear_cka(*clouds, debiased=True) == pytest.approx(expected, abs=1e-12)


def test_independent_clouds_have_the_expected_cka(rng):
    n, d = 40, 60
    pairs = [(rng.normal(size=(n, d)), rng.normal(size=(n, d))) for _ in range(200)]
    biased = np.mean([similarity.linear_cka(x, y, debiased=False) for x, y in pairs])
    debiased = np.mean([similarity.linear_cka(x, y, debiased=True) for x, y in pairs])
    assert biased == pytest.approx(d / (n + d), abs=0.01)
    assert debiased == pytest.approx(0, abs=0.01)


def test_procrustes_is_scipys(clouds):
    x, y = clouds
    _, _, disparity = scipy.spatial.procrustes(x, y)
    assert similarity.procrustes(x, y) ** 2 == pytest.approx(1 - disparity, abs=1e-12)
    centred = [z - z.mean(0) for z in clouds]
    a, b = (z / np.linalg.norm(z) for z in centred)
    _, scale = scipy.linalg.orthogonal_procrustes(a, b)
    assert similarity.procrustes(x, y) == pytest.approx(scale, abs=1e-12)


def test_singular_values_of_known_spectra():
    x = np.diag([3.0, 4.0, 0.0])[:2]
    y = np.diag([6.0, 8.0, 0.0])[:2]
    assert similarity.singular_value_distance(x, y, center=False) == pytest.approx(5 / 15)
    tripled = np.tile(x, (3, 1))
    assert similarity.singular_value_distance(x, tripled, center=False) == pytest.approx(
        0, abs=1e-9
    )


def test_singular_values_are_scipys(clouds):
    spectra = [scipy.linalg.svdvals(z - z.mean(0)) / np.sqrt(len(z)) for z in clouds]
    a, b = spectra
    expected = np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))
    found = similarity.singular_value_distance(*clouds, center=True)
    assert found == pytest.approx(expected, abs=1e-12)


def changes(rng, n, d):
    rotation = scipy.stats.ortho_group.rvs(d, random_state=1)
    return {
        "orthogonal": lambda x: x @ rotation,
        "scale": lambda x: 3.7 * x,
        "translation": lambda x: x + rng.normal(size=d),
        "permutation": lambda x: x[rng.permutation(n)],
    }


@every_metric
def test_declared_invariances_hold_and_no_other_does(metric, clouds, rng):
    x, y = clouds
    before = metric(x, y)
    for name, change in changes(rng, *x.shape).items():
        after = metric(change(x), y)
        if name in metric.invariances:
            assert after == pytest.approx(before, abs=1e-10), name
        else:
            assert abs(after - before) > 1e-3, name


@every_metric
def test_values_stay_in_bounds_and_identity_is_closest(metric, rng):
    low, high = metric.bounds
    for n, d in itertools.product((4, 9), (1, 3, 20)):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
        assert low - 1e-12 <= metric(x, y) <= high + 1e-12
        closest = high if metric.larger_is_closer else low
        assert metric(x, x) == pytest.approx(closest, abs=1e-7)


@every_metric
def test_the_bulk_form_is_the_plain_one_draw_by_draw(metric, clouds, rng):
    x, y = clouds
    if metric.paired:
        draws = np.stack([rng.permutation(len(y)) for _ in range(20)])
        expected = [metric(x, y[order]) for order in draws]
    else:
        y = y[:11]
        pooled = np.concatenate([x, y])
        draws = np.stack([rng.permutation(len(pooled)) < size for size in rng.integers(5, 20, 20)])
        expected = [metric(pooled[mask], pooled[~mask]) for mask in draws]
    np.testing.assert_allclose(metric.rearranged(x, y, draws), expected, atol=1e-7)


@every_metric
def test_dimensions_may_differ_where_the_definition_allows_it(metric, clouds):
    x, y = clouds
    if isinstance(metric, Cosine):
        with pytest.raises(ValueError, match="points of one shape"):
            metric(x, y[:, :3])
    else:
        assert np.isfinite(metric(x, y[:, :3]))


@pytest.mark.parametrize(
    ("metric", "x", "said"),
    [
        (Cosine(), np.eye(4) * [0, 1, 1, 1], "point 0 lies at the origin"),
        (LinearCKA(), np.ones((5, 4)), "all points coincide"),
        (LinearCKA(), np.float32(0.1) + np.zeros((5, 4)), "all points coincide"),
        (LinearCKA(), np.eye(3, 4), "needs more points than 3"),
        (LinearCKA(), np.eye(4), "equally far apart"),
        (LinearCKA(), scipy.stats.ortho_group.rvs(12, random_state=1), "equally far apart"),
        (LinearCKA(debiased=False), np.ones((1, 4)), "needs more points than 1"),
        (Procrustes(), np.ones((5, 4)), "all points coincide"),
        (SingularValues(), np.ones((5, 4)), "a single repeated point"),
        (SingularValues(center=False), np.zeros((5, 4)), "a single repeated point"),
    ],
)
def test_clouds_without_shape_are_an_error(metric, x, said):
    with pytest.raises(ValueError, match=said):
        metric(x, x)


@pytest.mark.parametrize("metric", [Cosine(), LinearCKA(), Procrustes()], ids=repr)
def test_pairs_need_equally_many_points(metric, clouds):
    x, y = clouds
    with pytest.raises(ValueError, match="pairs need"):
        metric(x, y[:-1])


def test_rank_deficient_clouds_are_no_special_case(clouds):
    x, y = clouds
    flat = np.column_stack([x[:, :2], np.zeros((len(x), 5)), x[:, :2]])
    for metric in (LinearCKA(), Procrustes(), SingularValues()):
        assert np.isfinite(metric(flat, y))
