"""Rearranged prompts: the given arrangement first, the tokens of a prompt together."""

import numpy as np

from interp.stats import permutations


def test_pairings_move_whole_prompts():
    orders = permutations.draw_pairings(12, 4, 20, np.random.default_rng(0))
    assert orders.shape == (21, 12)
    np.testing.assert_array_equal(orders[0], np.arange(12))
    for order in orders:
        blocks = order.reshape(4, 3)
        assert (np.diff(blocks, axis=1) == 1).all()
        assert sorted(blocks[:, 0]) == [0, 3, 6, 9]


def test_relabellings_keep_the_groups_sizes_and_the_tokens_together():
    prompts = np.array([7, 7, 8, 9, 9, 9, 3, 4])
    masks = permutations.draw_relabellings(prompts, 3, 9, np.random.default_rng(0))
    np.testing.assert_array_equal(masks[0], np.arange(8) < 3)
    for mask in masks:
        chosen = {int(p) for p in prompts[mask]}
        assert len(chosen) == 2
        assert not chosen & {int(p) for p in prompts[~mask]}


def test_swaps_exchange_a_prompts_points_between_both_clouds():
    prompts = np.array([0, 0, 1, 2, 2])
    masks = permutations.draw_swaps(prompts, 6, np.random.default_rng(0))
    np.testing.assert_array_equal(masks[0], [True] * 5 + [False] * 5)
    np.testing.assert_array_equal(masks[:, :5], ~masks[:, 5:])
    assert (masks[:, 0] == masks[:, 1]).all()


def test_few_arrangements_are_taken_once_each_the_given_one_first():
    orders = permutations.draw_pairings(8, 4, 23, np.random.default_rng(0))
    assert len(np.unique(orders, axis=0)) == len(orders) == 24
    np.testing.assert_array_equal(orders[0], np.arange(8))
    prompts = np.array([7, 7, 8, 9, 9, 9, 3, 4])
    masks = permutations.draw_relabellings(prompts, 3, 9, np.random.default_rng(0))
    assert len(np.unique(masks, axis=0)) == len(masks) == 10
    np.testing.assert_array_equal(masks[0], np.arange(8) < 3)
    masks = permutations.draw_swaps(np.array([0, 0, 1, 2]), 3, np.random.default_rng(0))
    assert len(np.unique(masks, axis=0)) == len(masks) == 4
    np.testing.assert_array_equal(masks[0], np.arange(8) < 4)


def test_of_groups_that_may_be_exchanged_one_of_each_two_divisions_is_taken():
    prompts = np.array([5, 2, 7, 1, 0, 9])
    masks = permutations.draw_relabellings(prompts, 3, 9, np.random.default_rng(0))
    np.testing.assert_array_equal(masks[0], np.arange(6) < 3)
    divisions = {frozenset([tuple(mask), tuple(~mask)]) for mask in masks}
    assert len(divisions) == len(masks) == 10
    swapped = permutations.draw_swaps(np.arange(4), 7, np.random.default_rng(0))
    assert len({frozenset([tuple(mask), tuple(~mask)]) for mask in swapped}) == 8


def test_many_arrangements_are_drawn_uniformly():
    rng = np.random.default_rng(0)
    masks = permutations.draw_relabellings(np.arange(12), 5, 790, rng)[1:]
    assert (masks.sum(1) == 5).all()
    assert np.abs(masks.mean(0)[:5] - 5 / 12).max() < 0.07
    swapped = permutations.draw_swaps(np.arange(12), 2000, rng)[1:]
    assert np.abs(swapped.mean(0) - 0.5).max() < 0.05
