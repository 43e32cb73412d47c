"""Permuted prompts: the given order first, the tokens of a prompt together."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest

from interp.metrics.functional import separation
from interp.metrics.functional.order import rank_correlations
from interp.stats import permutations

TOKENS = np.array([1, 2, 3, 1, 2, 2, 3, 1, 1, 2, 3, 2])
PROMPT = np.repeat(np.arange(12), TOKENS)
GROUPS = {
    "two": np.repeat([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], TOKENS),
    "four": np.repeat([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], TOKENS),
}


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


@pytest.mark.parametrize("kind", GROUPS)
def test_labellings_move_whole_prompts_and_begin_with_the_given_one(kind):
    found = permutations.draw_labellings(GROUPS[kind], PROMPT, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], GROUPS[kind])
    assert len(np.unique(found, axis=0)) > 40
    of_prompt = np.cumsum(TOKENS) - 1
    np.testing.assert_array_equal(found, found[:, of_prompt][:, PROMPT])
    for row in found:
        counts = np.bincount(row[of_prompt])
        np.testing.assert_array_equal(counts, np.bincount(GROUPS[kind][of_prompt]))


def test_reorderings_move_whole_units_and_are_complete_where_few():
    values, unit = np.array([3.0, 3, 1, 2, 1]), np.array([0, 0, 1, 2, 1])
    whole = np.zeros_like(unit)
    found = permutations.draw_reorderings(values, unit, whole, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], values)
    assert len(found) == len(np.unique(found, axis=0)) == 6
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert len(permutations.draw_reorderings(values, unit, whole, 4, np.random.default_rng(0))) == 5


def test_a_pairs_two_numbers_move_together():
    values, unit = np.array([1.0, 2, 3, 10, 20, 30]), np.tile(np.arange(3), 2)
    part = np.repeat([0, 1], 3)
    found = permutations.draw_reorderings(values, unit, part, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[:, 3:], 10 * found[:, :3])
    assert len(np.unique(found, axis=0)) == 6


@pytest.mark.parametrize(("groups", "every"), [(2, 2**3), (3, 6**3)])
def test_labels_dealt_out_within_units_are_complete_where_few(groups, every):
    labels, unit = np.repeat(np.arange(groups), 4), np.tile(np.arange(4), groups)
    found = permutations.draw_labellings_within_units(labels, unit, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], labels)
    # The first unit keeps its labels: to exchange them everywhere divides nothing anew.
    assert len(found) == len(np.unique(found, axis=0)) == every
    for row in found:
        for number in range(4):
            assert sorted(row[unit == number]) == list(range(groups))
    drawn = permutations.draw_labellings_within_units(labels, unit, 5, np.random.default_rng(0))
    assert len(drawn) == 6


def test_pure_noise_gives_uniform_p_for_labels_and_order():
    rng = np.random.default_rng(7)
    p = {"silhouette": [], "order": []}
    labels, order = np.repeat([0, 1], 10), np.arange(20.0)
    for _ in range(200):
        cloud = rng.normal(size=(20, 4))
        given = permutations.draw_labellings(labels, np.arange(20), 99, rng)
        scores = separation.silhouette(cdist(cloud, cloud), given)
        p["silhouette"].append((scores[1:] >= scores[0] - 1e-12).sum() + 1)
        given = permutations.draw_reorderings(order, np.arange(20), np.zeros(20, int), 99, rng)
        best = np.abs(rank_correlations(cloud, given)).max(1)
        p["order"].append((best[1:] >= best[0] - 1e-12).sum() + 1)
    for found in p.values():
        # The ranks run from 1 to 100; jittered within their step they are uniform on (0, 1).
        ranks = (np.array(found) - rng.random(200)) / 100
        assert kstest(ranks, "uniform").pvalue > 0.01
