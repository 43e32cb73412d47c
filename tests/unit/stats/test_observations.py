"""What counts as one observation: a pair, and prompts that are equal to a causal model."""

import dataclasses

import numpy as np
import pytest

from interp.core.errors import ConfigError
from interp.data.positions import Last, Mean, Target
from interp.data.prompts import from_marked
from interp.forward.capture import capture
from interp.forward.plan import plan
from interp.hooks.residual import ResidPost
from interp.models import Random
from interp.stats.observations import group_observations, number_observations
from tests.architectures import ARCHITECTURES

GPT2 = Random(architecture="gpt2", settings=ARCHITECTURES["gpt2"])
BERT = Random(architecture="bert", settings=ARCHITECTURES["bert"])
PAIRS = from_marked(
    {
        "him": ["I saw {him} now", "I met {him} now", "I saw {him} in May", "we saw {him} now"],
        "her": ["I saw {her} now", "I met {her} now", "I saw {her} in May", "we saw {her} now"],
    }
)


def counted(source, prompts, position):
    hook = ResidPost()
    return number_observations(
        prompts,
        plan(source, prompts, hook, position),
        capture(source, prompts, hook, position),
    )


def test_pairs_that_differ_after_the_target_are_one_to_a_causal_model():
    np.testing.assert_array_equal(counted(GPT2, PAIRS, Target()), [0, 1, 0, 2] * 2)


@pytest.mark.parametrize(("source", "position"), [(BERT, Target()), (GPT2, Last()), (GPT2, Mean())])
def test_activations_of_the_whole_sentence_are_not_merged(source, position):
    np.testing.assert_array_equal(counted(source, PAIRS, position), [0, 1, 2, 3] * 2)


def test_unpaired_prompts_are_observations_of_their_own_and_are_merged_by_group():
    prompts = from_marked({"a": ["I saw {him} now", "I saw {him} then"], "b": ["I saw {him} now"]})
    # The text is the same, whatever it is called.
    np.testing.assert_array_equal(counted(GPT2, prompts, Target()), [0, 0, 0])
    np.testing.assert_array_equal(counted(BERT, prompts, Target()), [0, 1, 0])


def test_the_chosen_groups_alone_are_pairs_and_no_other_prompt_is_one_of_theirs():
    texts = {g: [f"{v} {{{g}}} now" for v in ("saw", "met", "heard")] for g in ("her", "them")}
    prompts = from_marked({"him": ["we left {him}", "I called {him}"], **texts})
    hook, position = ResidPost(), Target()
    what, found = (
        plan(BERT, prompts, hook, position),
        capture(BERT, prompts, hook, position),
    )
    number = number_observations(prompts, what, found, ("her", "them"))
    np.testing.assert_array_equal(number, [0, 1, 2, 3, 4, 2, 3, 4])


def test_activations_that_differ_are_not_merged_though_the_text_is_the_same():
    hook = ResidPost()
    found = capture(GPT2, PAIRS, hook, Target())
    values = found.values.copy()
    values[1, 2] *= 1.01
    changed = dataclasses.replace(found, values=values)
    what = plan(GPT2, PAIRS, hook, Target())
    np.testing.assert_array_equal(number_observations(PAIRS, what, changed), [0, 1, 2, 3] * 2)
    values[1, 2] = np.nan
    np.testing.assert_array_equal(number_observations(PAIRS, what, changed), [0, 1, 2, 3] * 2)


def test_words_are_those_of_the_column_with_most_of_them_that_observations_share():
    texts = {g: [f"{g} {i} {{x}}" for i in range(6)] for g in ("a", "b")}
    columns = {
        "verb": ["saw", "saw", "met", "met", "heard", "heard"] * 2,
        "place": ["here", "there"] * 6,
        "own": [str(i) for i in range(12)],
        "alone": [str(i) for i in range(6)] * 2,
    }
    prompts, pair = from_marked(texts, columns), np.tile(np.arange(6), 2)
    found = group_observations(prompts, pair, "auto")
    assert found.name == "verb"
    np.testing.assert_array_equal(found.number, np.array([2, 2, 1, 1, 0, 0] * 2))
    assert found.describe(3) == "3 observations, one per verb"
    assert group_observations(prompts, pair, "place").describe(1) == "1 observation, one per place"
    np.testing.assert_array_equal(group_observations(prompts, pair, "none").number, pair)
    with pytest.raises(ConfigError, match="own differs within observations"):
        group_observations(prompts, pair, "own")
    with pytest.raises(ConfigError, match="cannot be 'verbs'; did you mean 'verb'"):
        group_observations(prompts, pair, "verbs")
    # What pairs differ in goes before what has more words.
    targets = from_marked(texts, {**columns, "slot": ["dog", "cat"] * 6})
    assert (
        group_observations(targets, pair, "auto").describe(2)
        == "2 observations, one per target word"
    )
    assert group_observations(targets, pair, "verb").name == "verb"
    no_columns = from_marked(texts)
    assert group_observations(no_columns, pair, "auto").name == ""
