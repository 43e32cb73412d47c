"""Waves over pairs of numbers against explicit projections, least squares and closed forms."""

from itertools import permutations

import numpy as np
import pytest

from interp.experiments.modular_addition.fourier import component_names, fourier_basis, frequencies
from interp.experiments.modular_addition.waves import (
    cosine_sum,
    excluded,
    logit_singular_values,
    neuron_frequencies,
    permuted_cosine_sums,
    permuted_fractions,
    restricted,
    two_dimensional,
)

SIGNS = [1, -1]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def answer_minus_output(n, sign):
    a, b, c = np.meshgrid(*[np.arange(n)] * 3, indexing="ij")
    return (a + sign * b - c) % n


def ideal_logits(n, sign, coefficients):
    d = answer_minus_output(n, sign)
    return sum(alpha * np.cos(2 * np.pi * k * d / n) for k, alpha in coefficients.items())


@pytest.mark.parametrize("n", [3, 7, 8])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_coefficients_are_inner_products_with_products_of_the_basis(n, shape, rng):
    maps = rng.normal(size=(n, n, *shape)) + 2
    basis = fourier_basis(n)
    expected = np.einsum("ka,lb,ab...->kl...", basis, basis, maps)
    found = two_dimensional(maps)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose((found**2).sum((0, 1)), (maps**2).sum((0, 1)))


def test_single_precision_stays_so_and_a_large_mean_costs_none_of_it(rng):
    maps = rng.normal(size=(9, 9, 4))
    found = two_dimensional((maps + 1000).astype(np.float32))
    assert found.dtype == np.float32
    exact = two_dimensional((maps + 1000).astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [7, 8])
def test_a_neurons_share_is_that_of_a_regression_on_its_frequency(n, rng):
    maps = rng.normal(size=(n, n, 6)) + 1
    a, b = (values.ravel() for values in np.meshgrid(*[np.arange(n)] * 2, indexing="ij"))
    shares = []
    for k in range(1, n // 2 + 1):
        of_a, of_b = (
            [np.ones(n * n), np.cos(2 * np.pi * k * x / n), np.sin(2 * np.pi * k * x / n)]
            for x in (a, b)
        )
        terms = np.stack([one * other for one in of_a for other in of_b], 1)
        values = maps.reshape(n * n, -1)
        fitted = terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
        shares.append(1 - ((values - fitted) ** 2).sum(0) / (n * n * values.var(0)))
    frequency, share = neuron_frequencies(two_dimensional(maps))
    np.testing.assert_array_equal(frequency, np.argmax(shares, 0) + 1)
    np.testing.assert_allclose(share, np.max(shares, 0))


def test_a_neuron_of_one_frequency_is_explained_and_a_constant_one_has_none():
    n, k = 12, 5
    a, b = np.meshgrid(*[2 * np.pi * k * np.arange(n) / n] * 2, indexing="ij")
    whole = np.cos(a) + 0.5 * np.sin(b) + 2 * np.cos(a + b + 1) + 3
    of_the_last = np.cos(np.pi * np.arange(n))[:, None] * np.ones(n)
    neurons = np.stack([whole, np.full((n, n), 0.1), np.zeros((n, n)), of_the_last], 2)
    for precision in (np.float32, np.float64):
        maps = neurons.astype(precision)
        frequency, share = neuron_frequencies(two_dimensional(maps))
        np.testing.assert_array_equal(frequency, [k, 0, 0, 6])
        np.testing.assert_allclose(share, [1, 0, 0, 1], atol=1e-6)
        # Of twelve numbers, some orders leave the waves of one frequency waves of another.
        null = permuted_fractions(maps, 20, np.random.default_rng(0))
        np.testing.assert_array_equal(null[:, 1:3], 0)
        assert np.median(null[:, 0]) < 0.7


@pytest.mark.parametrize("n", [7, 8])
def test_permuted_fractions_are_those_of_maps_in_another_order(n, rng):
    maps = rng.normal(size=(n, n, 5)) ** 2
    found = permuted_fractions(maps, 1000, np.random.default_rng(1))
    again = []
    for _ in range(1000):
        order = rng.permutation(n)
        again.append(neuron_frequencies(two_dimensional(maps[order][:, order]))[1])
    np.testing.assert_allclose(found.mean(0), np.mean(again, 0), rtol=0.02)
    np.testing.assert_allclose(
        np.quantile(found, 0.9, axis=0), np.quantile(again, 0.9, axis=0), rtol=0.05
    )


def test_the_order_of_noise_means_nothing(rng):
    maps = rng.normal(size=(31, 31, 40)).astype(np.float32)
    share = neuron_frequencies(two_dimensional(maps))[1]
    null = permuted_fractions(maps, 20, rng)
    assert null.shape == (20, 40)
    assert share.mean() == pytest.approx(null.mean(), rel=0.05)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("n", [7, 8])
def test_a_cosine_sum_is_the_least_squares_fit(n, sign, rng):
    logits = rng.normal(size=(n, n, n)) + 3 * rng.normal(size=(n, n, 1))
    logits += ideal_logits(n, sign, {1: 0.5, n // 2: -0.3})
    found = cosine_sum(logits, sign)
    d = answer_minus_output(n, sign)
    terms = np.stack([np.cos(2 * np.pi * k * d / n).ravel() for k in range(1, n // 2 + 1)], 1)
    moved = (logits - logits.mean(2, keepdims=True)).ravel()
    fitted, error, *_ = np.linalg.lstsq(terms, moved, rcond=None)
    np.testing.assert_allclose(found.coefficients, fitted)
    assert found.explained == pytest.approx(1 - error[0] / (moved**2).sum())
    alone = [((terms[:, i] * fitted[i]) ** 2).sum() for i in range(n // 2)]
    np.testing.assert_allclose(found.shares, alone / (moved**2).sum())


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("n", [31, 32])
def test_ideal_logits_give_their_coefficients_back(n, sign, rng):
    planted = {3: 1.5, 7: -0.5, n // 2: 2.0}
    logits = ideal_logits(n, sign, planted) + rng.normal(size=(n, n, 1))
    found = cosine_sum(logits, sign)
    expected = np.zeros(n // 2)
    for k, alpha in planted.items():
        expected[k - 1] = alpha
    np.testing.assert_allclose(found.coefficients, expected, atol=1e-12)
    assert found.explained == pytest.approx(1, abs=1e-12)
    # a + b and a - b are odd or even together, which is all that the last of an even n tells apart.
    other = cosine_sum(logits, -sign)
    expected[: (n - 1) // 2] = 0
    if n % 2:
        expected[:] = 0
    np.testing.assert_allclose(other.coefficients, expected, atol=1e-12)
    null = permuted_cosine_sums(logits, sign, 50, rng)
    assert null.shape == (50,)
    assert null.max() < 0.5


@pytest.mark.parametrize("sign", SIGNS)
def test_the_null_is_that_of_outputs_in_every_other_order(sign, rng):
    logits = rng.normal(size=(5, 5, 5)) + ideal_logits(5, sign, {2: 1.0})
    found = permuted_cosine_sums(logits, sign, 2000, rng)
    every = [
        cosine_sum(logits[:, :, list(order)], sign).explained for order in permutations(range(5))
    ]
    np.testing.assert_allclose(found.mean(), np.mean(every), rtol=0.1)
    np.testing.assert_array_equal(np.unique(found.round(9)), np.unique(np.round(every, 9)))


@pytest.mark.parametrize("sign", SIGNS)
def test_logits_that_do_not_vary_are_explained_by_nothing(sign, rng):
    logits = np.repeat(rng.normal(size=(7, 7, 1)), 7, 2)
    found = cosine_sum(logits, sign)
    np.testing.assert_array_equal(found.coefficients, 0)
    assert found.explained == 0
    np.testing.assert_array_equal(permuted_cosine_sums(logits, sign, 3, rng), 0)


def test_logits_of_anything_but_the_numbers_are_refused(rng):
    with pytest.raises(ValueError, match=r"\(7, 7, 8\) must be \[n, n, n\]"):
        cosine_sum(rng.normal(size=(7, 7, 8)), 1)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(("n", "keys"), [(7, (1, 3)), (8, (2, 4)), (9, ())])
def test_restricted_is_the_projection_on_the_key_waves(n, keys, sign, rng):
    logits = rng.normal(size=(n, n, 5)) + rng.normal(size=5)
    a, b = np.meshgrid(*[np.arange(n)] * 2, indexing="ij")
    angles = [2 * np.pi * k * (a + sign * b).ravel() / n for k in keys]
    vectors = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    terms = np.stack([np.ones(n * n), *vectors], 1)
    flat = logits.reshape(n * n, -1)
    fitted = (terms @ np.linalg.lstsq(terms, flat, rcond=1e-10)[0]).reshape(logits.shape)
    found = restricted(logits, keys, sign)
    np.testing.assert_allclose(found, fitted, atol=1e-12)
    without = excluded(logits, keys, sign)
    np.testing.assert_allclose(without + found - logits.mean((0, 1)), logits, atol=1e-12)
    np.testing.assert_allclose(without.mean((0, 1)), logits.mean((0, 1)), atol=1e-12)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("n", [7, 8])
def test_all_frequencies_keep_what_depends_on_the_answer_alone(n, sign, rng):
    logits = rng.normal(size=(n, n, 4)).astype(np.float32)
    found = restricted(logits, range(1, n // 2 + 1), sign)
    a, b = np.meshgrid(*[np.arange(n)] * 2, indexing="ij")
    for answer in range(n):
        pairs = (a + sign * b) % n == answer
        mean = logits[pairs].mean(0, dtype=np.float64)
        np.testing.assert_allclose(found[pairs], np.tile(mean, (n, 1)), atol=1e-12)


@pytest.mark.parametrize("sign", SIGNS)
def test_without_keys_nothing_is_excluded_and_only_the_mean_is_left(sign, rng):
    logits = rng.normal(size=(7, 7, 4))
    np.testing.assert_array_equal(excluded(logits, (), sign), logits)
    mean = np.broadcast_to(logits.mean((0, 1)), logits.shape)
    np.testing.assert_allclose(restricted(logits, (), sign), mean)


@pytest.mark.parametrize("sign", SIGNS)
def test_key_waves_alone_make_ideal_logits(sign):
    logits = ideal_logits(15, sign, {2: 1.0, 6: 2.0})
    np.testing.assert_allclose(restricted(logits, (2, 6), sign), logits, atol=1e-12)
    np.testing.assert_allclose(excluded(logits, (2, 6), sign), 0, atol=1e-12)
    np.testing.assert_allclose(excluded(logits, (2, 6), -sign), logits, atol=1e-12)


def test_a_frequency_that_there_is_not_is_refused(rng):
    logits = rng.normal(size=(7, 7, 7))
    with pytest.raises(ValueError, match="no frequency 4 of 7 numbers, only 1 to 3"):
        restricted(logits, (1, 4), 1)
    with pytest.raises(ValueError, match="no frequency 0"):
        excluded(logits, (0,), 1)


def test_ideal_logits_of_five_frequencies_have_rank_ten():
    n = 113
    logits = ideal_logits(n, 1, dict.fromkeys((3, 17, 20, 41, 56), 1.0))
    found = logit_singular_values(logits)
    assert found.shape == (n,)
    np.testing.assert_allclose(found[:10], n**1.5 / 2)
    assert (found[10:] < 1e-12 * found[0]).all()


def test_singular_values_square_to_the_eigenvalues_of_the_gram_matrix(rng):
    logits = rng.normal(size=(6, 6, 9)).astype(np.float32) + 1
    matrix = logits.reshape(36, 9).astype(np.float64)
    theirs = np.linalg.eigvalsh(matrix.T @ matrix)[::-1]
    np.testing.assert_allclose(logit_singular_values(logits) ** 2, theirs)


def test_logits_of_a_sum_lie_on_the_diagonal_of_their_coefficients():
    """cos(a + b) = cos a cos b - sin a sin b."""
    n, k = 11, 4
    a, b = np.meshgrid(*[np.arange(n)] * 2, indexing="ij")
    found = two_dimensional(np.cos(2 * np.pi * k * (a + b) / n))
    expected = np.zeros((n, n))
    cosine, sine = component_names(n).index(f"cos {k}"), component_names(n).index(f"sin {k}")
    expected[cosine, cosine], expected[sine, sine] = n / 2, -n / 2
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert frequencies(n)[cosine] == frequencies(n)[sine] == k
