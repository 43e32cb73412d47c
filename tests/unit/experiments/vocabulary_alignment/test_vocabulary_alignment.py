"""Models whose alignment is known: permuted layers, other dimensions, nothing in common."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from interp.core.errors import ConfigError
from interp.data.prompts import from_marked
from interp.experiments.vocabulary_alignment.activation_analysis import ActivationAlignment
from interp.experiments.vocabulary_alignment.analysis import VocabularyAlignment
from interp.experiments.vocabulary_alignment.correlations import (
    assignment,
    best_matches,
    mean_row_correlations,
    normalised,
    shared_product,
)
from interp.hooks.residual import HiddenStates, ResidPost
from interp.models import MODELS, Random
from interp.models.final_norm import final_norm
from interp.models.vocabulary import Vocabulary
from tests.architectures import ARCHITECTURES
from tests.contract.test_conf import composed

LAYERS = 5
GPT2 = {"n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 64}
ORDER = [3, 0, 4, 1, 2]


def drawn(seed, **settings):
    source = Random(architecture="gpt2", settings={**GPT2, **settings}, seed=seed)
    return source, source.load(head=True)


def stub(model, source):
    """A source whose weights are these."""
    return SimpleNamespace(title=source.title, load=lambda head: model, skeleton=lambda: model)


def permuted(model, turn=None):
    """The model with its blocks in another order, and all of it in turned dimensions."""
    head = copy.deepcopy(model.head)
    blocks = head.transformer.h
    head.transformer.h = torch.nn.ModuleList([blocks[i] for i in ORDER])
    if turn is not None:
        with torch.no_grad():
            head.transformer.wte.weight.copy_(head.transformer.wte.weight @ turn)
            for block in head.transformer.h:
                block.mlp.c_proj.weight.copy_(block.mlp.c_proj.weight @ turn)
    return replace(model, head=head, module=head.transformer)


def run(first, second, **settings):
    analysis = VocabularyAlignment(**{"neurons": 32, "permutations": 19, **settings})
    analysis.check(first, second)
    return analysis(first, second, np.random.default_rng(0))


def test_correlations_are_pearsons_over_the_vocabulary():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 40, 6)).astype(np.float32)
    theirs = np.hstack([theirs, ours[:, :3]]) + 1
    a, b = rng.normal(size=(2, 5, 6)), rng.normal(size=(3, 5, 9))
    unit = [normalised(x, shared_product(u, u)) for x, u in ((a, ours), (b, theirs))]
    product = shared_product(ours, theirs)

    def pearson(x, y):
        return scipy.stats.pearsonr(ours @ x, theirs @ y)[0]

    best, rows = best_matches(*unit, product), mean_row_correlations(*unit, product)
    for i in range(2):
        for j in range(3):
            table = [[pearson(x, y) for y in b[j]] for x in a[i]]
            assert best[i, j] == pytest.approx(np.max(table, axis=1).mean(), abs=1e-5)
            assert rows[i, j] == pytest.approx(np.trace(table) / 5, abs=1e-5)


def test_the_product_does_not_depend_on_how_many_words_are_read_at_once(monkeypatch):
    matrices = np.random.default_rng(1).normal(size=(2, 100, 4)).astype(np.float32)
    whole = shared_product(*matrices)
    monkeypatch.setattr("interp.experiments.vocabulary_alignment.correlations._WORDS_PER_CHUNK", 7)
    np.testing.assert_allclose(shared_product(*matrices), whole, rtol=1e-4, atol=1e-4)


def test_the_assignment_uses_each_layer_once():
    rows, columns, total = assignment(np.array([[0.9, 0.8, 0.0], [0.8, 0.1, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert total == pytest.approx(1.6)


@pytest.mark.parametrize("of", ["output", "input"])
def test_a_model_against_itself_with_permuted_layers_recovers_the_permutation(of):
    source, model = drawn(920)
    result = run(stub(model, source), stub(permuted(model), source), of=of)
    summary = result.tables["summary"]
    assert [ORDER[j] for j in summary["matched with"]] == list(range(LAYERS))
    np.testing.assert_allclose(summary["correlation"], 1, atol=1e-4)
    assert result.scalars["assignment_p"] == 1 / 20
    assert (summary["p (corrected)"] == 1 / 20).all()


def test_rotated_dimensions_change_nothing_of_what_neurons_write():
    source, model = drawn(921)
    # A turn about the direction that LayerNorm takes off.
    level = torch.full((32, 1), 32**-0.5)
    others = torch.randn(32, 31, generator=torch.Generator().manual_seed(0))
    axes, more = (
        torch.linalg.qr(torch.hstack([level, other]))[0] for other in (others, others.roll(1, 0))
    )
    turn = axes @ torch.diag(torch.sign(axes[0, 0] * more[0, 0]).repeat(32)) @ more.T
    result = run(stub(model, source), stub(permuted(model, turn), source))
    np.testing.assert_allclose(result.tables["summary"]["correlation"], 1, atol=1e-3)


def test_two_random_models_are_no_more_similar_than_with_permuted_words():
    p = []
    source, model = drawn(922)
    for seed in range(930, 942):
        other = drawn(seed, n_layer=3)
        result = run(stub(model, source), stub(other[1], other[0]), neurons=8)
        p.append(result.scalars["assignment_p"])
        assert len(result.tables["summary"]) == 3
        assert result.figures["alignment"].axes[0].images[0].get_array().shape == (LAYERS, 3)
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


def test_models_that_share_words_alone_are_no_more_similar_than_chance():
    """The unembedding makes unrelated neurons correlate."""
    source, model = drawn(926)
    other = permuted(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # Words alike in both models, as trained unembeddings have them, and neurons of noise.
        model.module.wte.weight[:128] += 3
        other.module.wte.weight[:128] += 3
        for block in other.module.h:
            weight = block.mlp.c_proj.weight
            weight.copy_(torch.randn(weight.shape, generator=generator))
    result = run(stub(model, source), stub(other, source), permutations=99)
    assert "with permuted words" in result.finding
    assert result.scalars["assignment_p"] > 0.05
    assert result.scalars["matched_with_own_number_p"] > 0.05
    assert "no more similar than chance" in result.finding


def test_words_of_two_tokenizers_meet_where_they_are_spelled_alike():
    wordpiece = Vocabulary(("[PAD]", "the", "##s", "a"), np.array([False, True, True, True]))
    bytes_of = Vocabulary(("␣the", "s", "the", "␣a", "##"), np.ones(5, bool))
    assert wordpiece.spelled == {"␣the": 1, "s": 2, "␣a": 3}
    assert bytes_of.spelled == {"␣the": 0, "s": 1, "the": 2, "␣a": 3, "##": 4}


def test_a_model_alone_and_two_without_common_words_are_refused():
    source, model = drawn(923)
    with pytest.raises(ConfigError, match="a model to align with is needed: model@reference="):
        VocabularyAlignment().check(stub(model, source), None)
    few = copy.deepcopy(source.tokenizer())
    few.convert_ids_to_tokens = lambda ids: [f"word{i}" for i in ids]
    few.decode = lambda ids: f"word{ids[0]}"
    other = stub(replace(model, tokenizer=few), source)
    with pytest.raises(ConfigError, match="share 0 words of their vocabularies; at least 20"):
        VocabularyAlignment().check(stub(model, source), other)


def test_an_embedding_of_another_width_is_refused_before_weights_are_read():
    source = Random(architecture="electra", settings=ARCHITECTURES["electra"])
    with pytest.raises(ConfigError, match="has 16 dimensions and its residual stream 32"):
        VocabularyAlignment().check(source, source)


def activations_run(first, second, order, hook=None):
    prompts = from_marked({"all": ["one two", "three four five", "six", "seven eight nine"]})
    read = []
    for source in (first, second):
        with torch.no_grad():
            model = source.load(head=True)
            rows = []
            for tokens in model.tokenize(prompts.texts):
                found = model.module(
                    torch.from_numpy(tokens.ids)[None], output_hidden_states=True
                ).hidden_states[1:-1]
                rows.append(torch.stack([x[0, -1] for x in found]))
        read.append(torch.stack(rows, 1).numpy())
    ours, theirs = read[0], read[1][order]
    samples = prompts.table()
    analysis = ActivationAlignment(permutations=19)
    reference = SimpleNamespace(
        samples=samples,
        activations=lambda: iter(
            [SimpleNamespace(values=theirs, samples=samples, layers=tuple(range(len(theirs))))]
        ),
    )
    own = SimpleNamespace(values=ours, samples=samples, layers=tuple(range(len(ours))))
    analysis.check(first, second, hook or ResidPost(), prompts, samples, reference)
    return analysis(own, reference, first, second, np.random.default_rng(0))


def test_activations_of_a_model_against_itself_recover_the_permutation():
    source, _ = drawn(924)
    order = [2, 0, 3, 1]
    result = activations_run(source, source, order)
    summary = result.tables["summary"]
    assert [order[j] for j in summary["matched with"]] == [0, 1, 2, 3]
    np.testing.assert_allclose(summary["correlation"], 1, atol=1e-4)
    # The logit lens itself: its logits, correlated over the words.
    model = source.load(head=True)
    assert final_norm(model).applied(np.ones((2, 32), np.float32)) == pytest.approx(0, abs=1e-2)


def test_activations_after_the_final_norm_are_refused():
    source, _ = drawn(925)
    with pytest.raises(ConfigError, match="before the final norm: use hook=resid_post"):
        activations_run(source, source, [0, 1, 2, 3], HiddenStates())


def test_the_presets_reference_is_a_randomly_initialised_baseline():
    config = composed("experiment=vocabulary_alignment")
    assert MODELS.build(config.reference, at="reference").is_drawn
