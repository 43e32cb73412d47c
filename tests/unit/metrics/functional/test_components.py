"""Principal components by each of their three ways against scikit-learn's full decomposition."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from interp.metrics.functional import components
from interp.metrics.functional.components import principal_components
from interp.metrics.functional.points import distances, distances_by_products
from interp.metrics.functional.subspaces import leading_basis

SHAPES = [(200, 12), (30, 90), (40, 40), (41, 40)]


def cloud(n, d, smallest, seed=0):
    """Points whose standard deviations fall from 1 to the smallest, far from the origin."""
    rng = np.random.default_rng(seed)
    k = min(n - 1, d)
    u = rng.normal(size=(n, k))
    u = np.linalg.qr(u - u.mean(0))[0]
    v = np.linalg.qr(rng.normal(size=(d, k)))[0]
    return u * np.geomspace(1, smallest, k) @ v.T + 10


@pytest.mark.parametrize("smallest", [1e-1, 1e-4, 1e-7])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_components_are_scikit_learns_however_small_they_are(n, d, smallest):
    x = cloud(n, d, smallest)
    k = 8
    mean, axes, shares = principal_components(x, k)
    theirs = PCA(k, svd_solver="full").fit(x)
    np.testing.assert_allclose(mean, theirs.mean_)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(axes, theirs.components_, atol=1e-8)
    np.testing.assert_allclose(axes @ axes.T, np.eye(k), atol=1e-10)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_where_squares_would_lose_digits_the_points_are_decomposed(n, d, monkeypatch):
    x = cloud(n, d, 1e-8)
    k = min(n - 1, d)
    exact = PCA(k, svd_solver="full").fit(x).explained_variance_ratio_
    found = principal_components(x, k)[2]
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    # Without the way out the smallest would be noise.
    monkeypatch.setattr(components, "_SMALLEST_VARIANCE", 0)
    careless = principal_components(x, k)[2]
    assert abs(careless[-1] / exact[-1] - 1) > 1e-4


@pytest.mark.parametrize("smallest", [1e-1, 1e-4, 1e-7])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_bases_span_what_singular_vectors_span(n, d, smallest):
    x = cloud(n, d, smallest)
    basis = leading_basis(x, components=6, variance=1.0)
    k = basis.shape[1]
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    # No more than hold all of the variance but rounding.
    held = np.cumsum(s**2) / (s**2).sum()
    assert k == min(6, np.searchsorted(held, 1 - 1e-12) + 1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(k), atol=1e-9)
    np.testing.assert_allclose(basis @ basis.T, u[:, :k] @ u[:, :k].T, atol=1e-8)


def test_distances_by_products_keep_those_of_close_and_of_coinciding_points():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)) + 1000
    x[1] = x[0]
    x[2] = x[0] + 1e-9
    x[3:20] = x[3] + 1e-4 * rng.normal(size=(17, 20))
    y = np.concatenate([x[:50], rng.normal(size=(20, 20)) + 1000])
    np.testing.assert_allclose(distances_by_products(x, y), distances(x, y, "euclidean"), rtol=1e-9)


def test_distances_by_products_of_clusters_are_exact_too():
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=(3, 5)), 400, axis=0) + 1e-6 * rng.normal(size=(1200, 5))
    found = distances_by_products(x, x)
    np.testing.assert_allclose(found, distances(x, x, "euclidean"), rtol=1e-8, atol=1e-18)
