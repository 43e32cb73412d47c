"""Alignment of one layer's points with those of the layer before."""

import itertools

import numpy as np
from scipy.spatial.distance import cdist

from interp.experiments.layer_geometry.procrustes import align_layers


def test_a_rotating_cloud_stays_still_after_alignment():
    rng = np.random.default_rng(5)
    cloud = rng.normal(size=(30, 2)) * [2, 1]
    turns = [np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(8)]
    turns = [turn * [1, (-1) ** i] for i, turn in enumerate(turns)]
    assert {round(np.linalg.det(turn)) for turn in turns} == {-1, 1}
    frames = align_layers(np.array([cloud @ turn for turn in turns]))
    np.testing.assert_allclose(frames, np.broadcast_to(frames[0], frames.shape), atol=1e-12)


def test_alignment_keeps_distances_and_the_first_frame():
    frames = np.random.default_rng(6).normal(size=(4, 9, 3))
    turned = align_layers(frames)
    np.testing.assert_array_equal(turned[0], frames[0])
    for before, after in zip(frames, turned, strict=True):
        np.testing.assert_allclose(cdist(after, after), cdist(before, before), atol=1e-12)
    steps = [((b - a) ** 2).sum() for a, b in itertools.pairwise(turned)]
    for i, step in enumerate(steps):
        assert step <= ((frames[i + 1] - turned[i]) ** 2).sum() + 1e-12
