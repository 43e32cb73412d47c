"""Angles against rotations that are constructed, where arc cosines fail."""

import numpy as np
import pytest

from interp.experiments.rotation.angles import angles, mean_angle


def turned(x, radians, rng):
    """Turn each vector of x [n, d] by an angle in a random plane that it lies in (Givens)."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    across = rng.normal(size=x.shape)
    # Twice, since what a single projection leaves is as large as rounding.
    for _ in range(2):
        across -= (across * unit).sum(1, keepdims=True) * unit
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    radians = radians[:, None]
    return np.cos(radians) * x + np.sin(radians) * np.linalg.norm(x, axis=1, keepdims=True) * across


@pytest.mark.parametrize("d", [2, 7, 768])
def test_constructed_rotations_are_right_from_the_smallest_to_the_largest(d):
    rng = np.random.default_rng(d)
    small = np.concatenate([np.logspace(-9, 0, 40), [np.pi / 2, 3]])
    radians = np.concatenate([[0], small, np.pi - small[:-2], [np.pi]])
    x = rng.normal(size=(len(radians), d)) * rng.lognormal(sigma=5, size=(len(radians), 1))
    y = turned(x, radians, rng) * rng.lognormal(sigma=5, size=(len(radians), 1))
    found = angles(x, y)
    np.testing.assert_allclose(np.radians(found), radians, rtol=0, atol=1e-14)
    # Small ones keep their digits too, as an arc cosine's would not.
    chosen = radians > 0
    np.testing.assert_allclose(np.radians(found)[chosen], radians[chosen], rtol=1e-6)
    np.testing.assert_allclose(angles(y, x), found, rtol=0, atol=1e-12)


def test_every_axis_but_the_last_is_kept():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3, 4, 5, 6))
    found = angles(x, y)
    assert found.shape == (3, 4, 5)
    cosine = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    np.testing.assert_allclose(found, np.degrees(np.arccos(cosine)), rtol=1e-9)


def test_the_mean_angle_is_over_all_pairs():
    plane = np.radians([0, 10, 70, 180])
    points = np.column_stack([np.cos(plane), np.sin(plane)]) * [[1], [5], [0.1], [2]]
    # 10, 70, 180, 60, 170 and 110 degrees.
    assert mean_angle(points) == pytest.approx(100)
    both = mean_angle(np.stack([points, points[:, ::-1] * 3]))
    np.testing.assert_allclose(both, [100, 100])


def test_a_vector_without_a_direction_is_refused():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="point 1 lies at the origin"):
        angles(x, x * [[1], [0]])
    with pytest.raises(ValueError, match="lies at the origin"):
        mean_angle(x * [[0], [1]])
    with pytest.raises(ValueError, match="1 vectors have no angle"):
        mean_angle(x[:1])
