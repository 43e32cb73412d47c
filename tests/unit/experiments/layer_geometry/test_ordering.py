"""Which numbers an order is, and what is permuted together."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from interp.core.errors import ConfigError
from interp.data.prompts import from_marked
from interp.data.prompts.generated import Counting
from interp.experiments.layer_geometry.ordering import ordering


def planned(prompts, tokens=1, lengths=None):
    """As much of a plan as an order looks at; `tokens` are read of each prompt."""
    rows = [(i, j) for i in range(len(prompts)) for j in range(tokens)]
    samples = pd.DataFrame(rows, columns=["prompt", "position"])
    return SimpleNamespace(samples=samples, lengths=np.array(lengths or [tokens] * len(prompts)))


COUNTING = Counting().load()
PLAIN = from_marked({"a": ["x", "y"], "b": ["u", "v", "w"]})


def test_pairs_that_count_alike_are_permuted_together():
    found = ordering("auto", COUNTING, planned(COUNTING))
    assert (found.name, found.units_are) == ("number", "pairs of prompts")
    np.testing.assert_array_equal(found.values, [*range(3, 11), *range(3, 11)])
    np.testing.assert_array_equal(found.unit_of_row, [*range(8), *range(8)])


def test_pairs_stay_together_also_where_their_numbers_differ():
    groups = {"a": ["x", "y", "z"], "b": ["u", "v", "w"]}
    prompts = from_marked(groups, {"age": [1.0, 2, 4, 1, 3, 5]})
    found = ordering("age", prompts, planned(prompts, tokens=2))
    assert found.units_are == "pairs of prompts"
    np.testing.assert_array_equal(found.values, np.repeat([1, 2, 4, 1, 3, 5], 2))
    np.testing.assert_array_equal(found.unit_of_row, np.repeat([0, 1, 2, 0, 1, 2], 2))
    np.testing.assert_array_equal(found.part_of_row, np.repeat([0, 1], 6))


def test_groups_of_different_size_have_no_pairs():
    prompts = from_marked({"a": ["x", "y"], "b": ["u", "v", "w"]}, {"age": [1.0, 2, 1, 3, 4]})
    found = ordering("age", prompts, planned(prompts, tokens=2))
    assert found.units_are == "prompts"
    np.testing.assert_array_equal(found.unit_of_row, np.repeat(np.arange(5), 2))
    assert not found.part_of_row.any()


def test_positions_that_some_prompts_do_not_reach_are_left_out():
    samples = pd.DataFrame({"prompt": [0, 0, 0, 0, 1, 1, 1]})
    found = ordering("auto", PLAIN, SimpleNamespace(samples=samples))
    assert found.units_are == "positions that all prompts have"
    np.testing.assert_array_equal(found.counted, [True, True, True, False, True, True, True])


def test_tokens_are_ordered_by_their_position_and_positions_are_permuted():
    found = ordering("auto", COUNTING, planned(COUNTING, tokens=3))
    assert (found.name, found.units_are) == ("position", "positions")
    np.testing.assert_array_equal(found.values[:6], [1, 2, 3, 1, 2, 3])
    np.testing.assert_array_equal(found.unit_of_row[:6], [0, 1, 2, 0, 1, 2])


def test_the_length_is_that_of_the_text_in_tokens():
    found = ordering("length", PLAIN, planned(PLAIN, lengths=[4, 5, 6, 5, 9]))
    np.testing.assert_array_equal(found.values, [4, 5, 6, 5, 9])


@pytest.mark.parametrize(("prompts", "tokens"), [(PLAIN, 1), (PLAIN, 2)])
def test_where_there_is_no_order_none_is_taken(prompts, tokens):
    assert ordering("auto", prompts, planned(prompts, tokens)) is None
    assert ordering("none", COUNTING, planned(COUNTING)) is None


def test_an_order_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"cannot be 'numbr'; did you mean 'number'\?"):
        ordering("numbr", COUNTING, planned(COUNTING))
    with pytest.raises(
        ConfigError, match="position has 1 different values of 1 positions; an order"
    ):
        ordering("position", COUNTING, planned(COUNTING))
