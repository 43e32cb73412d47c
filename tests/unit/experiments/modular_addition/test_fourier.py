"""Fourier analysis over Z_n against NumPy's FFT, closed forms, and what no order may change."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom

from interp.experiments.modular_addition.fourier import (
    cosines,
    dominant_frequencies,
    fourier_basis,
    frequencies,
    gini,
    key_frequencies,
    names,
    power_by_frequency,
    squared_norms,
)

SIZES = [3, 4, 7, 8, 59, 113, 200]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def planted(n, d, amplitudes, noise, rng, columns=None):
    """Waves of random phase in each column, an amplitude each, and noise of a share of the power.

    `columns` is how many of the columns the waves are in; all if not given.
    """
    x = np.arange(n)
    waves = np.zeros((n, d))
    for k, amplitude in amplitudes.items():
        angle = 2 * np.pi * k * x / n
        mixing = rng.normal(size=(2, columns or d))
        mixing /= np.linalg.norm(mixing)
        waves[:, : columns or d] += amplitude * np.stack([np.cos(angle), np.sin(angle)], 1) @ mixing
    error = rng.normal(size=(n, d))
    error -= error.mean(0)
    size = np.sqrt(noise / (1 - noise)) * np.linalg.norm(waves) / np.linalg.norm(error)
    return waves + size * error + rng.normal(size=d)


@pytest.mark.parametrize("n", SIZES)
def test_the_basis_is_orthonormal_and_its_rows_are_what_they_are_called(n):
    basis = fourier_basis(n)
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), atol=1e-12)
    x = np.arange(n)
    for row, k, name in zip(basis, frequencies(n), names(n), strict=True):
        kind, _, number = name.partition(" ")
        assert int(number or 0) == k
        wave = {"const": np.ones(n), "cos": np.cos(2 * np.pi * k * x / n)}.get(
            kind, np.sin(2 * np.pi * k * x / n)
        )
        np.testing.assert_allclose(row, wave / np.linalg.norm(wave), atol=1e-12)


def test_rows_are_in_the_order_of_their_frequencies():
    assert names(5) == ["const", "cos 1", "sin 1", "cos 2", "sin 2"]
    assert names(6) == ["const", "cos 1", "sin 1", "cos 2", "sin 2", "cos 3"]
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


PLANTED = {4: 1.0, 11: 2.0, 30: 3.0, 50: 1.5, 56: 2.5}


@pytest.mark.parametrize("noise", [0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(2))
def test_planted_frequencies_are_found_exactly(noise, seed):
    rng = np.random.default_rng(seed)
    found = key_frequencies(planted(113, 128, PLANTED, noise, rng), 999, 0.001, rng)
    assert found.keys == tuple(PLANTED)
    tested = np.array(found.keys) - 1
    assert (found.p[tested] == 0.001).all()
    shares = np.array([a**2 for a in PLANTED.values()])
    expected = (1 - noise) * shares / shares.sum() + noise / 56
    np.testing.assert_allclose(found.share[tested], expected, rtol=0.1)


@pytest.mark.parametrize("n", [59, 60, 113])
@pytest.mark.parametrize("noise", [0, 0.5])
def test_a_single_frequency_is_found(n, noise, rng):
    for k in (1, 7, n // 2):
        found = key_frequencies(planted(n, 32, {k: 1}, noise, rng), 999, 0.001, rng)
        assert found.keys == (k,)


@pytest.mark.parametrize("noise", [0, 0.3])
def test_frequencies_of_one_column_are_found(noise, rng):
    amplitudes = {4: 1.0, 11: 1.7, 30: 3.0}
    matrix = planted(113, 128, amplitudes, noise, rng, columns=1)
    assert key_frequencies(matrix, 999, 0.001, rng).keys == (4, 11, 30)


def test_noise_that_strong_frequencies_leave_is_held_against_noise_they_leave():
    """What is left spreads over fewer frequencies, and so more over each, than a shuffle of it."""
    alpha, seeds, false = 0.05, 100, 0
    strong = (3, 9, 14)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        matrix = planted(31, 16, dict.fromkeys(strong, 1.0), 0.7, rng)
        false += not set(key_frequencies(matrix, 99, alpha, rng).keys) <= set(strong)
    assert false <= binom.isf(0.001, seeds, alpha)


@pytest.mark.parametrize("noise", [0, 0.05])
def test_p_of_the_second_frequency_is_that_of_all_orders_of_what_the_first_leaves(noise, rng):
    """Without noise some orders turn the second wholly into the first: they count against it."""
    matrix = planted(7, 4, {1: 1.2, 2: 1}, noise, rng)
    found = key_frequencies(matrix, 20_000, 1, rng)
    assert found.keys == (1, 2)
    without = fourier_basis(7)[[0, 1, 2]]
    left = matrix - without.T @ (without @ matrix)
    orders = np.array(list(permutations(range(7))))
    power = (np.abs(np.fft.rfft(left[orders], axis=1)[:, 2:]) ** 2).sum(2)
    sums = power.sum(1)
    nothing = sums < 1e-9 * sums[0]
    shares = np.where(nothing, 1, power.max(1) / np.where(nothing, 1, sums))
    assert nothing.any() == (noise == 0)
    assert found.p[1] == pytest.approx((shares >= shares[0] - 1e-9).mean(), abs=0.002)


@pytest.mark.parametrize("d", [4, 16, 128])
def test_noise_has_no_key_frequencies(d):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        assert key_frequencies(rng.normal(size=(59, d)), 999, 0.001, rng).keys == ()


@pytest.mark.parametrize(("n", "d"), [(31, 3), (24, 40)])
def test_an_order_that_means_nothing_has_keys_as_often_as_alpha_says(n, d):
    # Uneven rows, some of them alike: only their order is random.
    alpha, seeds = 0.1, 200
    false = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        matrix = rng.standard_t(2, size=(n, d)).round(1)
        false += len(key_frequencies(matrix, 59, alpha, rng).keys) > 0
    assert binom.isf(0.999, seeds, alpha) <= false <= binom.isf(0.001, seeds, alpha)


def test_the_null_is_that_of_shuffled_rows(rng):
    matrix = planted(16, 3, {3: 1, 8: 1}, 0.3, rng)
    found = key_frequencies(matrix, 4000, 0.1, rng)
    largest = []
    for _ in range(2000):
        power = power_by_frequency(rng.permutation(matrix))
        largest.append(power.max() / power.sum())
    assert found.null_mean == pytest.approx(np.mean(largest), rel=0.02)
    assert found.null_high == pytest.approx(np.quantile(largest, 0.9), rel=0.02)
    power = power_by_frequency(matrix)
    np.testing.assert_allclose(found.share, power / power.sum())
    strongest = found.share.argmax()
    assert found.p[strongest] == pytest.approx(
        np.mean(np.array(largest) >= found.share[strongest]), abs=0.03
    )


def test_shuffles_that_repeat_the_order_count_as_ties(rng):
    """Of the 720 orders of six numbers, 12 leave the share as it is, rounding aside."""
    matrix = planted(6, 2, {1: 1}, 0, rng)
    assert key_frequencies(matrix, 9999, 0.05, rng).p[0] == pytest.approx(12 / 720, abs=0.004)


@pytest.mark.parametrize("matrix", [np.zeros((7, 5)), np.tile([0.1, 3.0], (7, 1)), np.ones(8)])
def test_rows_that_are_all_the_same_have_no_key_frequencies(matrix, rng):
    found = key_frequencies(matrix, 99, 0.05, rng)
    assert found.keys == ()
    np.testing.assert_array_equal(found.share, 0)
    assert np.isnan(found.p).all()
    assert found.null_mean == found.null_high == 0


def test_one_frequency_alone_is_no_more_than_even(rng):
    found = key_frequencies(rng.normal(size=(3, 5)), 99, 0.05, rng)
    assert found.keys == ()
    np.testing.assert_allclose(found.share, [1])


def test_gini_is_the_mean_difference_over_twice_the_mean(rng):
    values = rng.exponential(size=40)
    apart = np.abs(values[:, None] - values).mean()
    assert gini(values) == pytest.approx(apart / (2 * values.mean()))
    assert gini(np.ones(5)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 7, 0])) == pytest.approx(3 / 4)
    assert gini(np.zeros(4)) == 0
