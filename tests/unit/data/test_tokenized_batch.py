"""Many tokenised prompts at once, against the tokenizer's own account of each."""

import re

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from interp.core.errors import ConfigError
from interp.models import language_model
from interp.models.language_model import LanguageModel

TEXTS = ("the heron waits", "a", "café 🙂 met", "she met the heron by the mill", "two  blanks")


def words() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, without one for what it does not know, `[CLS]` … `[SEP]`."""
    known = ["[CLS]", "[SEP]", *sorted({word for text in TEXTS for word in text.split()})]
    vocabulary = {word: i for i, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    # What a model's own files may ask for is not wanted here: no prompt is cut or filled up.
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=16, pad_token="[SEP]")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.fixture(params=["bytes", "words"])
def model(request, tiny):
    skeleton = tiny.skeleton()
    if request.param == "bytes":
        return skeleton
    return LanguageModel("words", skeleton.module, words())


@pytest.mark.parametrize("at_once", [1, 2, 5, 8192])
def test_each_prompt_is_what_the_tokenizer_says_of_it_alone(model, at_once, monkeypatch):
    monkeypatch.setattr(language_model, "_TEXTS_AT_ONCE", at_once)
    found = model.tokenize(TEXTS)
    assert len(found) == len(TEXTS)
    assert found.texts == TEXTS
    for text, tokens in zip(TEXTS, found, strict=True):
        alone = model.tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        assert tokens.text == text
        assert tokens.ids.tolist() == alone["input_ids"]
        assert [tuple(span) for span in tokens.offsets.tolist()] == alone["offset_mapping"]
        assert tokens.special.tolist() == alone["special_tokens_mask"]
        assert 0 < tokens.special.sum() < len(tokens.ids)
    assert found.lengths.tolist() == [len(model.tokenizer(text)["input_ids"]) for text in TEXTS]


def test_chunks_are_the_whole_in_parts(model, monkeypatch):
    monkeypatch.setattr(language_model, "_TEXTS_AT_ONCE", 2)
    chunks = list(model.tokenized_in_chunks(TEXTS))
    assert [chunk.texts for chunk in chunks] == [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]
    assert [t.ids.tolist() for chunk in chunks for t in chunk] == [
        model.tokenizer(text)["input_ids"] for text in TEXTS
    ]


def test_a_prompt_is_a_view_of_the_whole(model):
    found = model.tokenize(TEXTS)
    for i, tokens in enumerate(found):
        assert np.shares_memory(tokens.ids, found.ids)
        assert np.shares_memory(tokens.offsets, found.offsets)
        assert found[i - len(TEXTS)].text == tokens.text
        assert found[i - len(TEXTS)].ids.tolist() == tokens.ids.tolist()
    for outside in (len(TEXTS), -len(TEXTS) - 1):
        with pytest.raises(IndexError):
            found[outside]


def test_a_text_without_a_token_is_named_in_whichever_chunk_it_is(tiny, monkeypatch):
    model = LanguageModel("words", tiny.skeleton().module, words())
    for at_once in (1, 8192):
        monkeypatch.setattr(language_model, "_TEXTS_AT_ONCE", at_once)
        said = re.escape("prompts: words has no token for some word of 'the unheard-of heron'")
        with pytest.raises(ConfigError, match=said):
            model.tokenize([*TEXTS, "the unheard-of heron", "a"])


def test_a_tokenizer_that_knows_no_characters_is_refused(tiny):
    model = LanguageModel("bytes", tiny.skeleton().module, ByT5Tokenizer())
    with pytest.raises(ConfigError, match="ByT5Tokenizer, the tokenizer of bytes, does not return"):
        model.tokenize(TEXTS)
