"""Words in contexts: the source, and the set of names and objects that is written for it."""

import re
from collections import Counter

import pytest

from interp.core.errors import ConfigError
from interp.data.positions import Target
from interp.data.prompts import PROMPTS
from interp.data.prompts.contexts import ContextPair, Template, WordsInContexts
from interp.forward.plan import plan
from interp.hooks.residual import HiddenStates
from interp.models import MODELS
from tests.contract.test_conf import composed

CONTEXTS = [
    ContextPair("Our {word} sang.", "We saw our {word}."),
    ContextPair("Ah {word}!", "A {word}"),
]
TEMPLATE = Template("Then our {word} left.", "Then we left our {word}.", CONTEXTS)
GROUPS = {"names": ["Anna", "Tom"], "objects": ["lamp", "cup"]}


def source(**changed):
    given = {"groups": GROUPS, "bare": "our {word}", "doses": [0, 1, 2], "templates": [TEMPLATE]}
    return WordsInContexts(**{**given, **changed})


def test_the_first_contexts_stand_before_the_probe_and_the_last_mention_is_marked():
    prompts = source().load()
    table = prompts.table()
    assert len(prompts) == 4 * (1 + 1 + 1 + 2 * 2)
    lamp = table[table["word"] == "lamp"].set_index(["condition", "dose"])["text"]
    assert lamp.to_dict() == {
        ("bare", 0): "our lamp",
        ("as_object", 0): "Then we left our lamp.",
        ("probe", 0): "Then our lamp left.",
        ("subject", 1): "Our lamp sang. Then our lamp left.",
        ("other", 1): "We saw our lamp. Then our lamp left.",
        ("subject", 2): "Our lamp sang. Ah lamp! Then our lamp left.",
        ("other", 2): "We saw our lamp. A lamp Then our lamp left.",
    }
    assert set(table["group"][table["word"] == "lamp"]) == {"objects"}
    assert table["template"].tolist() == [-1, 0, 0, 0, 0, 0, 0] * 4
    for text, word, (start, end) in zip(prompts.texts, table["word"], prompts.targets, strict=True):
        assert text[start:end] == word
        assert start == text.rindex(word)


def test_the_columns_are_numbers_where_they_count():
    assert source().load().numeric_columns == ("dose", "template")


def test_a_word_with_braces_is_refused():
    with pytest.raises(ConfigError, match="mark one target"):
        source(groups={"names": ["a}b"]}).load()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"doses": []}, "doses must rise from 0 or more, not "),
        ({"doses": [2, 1]}, "doses must rise from 0 or more, not "),
        ({"doses": [0, 0]}, "doses must rise from 0 or more, not "),
        ({"doses": [-1]}, "doses must rise from 0 or more, not "),
        ({"doses": [3]}, "number 0 has 2 pairs of context sentences, too few for a dose of 3"),
        ({"templates": []}, "templates: give at least one"),
        ({"bare": "our"}, r"'our' must name \{word\} exactly once"),
        ({"bare": "{word} {word}"}, "exactly once"),
        ({"bare": "{name}"}, "exactly once"),
        ({"bare": "{word!r}"}, "exactly once"),
        ({"bare": "{word"}, "exactly once"),
        ({"bare": "{{word}} {word}"}, "exactly once"),
        ({"groups": {"a": ["x", "y"], "b": ["x"]}}, "the word 'x' is given twice"),
        ({"groups": {"a": ["x"], "b": []}}, "group 'b' has no prompt"),
    ],
)
def test_faulty_settings_are_refused(changed, said):
    with pytest.raises(ConfigError, match=said):
        source(**changed).load()


@pytest.fixture(scope="module")
def written():
    return PROMPTS.build(composed("prompts=names_and_objects").prompts)


def test_there_are_enough_words_and_templates(written):
    assert list(written.groups) == ["names", "objects"]
    assert all(len(words) >= 24 for words in written.groups.values())
    assert len(written.templates) >= 6
    assert written.doses == [0, 1, 2, 4, 8]
    assert len(written.load()) == 48 * (1 + len(written.templates) * (1 + 1 + 2 * 4))


def test_the_classes_are_balanced_in_letters(written):
    names, objects = (sorted(map(len, words)) for words in written.groups.values())
    assert sum(names) == sum(objects)
    assert max(names) == max(objects) <= 6


def test_no_sentence_is_written_twice_and_none_refers_back(written):
    sentences = [s for s in written._sentences() if s != written.bare]
    assert not [s for s, times in Counter(sentences).items() if times > 1]
    back = re.compile(r"\b(he|she|it|they|him|her|his|hers|its|them|their|\w+sel(f|ves))\b", re.I)
    assert not [s for s in sentences if back.search(s)]
    assert all("our {word}" in s.lower() for s in sentences)


def test_both_kinds_of_context_are_alike_in_words_and_tokens(written):
    for template in written.templates:
        for pair in template.contexts:
            assert len(pair.subject.split()) == len(pair.other.split()), pair
    prompts = written.load()
    model = MODELS.build(composed().model)
    found = plan(model, prompts, HiddenStates(), Target())
    tokenised = model.skeleton().tokenize(prompts.texts)
    assert (found.samples["n_tokens"] == 1).all()
    assert found.samples["token"].tolist() == list(prompts.columns["word"])
    table = prompts.table()
    # Each word is one token: its place in the sentence cannot tell one context from the other.
    assert all(
        len(tokens.covering(t)) == 1 for tokens, t in zip(tokenised, prompts.targets, strict=True)
    )
    table["tokens"] = [len(tokens.ids) for tokens in tokenised]
    table["position"] = found.samples["position"]
    for column in ("tokens", "position"):
        lengths = table.pivot(
            index=["word", "template", "dose"], columns="condition", values=column
        ).dropna(subset=["subject"])
        assert (lengths["subject"] == lengths["other"]).all()
        assert len(lengths) == 48 * len(written.templates) * 4
        of_frames = table.groupby(["condition", "dose", "template"])[column].nunique()
        assert (of_frames == 1).all()
