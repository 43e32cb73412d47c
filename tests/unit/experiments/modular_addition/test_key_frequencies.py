"""Key frequencies: planted ones are found exactly, noise has none, and p is that of all orders."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom

from interp.experiments.modular_addition.fourier import fourier_basis, power_by_frequency
from interp.experiments.modular_addition.key_frequencies import key_frequencies


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


def test_noise_that_strong_frequencies_leave_is_compared_with_noise_they_leave():
    """What is left spreads over fewer frequencies, so more over each, than in a permuted order."""
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


def test_the_null_is_that_of_permuted_rows(rng):
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


def test_permutations_that_repeat_the_order_count_as_ties(rng):
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
