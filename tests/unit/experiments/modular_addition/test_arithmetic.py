"""Arithmetic modulo p as the cyclic group that it is, and its pairs as prompts."""

import numpy as np
import pytest

from interp.core.errors import ConfigError
from interp.experiments.modular_addition.arithmetic import OPERATIONS, Arithmetic
from interp.experiments.modular_addition.prompts import ModularArithmetic


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("modulus", [3, 5, 7, 23, 113])
def test_places_in_the_order_add_up_to_the_answers(operation, modulus):
    arithmetic = Arithmetic(modulus, operation)
    order = arithmetic.order
    n = len(order)
    assert len(set(order.tolist())) == n == modulus - (operation == "multiplication")
    place = dict(zip(order.tolist(), range(n), strict=True))
    for a in order[:10]:
        answers = arithmetic.answers(np.full(n, a), order)
        expected = [(place[int(a)] + arithmetic.sign * place[int(b)]) % n for b in order]
        assert [place[int(answer)] for answer in answers] == expected


def test_addition_has_an_order_for_any_modulus_and_multiplication_for_primes():
    assert Arithmetic(12, "addition").order.tolist() == list(range(12))
    with pytest.raises(ConfigError, match="modulo 12, which is not prime"):
        _ = Arithmetic(12, "multiplication").order


def test_answers_are_those_of_python():
    a, b = np.indices((9, 9))
    for operation, by_hand in (
        ("addition", lambda x, y: (x + y) % 9),
        ("subtraction", lambda x, y: (x - y) % 9),
        ("multiplication", lambda x, y: (x * y) % 9),
    ):
        found = Arithmetic(9, operation).answers(a, b)
        assert found.tolist() == [[by_hand(x, y) for y in range(9)] for x in range(9)]


def test_prompts_are_all_pairs_in_two_groups_with_their_answers():
    source = ModularArithmetic(modulus=11, operation="subtraction", train_fraction=0.25, seed=2)
    prompts = source.load()
    assert prompts.group_names == ("train", "test")
    assert [len(prompts.members(g)) for g in prompts.group_names] == [30, 91]
    assert sorted(prompts.texts) == sorted(f"{a} {b} =" for a in range(11) for b in range(11))
    train = source.pairs().train
    for i, text in enumerate(prompts.texts):
        a, b = (int(word) for word in text.split()[:2])
        assert prompts.columns["answer"][i] == (a - b) % 11
        assert train[a, b] == (prompts.groups[i] == "train")


def test_the_seed_alone_decides_the_split():
    first, again, other = (
        ModularArithmetic(modulus=31, seed=seed).pairs().train for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.sum() == other.sum() == int(0.3 * 31**2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"operation": "division"}, "operation cannot be 'division'"),
        ({"operation": "aditon"}, "did you mean 'addition'"),
        ({"modulus": 2}, "modulus must be at least 3"),
        ({"train_fraction": 1.0}, "between 0 and 1"),
        ({"modulus": 3, "train_fraction": 0.1}, "leaves training or testing without any"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModularArithmetic(**settings)
