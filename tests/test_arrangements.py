"""Rearranged prompts: the given arrangement first, the tokens of a prompt together."""

import numpy as np
import pytest
import scipy.stats

from interp import arrangements


def test_pairings_move_whole_prompts():
    orders = arrangements.pairings(12, 4, 50, np.random.default_rng(0))
    assert orders.shape == (51, 12)
    np.testing.assert_array_equal(orders[0], np.arange(12))
    for order in orders:
        blocks = order.reshape(4, 3)
        assert (np.diff(blocks, axis=1) == 1).all()
        assert sorted(blocks[:, 0]) == [0, 3, 6, 9]


def test_relabellings_keep_the_groups_sizes_and_the_tokens_together():
    prompts = np.array([7, 7, 8, 9, 9, 9, 3, 4])
    masks = arrangements.relabellings(prompts, 3, 400, np.random.default_rng(0))
    np.testing.assert_array_equal(masks[0], np.arange(8) < 3)
    for mask in masks:
        chosen = {int(p) for p in prompts[mask]}
        assert len(chosen) == 2
        assert not chosen & {int(p) for p in prompts[~mask]}
    pairs = {tuple(sorted({int(p) for p in prompts[mask]})) for mask in masks}
    assert len(pairs) == 10


def test_swaps_exchange_a_prompts_points_between_both_clouds():
    prompts = np.array([0, 0, 1, 2, 2])
    masks = arrangements.swaps(prompts, 2000, np.random.default_rng(0))
    np.testing.assert_array_equal(masks[0], [True] * 5 + [False] * 5)
    np.testing.assert_array_equal(masks[:, :5], ~masks[:, 5:])
    assert (masks[:, 0] == masks[:, 1]).all()
    counts = np.unique(masks[1:], axis=0, return_counts=True)[1]
    assert len(counts) == 8
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_the_smallest_p_is_that_of_draws_or_arrangements():
    assert arrangements.smallest_p(999, arrangements.count_pairings(3)) == pytest.approx(1 / 6)
    assert arrangements.smallest_p(9, arrangements.count_pairings(200)) == pytest.approx(0.1)
    assert arrangements.smallest_p(99, arrangements.count_relabellings(3, 3)) == 1 / 10
    assert arrangements.smallest_p(99, arrangements.count_relabellings(900, 900)) == 0.01
    assert arrangements.smallest_p(99, arrangements.count_relabellings(2, 3)) == 1 / 10
    assert arrangements.smallest_p(99, arrangements.count_swaps(4)) == 1 / 8
