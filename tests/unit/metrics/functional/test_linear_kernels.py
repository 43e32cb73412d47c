"""Linear kernels by way of features against their matrices, in every arrangement."""

import tracemalloc

import numpy as np
import pytest

from interp.metrics.functional import linear_kernels
from interp.metrics.functional.linear_kernels import LinearKernel, inner_products
from interp.metrics.kernels import LinearCKA, RVCoefficient


def matrix(x, form):
    """The kernel entry by entry, from its definition."""
    x = x - x.mean(0)
    gram, n = x @ x.T, len(x)
    if form != "biased":
        np.fill_diagonal(gram, 0)
    if form == "debiased":
        rows, whole = gram.sum(0) / (n - 2), gram.sum() / ((n - 1) * (n - 2))
        gram = np.array(
            [
                [0 if i == j else gram[i, j] - rows[i] - rows[j] + whole for j in range(n)]
                for i in range(n)
            ]
        )
    return gram / np.linalg.norm(gram)


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) + 5
    return x, x @ rng.normal(size=(3, 4)) + rng.normal(size=(60, 4)), rng.normal(size=(60, 80))


@pytest.mark.parametrize("form", ["biased", "debiased", "modified"])
@pytest.mark.parametrize("largest", [0, 4096])
def test_both_ways_give_the_inner_product_of_the_matrices(form, largest, clouds, monkeypatch):
    monkeypatch.setattr(linear_kernels, "_LARGEST_MATRIX", largest)
    orders = np.array([np.random.default_rng(i).permutation(60) for i in range(7)])
    *xs, wide = (LinearKernel.of(cloud, form) for cloud in clouds)
    for y, points in ((wide, clouds[2]), (xs[0], clouds[0])):
        found = inner_products(xs, y, orders)
        of_y = matrix(points, form)
        expected = [
            [(matrix(x, form) * of_y[np.ix_(order, order)]).sum() for order in orders]
            for x in clouds[:2]
        ]
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    "metric",
    [LinearCKA(), LinearCKA(debiased=False), RVCoefficient(), RVCoefficient(modified=True)],
    ids=repr,
)
def test_no_matrix_is_made_of_many_points(metric, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 200_000, 3))
    # Of 40,000,000,000 numbers: it would not fit.
    x += y / 2
    value = metric(x, y)
    covariance = np.cov(np.column_stack([x, y]).T)
    within, between = covariance[:3, :3], covariance[:3, 3:]
    expected = (between**2).sum() / np.sqrt((within**2).sum() * (covariance[3:, 3:] ** 2).sum())
    assert value == pytest.approx(expected, abs=1e-4)


def test_wide_points_are_not_multiplied_feature_by_feature(monkeypatch):
    monkeypatch.setattr(linear_kernels, "_LARGEST_MATRIX", 10)
    points = np.random.default_rng(0).normal(size=(100, 4000))
    tracemalloc.start()
    kernel = LinearKernel.of(points, "debiased")
    (found,) = inner_products([kernel], kernel, np.arange(100)[None])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(found, 1)
    # As logits have them: 50,257 features would take 20 GB.
    assert peak < 4000**2 * 8 / 4


@pytest.mark.parametrize("n", [30, 500])
def test_points_without_a_shape_are_refused(n):
    with pytest.raises(ValueError, match="coincide"):
        LinearKernel.of(np.full((n, 4), 0.1), "debiased")
    simplex = np.eye(n)
    with pytest.raises(ValueError, match="equally far apart"):
        LinearKernel.of(simplex, "debiased")


def test_an_error_names_too_few_points():
    with pytest.raises(ValueError, match="more points than 3"):
        LinearKernel.of(np.random.default_rng(0).normal(size=(3, 1)), "debiased")
