"""Products of low rank against the same products written out."""

import numpy as np
import pytest

from interp.experiments.weight_spectrum.low_rank import (
    composition_scores,
    copying_score,
    eigenvalues_through,
    factored_svd,
    positive_share,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_factored_svd_is_numpys_of_the_product(rng):
    left, right = rng.normal(size=(4, 20, 5)), rng.normal(size=(4, 5, 20))
    found = factored_svd(left, right)
    product = left @ right
    theirs = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(found.values, theirs[:, :5], rtol=1e-10)
    again = found.left * found.values[:, None] @ found.right
    np.testing.assert_allclose(again, product, atol=1e-10)
    np.testing.assert_allclose(
        np.swapaxes(found.left, 1, 2) @ found.left, np.tile(np.eye(5), (4, 1, 1)), atol=1e-12
    )


def test_eigenvalues_are_those_of_words_by_words(rng):
    embedding, unembedding = rng.normal(size=(30, 8)), rng.normal(size=(30, 8))
    left, right = rng.normal(size=(2, 8, 3)), rng.normal(size=(2, 3, 8))
    found = eigenvalues_through(left, unembedding.T @ embedding, right)
    for head in range(2):
        full = embedding @ left[head] @ right[head] @ unembedding.T
        theirs = np.linalg.eigvals(full)
        largest = theirs[np.argsort(-np.abs(theirs))[:3]]
        np.testing.assert_allclose(
            np.sort_complex(found[head].astype(complex)), np.sort_complex(largest), rtol=1e-7
        )


def test_copying_is_one_reversing_minus_one_and_turning_nothing():
    values = np.array([[1.0, 2, 3], [-1, -2, -3], [1j, -1j, 0]])
    np.testing.assert_allclose(copying_score(values), [1, -1, 0])
    np.testing.assert_allclose(positive_share(values), [1, 0, 0])


def test_composition_scores_are_frobenius_norms_of_the_products(rng):
    first = rng.normal(size=(3, 20, 4)), rng.normal(size=(3, 4, 20))
    second = rng.normal(size=(5, 20, 4)), rng.normal(size=(5, 4, 20))
    found = composition_scores(first, second)
    for a in range(3):
        for b in range(5):
            one, other = first[0][a] @ first[1][a], second[0][b] @ second[1][b]
            norms = np.linalg.norm(one) * np.linalg.norm(other)
            assert found[a, b] == pytest.approx(np.linalg.norm(one @ other) / norms)


def test_random_matrices_compose_as_their_width_says(rng):
    d = 400
    first = rng.normal(size=(6, d, 20)), rng.normal(size=(6, 20, d))
    second = rng.normal(size=(6, d, 20)), rng.normal(size=(6, 20, d))
    assert composition_scores(first, second).mean() == pytest.approx(1 / np.sqrt(d), rel=0.05)
