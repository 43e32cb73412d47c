"""Positions on three kinds of tokenizer, trained here, against decoding and the text itself."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers.implementations import SentencePieceUnigramTokenizer
from transformers import PreTrainedTokenizerFast

from interp.core.errors import ConfigError
from interp.data.positions import (
    POSITIONS,
    All,
    AttentionMean,
    BeforeTarget,
    First,
    Index,
    Last,
    Max,
    Mean,
    Target,
    TargetAndBefore,
)
from interp.data.prompts import parse_marked
from interp.models.language_model import LanguageModel

MARKED = [
    "the {heron} waits",
    "{heron} first, heron later",
    "a heron met a {heron}",
    "she met {the old mill} there",
    "caf\u00e9 and {na\u00efvet\u00e9} 🙂 met",
    "  spaced   {out}  words",
    "un{believ}able",
]

CORPUS = [
    *(parse_marked(marked)[0] for marked in MARKED),
    "the heron waits by the water and the fox waits by the barn",
    "a heron met a fox near the old mill and they saw the water",
    "she met him and he met her by the mill in the old barn",
]


def wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def byte_level(*, trim_offsets: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def sentencepiece() -> PreTrainedTokenizerFast:
    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(
        CORPUS, vocab_size=90, special_tokens=["<unk>", "<s>"], unk_token="<unk>"
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, unk_token="<unk>", bos_token="<s>"
    )


TOKENIZERS = {
    "wordpiece": wordpiece(),
    "byte_level": byte_level(trim_offsets=True),
    "byte_level_untrimmed": byte_level(trim_offsets=False),
    "sentencepiece": sentencepiece(),
}


@pytest.fixture(params=TOKENIZERS)
def model(request, tiny):
    return LanguageModel("trained here", tiny.skeleton().module, TOKENIZERS[request.param])


def tokens_of(model, marked):
    text, target = parse_marked(marked)
    return model.tokenize([text])[0], target


@pytest.mark.parametrize("marked", MARKED)
def test_the_target_tokens_spell_the_target_and_no_fewer_would(model, marked):
    tokens, target = tokens_of(model, marked)
    (found,) = Target(several="mean")(tokens, target)
    word = tokens.text[slice(*target)]
    assert word in model.tokenizer.decode(tokens.ids[list(found)])
    assert found == tuple(range(found[0], found[-1] + 1))
    for fewer in (found[1:], found[:-1]):
        assert word not in model.tokenizer.decode(tokens.ids[list(fewer)])


@pytest.mark.parametrize("marked", MARKED)
def test_first_last_and_error_choose_among_the_target_tokens(model, marked):
    tokens, target = tokens_of(model, marked)
    (every,) = Target(several="mean")(tokens, target)
    assert Target()(tokens, target) == [(every[-1],)]
    assert Target(several="first")(tokens, target) == [(every[0],)]
    if len(every) > 1:
        with pytest.raises(ConfigError, match=f"is {len(every)} tokens"):
            Target(several="error")(tokens, target)
    else:
        assert Target(several="error")(tokens, target) == [every]


@pytest.mark.parametrize("marked", MARKED)
def test_a_span_is_covered_by_the_texts_tokens_that_share_a_character_with_it(model, marked):
    tokens, _ = tokens_of(model, marked)
    of_text = [i for i in range(len(tokens.ids)) if not tokens.special[i]]
    assert tokens.of_text == of_text
    for start in range(len(tokens.text)):
        for end in range(start + 1, len(tokens.text) + 1):
            span = set(range(start, end))
            shared = []
            for i in of_text:
                first, last = tokens.offsets[i].tolist()
                # A token of blanks that the tokenizer trims to nothing belongs where it lies.
                if span & set(range(first, last)) or (first == last and start < first < end):
                    shared.append(i)
            assert tokens.covering((start, end)) == shared


def test_the_marked_occurrence_is_found_not_the_first_one(model):
    tokens, target = tokens_of(model, "a heron met a {heron}")
    (found,) = Target(several="mean")(tokens, target)
    assert tokens.offsets[found[-1], 1] == len(tokens.text)
    tokens, target = tokens_of(model, "{heron} met a heron")
    (found,) = Target(several="mean")(tokens, target)
    assert found[0] == tokens.of_text[0]


def test_before_target_ends_where_the_target_begins(model):
    tokens, target = tokens_of(model, "the heron met {him}")
    ((before,),) = BeforeTarget()(tokens, target)
    (found,) = Target(several="mean")(tokens, target)
    assert before == found[0] - 1
    tokens, target = tokens_of(model, "{him} and her")
    with pytest.raises(ConfigError, match="no token stands before"):
        BeforeTarget()(tokens, target)


@pytest.mark.parametrize("marked", ["the heron met {him}", "she met {the old mill} there"])
def test_target_and_before_are_the_targets_last_token_and_the_one_before_its_first(model, marked):
    tokens, target = tokens_of(model, marked)
    (every,) = Target(several="mean")(tokens, target)
    assert TargetAndBefore()(tokens, target) == [(every[0] - 1,), (every[-1],)]
    tokens, target = tokens_of(model, "{him} and her")
    with pytest.raises(ConfigError, match="no token stands before"):
        TargetAndBefore()(tokens, target)


def test_special_tokens_are_left_out_unless_asked_for(model):
    tokens, target = tokens_of(model, "the heron waits")
    n_special = model.tokenizer.num_special_tokens_to_add()
    of_text = [i for (i,) in All()(tokens, target)]
    assert len(of_text) == len(tokens.ids) - n_special
    assert [i for (i,) in All(special=True)(tokens, target)] == list(range(len(tokens.ids)))
    assert First()(tokens, target) == [(of_text[0],)] == Index(0)(tokens, target)
    assert Last()(tokens, target) == [(of_text[-1],)] == Index(-1)(tokens, target)
    for pooled in (Mean(), Max(), AttentionMean()):
        assert pooled(tokens, target) == [tuple(of_text)]
    shown = model.tokenizer.decode(tokens.ids[of_text])
    assert shown.replace(" ", "") == "theheronwaits"


def test_every_text_character_is_covered(model):
    for marked in MARKED:
        tokens, _ = tokens_of(model, marked)
        covered = np.zeros(len(tokens.text), bool)
        for start, end in tokens.offsets[~tokens.special]:
            covered[start:end] = True
        missed = [c for c, yes in zip(tokens.text, covered, strict=True) if not yes]
        assert not "".join(missed).strip()


def test_what_a_prompt_does_not_have_is_refused(model):
    tokens, unmarked = tokens_of(model, "a fox")
    for position in (Target(), BeforeTarget(), TargetAndBefore()):
        with pytest.raises(ConfigError, match="no target is marked in 'a fox'"):
            position(tokens, unmarked)
    with pytest.raises(ConfigError, match="index 99 is outside"):
        Index(99)(tokens, unmarked)
    with pytest.raises(ConfigError, match="several cannot be 'frist'; did you mean 'first'"):
        POSITIONS.build({"name": "target", "several": "frist"})
