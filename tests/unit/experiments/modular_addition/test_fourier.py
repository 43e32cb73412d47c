"""Fourier analysis over Z_n against NumPy's FFT, closed forms, and what no order may change."""

import numpy as np
import pytest

from interp.experiments.modular_addition.fourier import (
    component_names,
    cosines,
    dominant_frequencies,
    fourier_basis,
    frequencies,
    gini,
    power_by_frequency,
    squared_norms,
)

SIZES = [3, 4, 7, 8, 59, 113, 200]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", SIZES)
def test_the_basis_is_orthonormal_and_its_rows_are_what_they_are_called(n):
    basis = fourier_basis(n)
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), atol=1e-12)
    x = np.arange(n)
    for row, k, name in zip(basis, frequencies(n), component_names(n), strict=True):
        kind, _, number = name.partition(" ")
        assert int(number or 0) == k
        wave = {"const": np.ones(n), "cos": np.cos(2 * np.pi * k * x / n)}.get(
            kind, np.sin(2 * np.pi * k * x / n)
        )
        np.testing.assert_allclose(row, wave / np.linalg.norm(wave), atol=1e-12)


def test_rows_are_in_the_order_of_their_frequencies():
    assert component_names(5) == ["const", "cos 1", "sin 1", "cos 2", "sin 2"]
    assert component_names(6) == ["const", "cos 1", "sin 1", "cos 2", "sin 2", "cos 3"]
    assert frequencies(6).tolist() == [0, 1, 1, 2, 2, 3]


def test_angles_lose_no_accuracy_where_waves_turn_often():
    """cos(2πkx/n) with k = (n - 1) / 2 is (-1)^x cos(πx/n)."""
    n = 1001
    x = np.arange(n)
    expected = (-1.0) ** x * np.cos(np.pi * x / n)
    np.testing.assert_allclose(cosines(n)[-1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", SIZES)
def test_squared_norms_are_those_of_the_cosines(n):
    np.testing.assert_allclose((cosines(n) ** 2).sum(1), squared_norms(n))


def test_fewer_than_three_numbers_have_no_basis():
    with pytest.raises(ValueError, match="at least 3 numbers, not 2"):
        fourier_basis(2)


@pytest.mark.parametrize("n", SIZES)
def test_power_is_that_of_the_basis_and_of_the_fft(n, rng):
    matrix = rng.normal(size=(n, 4, 3)) + 5
    found = power_by_frequency(matrix)
    squares = (np.tensordot(fourier_basis(n), matrix, 1) ** 2).sum((1, 2))
    np.testing.assert_allclose(found, [squares[frequencies(n) == k].sum() for k in _all(n)])
    full = (np.abs(np.fft.fft(matrix, axis=0)) ** 2).sum((1, 2)) / n
    np.testing.assert_allclose(found, [sum(full[list({k, n - k})]) for k in _all(n)])
    np.testing.assert_allclose(found.sum(), ((matrix - matrix.mean(0)) ** 2).sum())


def _all(n):
    return range(1, n // 2 + 1)


def test_moving_the_order_on_or_turning_it_round_changes_no_power(rng):
    matrix = rng.normal(size=(30, 6))
    found = power_by_frequency(matrix)
    np.testing.assert_allclose(power_by_frequency(np.roll(matrix, 7, 0)), found)
    np.testing.assert_allclose(power_by_frequency(matrix[::-1]), found)


@pytest.mark.parametrize(("n", "u"), [(31, 5), (30, 7)])
def test_reading_every_uth_row_moves_frequency_k_to_ku(n, u, rng):
    matrix = rng.normal(size=(n, 6))
    k = np.arange(1, n // 2 + 1)
    moved = np.minimum(k * u % n, n - k * u % n)
    stretched = power_by_frequency(matrix[np.arange(n) * u % n])
    np.testing.assert_allclose(stretched[moved - 1], power_by_frequency(matrix))


@pytest.mark.parametrize("n", [7, 8, 113])
def test_the_dominant_frequency_has_the_largest_power_in_the_basis(n, rng):
    vectors = rng.normal(size=(n, 20)) + 3
    found, share = dominant_frequencies(vectors)
    squares = (fourier_basis(n) @ vectors) ** 2
    power = np.array([squares[frequencies(n) == k].sum(0) for k in _all(n)])
    np.testing.assert_array_equal(found, power.argmax(0) + 1)
    np.testing.assert_allclose(share, power.max(0) / power.sum(0))


def test_a_vector_that_does_not_vary_has_no_frequency():
    wave = np.cos(2 * np.pi * 3 * np.arange(7) / 7)
    vectors = np.column_stack([np.full(7, 0.1), np.zeros(7), wave])
    found, share = dominant_frequencies(vectors)
    np.testing.assert_array_equal(found, [0, 0, 3])
    np.testing.assert_allclose(share, [0, 0, 1])


def test_gini_is_the_mean_difference_over_twice_the_mean(rng):
    values = rng.exponential(size=40)
    apart = np.abs(values[:, None] - values).mean()
    assert gini(values) == pytest.approx(apart / (2 * values.mean()))
    assert gini(np.ones(5)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 7, 0])) == pytest.approx(3 / 4)
    assert gini(np.zeros(4)) == 0
