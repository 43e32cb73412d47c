"""Moments merged chunk by chunk against NumPy and scikit-learn over all points at once."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from interp.metrics.functional.moments import Moments, linear_cka, principal_axes
from interp.metrics.kernels import LinearCKA


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def clouds(rng, n=500, offset=0.0):
    x = rng.normal(size=(n, 6)) @ rng.normal(size=(6, 6)) + offset * rng.normal(size=6)
    return x, np.tanh(x[:, :4]) + rng.normal(size=(n, 4)) + offset


def chunks(x, y, sizes=(1, 7, 120, 2, 300, 70)):
    ends = np.cumsum(sizes)
    assert ends[-1] == len(x)
    return list(zip(np.split(x, ends[:-1]), np.split(y, ends[:-1]), strict=True))


def merged(parts):
    first, *rest = (Moments.of(x, y) for x, y in parts)
    return sum(rest, first)


@pytest.mark.parametrize("offset", [0, 1e4])
def test_merged_moments_are_those_of_all_points(offset, rng):
    x, y = clouds(rng, offset=offset)
    found = merged(chunks(x, y))
    assert found.count == 500
    np.testing.assert_allclose(found.means[0], x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.means[1], y.mean(0), rtol=1e-14)
    x, y = x - x.mean(0), y - y.mean(0)
    of_x, of_y = (x**2).sum(1), (y**2).sum(1)
    # What points so far from the origin leave of their digits.
    kept = {"rtol": 1e-12 + 1e-14 * offset, "atol": 1e-10 * (1 + offset)}
    np.testing.assert_allclose(found.scatter, x.T @ y, **kept)
    np.testing.assert_allclose(found.sizes, (of_x.sum(), of_y.sum()), **kept)
    np.testing.assert_allclose(found.thirds[0], of_y @ x, **kept)
    np.testing.assert_allclose(found.thirds[1], of_x @ y, **kept)
    assert found.fourth == pytest.approx(of_x @ of_y, rel=kept["rtol"])


def test_a_cloud_of_many_chunks_has_the_covariance_of_numpy(rng):
    x = rng.normal([0, 50, -2000], size=(9000, 3)).astype(np.float32)
    found = Moments.of(x, x)
    expected = np.cov(x.astype(np.float64).T)
    np.testing.assert_allclose(found.scatter / (found.count - 1), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("debiased", [False, True])
def test_cka_of_chunks_is_that_of_the_gram_matrices(debiased, offset, rng):
    x, y = clouds(rng, offset=offset)
    gram_x, gram_y = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    n = len(x)
    if debiased:
        for gram in (gram_x, gram_y):
            np.fill_diagonal(gram, 0)
            sums = gram.sum(0)
            gram -= (sums[:, None] + sums) / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
            np.fill_diagonal(gram, 0)
    expected = (gram_x * gram_y).sum() / np.linalg.norm(gram_x) / np.linalg.norm(gram_y)
    found = linear_cka(iter(chunks(x, y)), debiased=debiased)
    assert found == pytest.approx(expected, abs=1e-11)


def test_independent_clouds_give_what_theory_says(rng):
    n, d = 4000, 200
    halves = [tuple(rng.normal(size=(2, n // 2, d))) for _ in range(2)]
    assert linear_cka(halves, debiased=False) == pytest.approx(d / (n + d), rel=0.02)
    assert abs(linear_cka(halves, debiased=True)) < 2e-3


def test_clouds_without_a_shape_are_refused():
    same = np.ones((5, 2))
    other = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(ValueError, match="equally far apart"):
        linear_cka([(other, same)], debiased=False)
    with pytest.raises(ValueError, match="more points than 3"):
        linear_cka([(other[:3], other[:3])], debiased=True)
    # The unbiased estimator sees nothing in a simplex.
    with pytest.raises(ValueError, match="equally far apart"):
        linear_cka([(np.eye(5), np.eye(5))], debiased=True)


def test_it_agrees_with_the_metric(rng):
    x, y = clouds(rng)
    assert linear_cka(chunks(x, y), debiased=True) == pytest.approx(LinearCKA()(x, y), abs=1e-12)


def test_axes_are_scikit_learns(rng):
    x, _ = clouds(rng, offset=100.0)
    variances, axes = principal_axes(merged(chunks(x, x)), 4)
    theirs = PCA(4, svd_solver="full").fit(x)
    np.testing.assert_allclose(variances, theirs.explained_variance_, rtol=1e-11)
    np.testing.assert_allclose(axes, theirs.components_, atol=1e-10)
