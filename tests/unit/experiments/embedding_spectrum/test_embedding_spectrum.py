"""Spectra of words in a constructed embedding, whose answer is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

from interp.core.errors import ConfigError
from interp.data.prompts import from_marked
from interp.experiments.embedding_spectrum.analysis import EmbeddingSpectrum
from interp.experiments.embedding_spectrum.extreme_tokens import extreme_tokens, token_kind
from interp.metrics.functional.spectra import (
    effective_rank,
    participation_ratio,
    singular_values,
    stable_rank,
)
from interp.models import MODELS
from interp.models.language_model import LanguageModel
from interp.models.vocabulary import Vocabulary
from interp.models.words import RandomTokens, Words
from tests.contract.test_conf import composed

D = 24
WORDS = [f"w{i}" if i % 2 else f"word{i}" for i in range(1200)]
DIGITS = [str(i) for i in range(40)]
TOKENS = ["[UNK]", "[unused1]", "<|reserved_special_token_2|>", *WORDS, *DIGITS, "a", "##b"]


def model_of(matrix):
    """A model whose vocabulary is TOKENS, with these rows as its embedding."""
    words = Tokenizer(models.WordLevel({token: i for i, token in enumerate(TOKENS)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    config = GPT2Config(vocab_size=len(TOKENS), n_embd=D, n_layer=1, n_head=1)
    module = GPT2Model(config)
    with torch.no_grad():
        module.wte.weight.copy_(torch.from_numpy(matrix))
    return LanguageModel("a model", module, tokenizer)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(len(TOKENS), D)).astype(np.float32)


def rows_of(words):
    return [TOKENS.index(word) for word in words]


def prompts_of(words, name="set"):
    return from_marked({name: list(words)})


def run(matrix, words, seed=0, **settings):
    model, prompts = model_of(matrix), prompts_of(words)
    source = SimpleNamespace(title="a model", unembedding="head", skeleton=lambda: model)
    analysis = EmbeddingSpectrum(**{"draws": 199, **settings})
    analysis.check(prompts, source)
    return analysis(prompts, source, model, np.random.default_rng(seed))


@pytest.mark.parametrize("shape", [(26, 384), (40, 12), (5, 9, 30)])
def test_singular_values_are_numpys_around_the_mean(shape):
    points = np.random.default_rng(0).normal(size=shape) + 3
    moved = points - points.mean(-2, keepdims=True)
    theirs = np.linalg.svd(moved, compute_uv=False)
    found = singular_values(points)
    assert found.shape[-1] == min(shape[-2] - 1, shape[-1])
    np.testing.assert_allclose(found, theirs[..., : found.shape[-1]], rtol=1e-9)


def test_as_many_equal_directions_are_as_many_dimensions():
    spectra = np.array([[2.0, 2, 2, 2, 0], [5, 0, 0, 0, 0]])
    for measure in (effective_rank, participation_ratio, stable_rank):
        np.testing.assert_allclose(measure(spectra), [4, 1])
    s = np.array([3.0, 1.0])
    assert effective_rank(s) == pytest.approx(np.exp(scipy.stats.entropy([0.75, 0.25])))
    assert participation_ratio(s) == pytest.approx(100 / 82)
    assert stable_rank(s) == pytest.approx(10 / 9)


def test_a_planted_low_rank_set_spans_fewer_dimensions_than_random_tokens():
    matrix = noise(0)
    rng = np.random.default_rng(1)
    rows = rows_of(WORDS[:16])
    matrix[rows] = rng.normal(size=(16, 3)) @ rng.normal(size=(3, D)) + 0.05 * matrix[rows]
    result = run(matrix, WORDS[:16])
    for name in ("effective_rank", "participation_ratio", "stable_rank"):
        assert result.scalars[f"{name}_p"] <= 0.01
        assert result.scalars[name] < 4
    assert result.finding.startswith("set span fewer dimensions than random tokens in the token")
    points = matrix[rows].astype(float)
    theirs = np.linalg.svd(points - points.mean(0), compute_uv=False)[:15]
    np.testing.assert_allclose(result.spectra["singular_value"], theirs, rtol=1e-5)
    variances = theirs**2
    np.testing.assert_allclose(
        result.spectra["cumulative_variance"], np.cumsum(variances) / variances.sum(), rtol=1e-5
    )


def test_p_is_uniform_for_words_that_are_random_tokens():
    matrix, rng = noise(2), np.random.default_rng(3)
    model = model_of(matrix)
    p = []
    for seed in range(120):
        words = Words.of(prompts_of(rng.choice(WORDS, 9, replace=False)), model, "none")
        drawn = RandomTokens.sample(
            words, model.vocabulary, "none", 99, np.random.default_rng(seed)
        )
        own = effective_rank(singular_values(words.points(matrix, words.ids)))
        null = effective_rank(singular_values(words.points(matrix, drawn.ids)))
        p.append(((null <= own).sum() + rng.random()) / 100)
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("match", ["none", "length", "rank"])
def test_random_tokens_are_words_matched_as_asked(match):
    model = model_of(noise(0))
    words = Words.of(prompts_of([*WORDS[:12], *DIGITS[:5]]), model, "none")
    drawn = RandomTokens.sample(words, model.vocabulary, match, 60, np.random.default_rng(0))
    assert drawn.ids.shape == (60, 17)
    assert all(len(set(ids)) == 17 for ids in drawn.ids)
    assert not set(drawn.ids.ravel()) & {0, 1, 2}
    lengths = np.array([len(token.removeprefix("##")) for token in TOKENS])
    if match == "length":
        np.testing.assert_array_equal(lengths[drawn.ids], np.tile(lengths[words.ids], (60, 1)))
    else:
        assert (lengths[drawn.ids] != lengths[words.ids]).any()
    # A twentieth of 1,242 tokens is 63 of them.
    apart = np.abs(drawn.ids - words.ids).max()
    assert (apart < 63) == (match == "rank")


def test_more_words_than_tokens_like_them_are_refused():
    model = model_of(noise(0))
    vocabulary = model.vocabulary
    words = Words.of(prompts_of([*DIGITS[:10], "w1", "w3"]), model, "none")
    few = vocabulary.is_word.copy()
    few[rows_of(["w3", "w5", "w7", "w9", *DIGITS[10:]])] = False
    fewer = Vocabulary(vocabulary.texts, few)
    with pytest.raises(ConfigError, match="match=length: 2 words match only 1 tokens"):
        RandomTokens.sample(words, fewer, "length", 9, np.random.default_rng(0))


def test_words_that_share_tokens_are_compared_with_random_sets_that_do():
    """Otherwise pooled words span fewer dimensions than chance by their spelling alone."""
    words = [f"{first} {last}" for first in ("w1", "w3", "w5") for last in ("w7", "w9", "w11")]
    p = []
    for seed in range(20):
        result = run(noise(40 + seed), words, seed=seed, pooling="mean", draws=99)
        p.append(result.scalars["effective_rank_p"])
    assert np.mean(np.array(p) < 0.2) < 0.6
    assert np.max(p) > 0.3


def test_words_of_several_tokens_are_named_or_pooled():
    matrix = noise(0)
    words = ["w1 w3", "w5", "w7", "w9"]
    with pytest.raises(
        ConfigError,
        match=r"these are several in a model: 'w1 w3' \(w1 \+ w3\); .* analysis.pooling",
    ):
        run(matrix, words)
    expected = {
        "mean": matrix[rows_of(["w1", "w3"])].mean(0),
        "first": matrix[TOKENS.index("w1")],
        "last": matrix[TOKENS.index("w3")],
    }
    for pooling, row in expected.items():
        found = Words.of(prompts_of(words), model_of(matrix), pooling)
        np.testing.assert_allclose(found.points(matrix, found.ids)[0], row, rtol=1e-6)
        assert run(matrix, words, pooling=pooling).figures


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["w1", "w3"], {}, "needs at least 3 words, not 2"),
        (["w1", "w3", "what"], {}, "a model has no token for 'what'"),
        (["w1", "w3", "w1 "], {}, "'w1', 'w1 ' have the same tokens in a model"),
        (["w1", "w3", "w5"], {"pair": ["w1", "w55"]}, "'w55' is not among the words; did you mean"),
        (["w1", "w3", "w5"], {"component": 3}, "have at most 2 components, not 3"),
    ],
)
def test_unusable_words_are_refused_before_any_weight_is_read(words, settings, said):
    source = SimpleNamespace(title="a model", skeleton=lambda: model_of(noise(0)))
    with pytest.raises(ConfigError, match=said):
        EmbeddingSpectrum(**settings).check(prompts_of(words), source)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("draws", 0), ("matrix", "w"), ("pooling", "max"), ("match", "x")),
        *(("top", 0), ("component", 0), ("pair", ["a"]), ("pair", ["a", "a"])),
    ],
)
def test_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError):
        EmbeddingSpectrum(**{field: value})


def test_the_ends_of_a_direction_are_sorted_and_leave_the_words_out():
    matrix = noise(4)
    model = model_of(matrix)
    words = Words.of(prompts_of(WORDS[:6]), model, "none")
    drawn = RandomTokens.sample(words, model.vocabulary, "none", 9, np.random.default_rng(0))
    axis = np.eye(D)[0]
    found = extreme_tokens(matrix, words, model.vocabulary, axis, np.eye(D)[1:10], drawn, 7)
    values = matrix[:, 0].astype(float)
    allowed = [i for i in range(3, len(TOKENS)) if i not in rows_of(WORDS[:6])]
    order = sorted(allowed, key=lambda i: values[i])
    np.testing.assert_array_equal(found.low, order[:7])
    np.testing.assert_array_equal(found.high, order[::-1][:7])
    assert found.low_labels == tuple(TOKENS[i] for i in order[:7])
    np.testing.assert_allclose(found.of_words, found.projections[rows_of(WORDS[:6])], atol=1e-6)
    assert found.of_words.mean() == pytest.approx(0, abs=1e-6)
    assert found.kind_test.kind == ""


@pytest.mark.parametrize("planted", [True, False])
def test_more_of_a_kind_than_chance_is_found_where_it_was_planted(planted):
    matrix = noise(5)
    if planted:
        # All digits share a line, of which ten show the direction.
        matrix[rows_of(DIGITS), 0] += np.random.default_rng(0).normal(scale=6, size=40)
    result = run(matrix, DIGITS[:10], top=10)
    tokens = result.tables["tokens"]
    assert (tokens["kind"] == "digits").sum() >= (8 if planted else 0)
    assert not set(tokens["token"]) & set(DIGITS[:10])
    assert ("more digits than by chance" in _title(result)) == planted or not planted
    assert ("no more digits" in _title(result)) == (not planted)


def _title(result):
    figure = result.figures["projection"]
    return " ".join(figure._suptitle.get_text().split())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("7", "digits"),
        ("␣1999", "digits"),
        ("##4", "digits"),
        ("a", "letters"),
        ("␣Ж", "letters"),
        ("##b", "letters"),
        ("的", ""),
        ("ab", ""),
        ("...", "punctuation"),
        ("␣$", "punctuation"),
        ("", ""),
    ],
)
def test_the_kind_of_a_token_follows_from_its_characters(text, kind):
    assert token_kind(text) == kind


def test_special_and_unused_tokens_of_bert_are_no_words():
    vocabulary = MODELS.build(composed("model=minilm").model).load().vocabulary
    tokens = MODELS.build(composed("model=minilm").model).tokenizer().get_vocab()
    unused = {i for token, i in tokens.items() if token.startswith("[unused")}
    special = {tokens[name] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    assert set(np.flatnonzero(~vocabulary.is_word)) == unused | special
    assert vocabulary.texts[tokens["##ing"]] == "##ing"


def test_figures_show_the_spectrum_and_the_correlations():
    result = run(noise(6), WORDS[:8])
    assert set(result.figures) == {"spectrum", "vectors", "projection", "correlations", "pair"}
    lines = result.figures["spectrum"].axes[0].get_lines()
    np.testing.assert_allclose(lines[1].get_ydata(), result.spectra["singular_value"])
    matrix = result.figures["correlations"].axes[0].images[0].get_array()
    rows = noise(6)[rows_of(WORDS[:8])]
    np.testing.assert_allclose(matrix, np.abs(np.corrcoef(rows)), atol=1e-6)
