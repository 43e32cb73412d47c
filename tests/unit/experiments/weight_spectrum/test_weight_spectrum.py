"""Weights that were planted, and weights that mean nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from interp.core.errors import ConfigError
from interp.data.prompts import from_marked
from interp.experiments.weight_spectrum.analysis import WeightSpectrum
from interp.experiments.weight_spectrum.composition import score_compositions, strongest_pairs
from interp.experiments.weight_spectrum.decomposition import decompose
from interp.experiments.weight_spectrum.top_tokens import top_tokens
from interp.experiments.weight_spectrum.weights import ModelWeights
from interp.metrics.functional.spectra import effective_rank
from interp.models import Random
from interp.models.vocabulary import Vocabulary
from tests.architectures import ARCHITECTURES

LETTERS = [chr(ord("a") + i) for i in range(12)]
D, HEADS, D_HEAD = 32, 2, 16
GPT2 = {"n_embd": D, "n_layer": 3, "n_head": HEADS, "n_positions": 64}


def loaded(seed, change=None, architecture="gpt2", settings=GPT2):
    """A tiny model that reads bytes; a seed of its own, since models are held and changed here."""
    source = Random(architecture=architecture, settings=settings, seed=seed)
    model = source.load(head=True)
    if change is not None:
        with torch.no_grad():
            change(model.module)
    return source, model


def run(source, model, **settings):
    analysis = WeightSpectrum(**{"draws": 199, "top": 5, **settings})
    prompts = from_marked({"letters": LETTERS})
    stub = SimpleNamespace(title=source.title, skeleton=lambda: model)
    analysis.check(prompts, stub)
    return analysis(prompts, stub, model, np.random.default_rng(0))


def basis(seed, columns, d=D):
    """Orthonormal columns that LayerNorm, which takes off the mean, lets through."""
    drawn = torch.randn(d, columns, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(drawn - drawn.mean(0))[0]


def of_head(part, head):
    """The columns of GPT-2's fused projection that belong to a head's query, key or value."""
    start = "qkv".index(part) * D + head * D_HEAD
    return slice(start, start + D_HEAD)


@pytest.fixture(scope="module")
def copier():
    """Head 1 of layer 1 writes what it reads; head 0 of layer 2 writes the reverse."""

    def change(module):
        for layer, head, sign in ((1, 1, 1.0), (2, 0, -1.0)):
            attention, subspace = module.h[layer].attn, basis(layer, D_HEAD)
            attention.c_attn.weight[:, of_head("v", head)] = subspace
            rows = slice(head * D_HEAD, (head + 1) * D_HEAD)
            attention.c_proj.weight[rows] = sign * subspace.T

    source, model = loaded(901, change)
    return run(source, model)


def test_a_planted_copying_head_is_found_and_no_other(copier):
    heads = copier.tables["heads"].set_index(["layer", "head"])
    assert heads.loc[(1, 1), "copying_score"] == pytest.approx(1, abs=1e-3)
    assert heads.loc[(1, 1), "positive_eigenvalues"] == 1
    assert heads.loc[(1, 1), "p_adjusted"] == pytest.approx(6 / 200)
    assert heads.loc[(1, 1), "words_returned"] > 0.7
    assert heads.loc[(2, 0), "copying_score"] == pytest.approx(-1, abs=1e-3)
    assert heads.loc[(2, 0), "words_returned"] == 0
    others = heads.drop([(1, 1), (2, 0)])
    assert (others["p_adjusted"] > 0.05).all()
    assert (others["words_returned"] < 0.3).all()
    assert "1 of 6 heads copy more than random factors (copying score" in copier.finding
    assert "the largest score is that of head 1 of layer 1: 1.00" in copier.finding


def test_the_result_has_a_figure_and_a_table_for_each_question(copier):
    figures = {
        *("spectra", "ov_effective_rank", "qk_effective_rank", "readable_ov", "readable_qk"),
        *("copying", "positive_eigenvalues", "words_returned"),
        *("q_composition", "k_composition", "v_composition"),
    }
    assert set(copier.figures) == figures
    assert {"summary", "directions", "heads", "compositions"} <= set(copier.tables)
    directions = copier.tables["directions"]
    # Five components: both sides of two circuits of two heads, and each side of the MLP once.
    assert len(directions) == 3 * 5 * (2 * 2 * HEADS + 2)
    assert (directions["p_adjusted"] >= directions["p"]).all()
    assert copier.series["effective_rank_ov"].layers == (0, 1, 2)


def test_random_weights_have_no_readable_directions_and_full_rank():
    result = run(*loaded(902))
    assert result.scalars["readable_directions"] < 0.02
    assert result.scalars["copying_heads"] == 0
    ranks = result.series["effective_rank_ov"].values
    random = np.random.default_rng(0)
    products = random.normal(size=(20, D, D_HEAD)) @ random.normal(size=(20, D_HEAD, D))
    spectra = np.linalg.svd(products, compute_uv=False)
    np.testing.assert_allclose(ranks, effective_rank(spectra).mean(), rtol=0.06)


def test_a_planted_direction_of_similar_tokens_is_readable():
    def change(module):
        # Ten letters share a direction, of the length of a token's own, which a neuron writes.
        shared = 0.3 * basis(7, 1, wide)[:, 0]
        module.wte.weight[ids] += shared
        module.h[0].mlp.c_proj.weight[0] = 50 * shared

    # In few dimensions any direction comes near the shared one.
    wide = 256
    source, model = loaded(903, settings={**GPT2, "n_embd": wide, "n_head": 16})
    ids = [int(t.ids[t.of_text][0]) for t in model.tokenize(LETTERS[:10])]
    with torch.no_grad():
        change(model.module)
    table = run(source, model, draws=999).tables["directions"]
    found = table[(table["part"] == "MLP out") & (table["layer"] == 0) & (table["component"] == 1)]
    assert found["p"].iloc[0] <= 0.01
    ends = set(found["high"].iloc[0].split()), set(found["low"].iloc[0].split())
    assert any(end <= set(LETTERS[:10]) for end in ends)


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_a_planted_composition_is_the_strongest(part):
    def change(module):
        subspace = basis(3, D_HEAD)
        module.h[0].attn.c_proj.weight[D_HEAD:] = subspace.T
        module.h[2].attn.c_attn.weight[:, of_head(part, 0)] = subspace

    _, model = loaded(910 + "qkv".index(part), change)
    found = score_compositions(ModelWeights.of(model), np.random.default_rng(0))
    assert [composition.kind for composition in found] == ["Q", "K", "V"]
    for composition in found:
        assert np.isnan(composition.scores[1, :, :2]).all()
        best = np.unravel_index(np.nanargmax(composition.scores), composition.scores.shape)
        assert (best == (0, 1, 2, 0)) == (composition.kind == part.upper())
        rest = np.delete(composition.scores.ravel(), np.ravel_multi_index(best, (3, 2, 3, 2)))
        # What is left are random matrices, whose score has been taken off.
        assert abs(np.nanmean(rest)) < 0.02
    table = strongest_pairs(found, 2)
    first = table.sort_values("score above random", ascending=False).iloc[0]
    assert (first["composition"], first["layer"], first["head"]) == (part.upper(), 0, 1)
    assert (first["later layer"], first["later head"]) == (2, 0)
    assert found[0].strongest.shape == (3, HEADS)


def test_decompositions_are_those_of_the_products_written_out():
    _, model = loaded(904)
    weights = ModelWeights.of(model)
    by_name = {part.name: part for part in decompose(weights, 3)}
    assert list(by_name) == ["OV", "QK", "MLP in (c_fc)", "MLP out"]
    for name, product in (
        ("OV", weights.ov[1].value[1] @ weights.ov[1].output[1]),
        ("QK", weights.qk[1].query[1] @ weights.qk[1].key[1].T),
    ):
        u, s, vt = np.linalg.svd(product.astype(float))
        part = by_name[name]
        np.testing.assert_allclose(part.values[1, 1], s[:D_HEAD], rtol=1e-5)
        np.testing.assert_allclose(np.abs(part.left[1, 1] @ u[:, :3]), np.eye(3), atol=1e-4)
        np.testing.assert_allclose(np.abs(part.right[1, 1] @ vt[:3].T), np.eye(3), atol=1e-4)
    for name, matrix in (
        ("MLP in (c_fc)", weights.mlp[2].inputs["c_fc"]),
        ("MLP out", weights.mlp[2].output.T),
    ):
        part = by_name[name]
        u, s, _ = np.linalg.svd(matrix.astype(float))
        np.testing.assert_allclose(part.values[2, 0], s, rtol=1e-5, atol=1e-5)
        side = part.left if part.left.size else part.right
        np.testing.assert_allclose(np.abs(side[2, 0] @ u[:, :3]), np.eye(3), atol=1e-4)


def test_top_tokens_and_their_coherence_by_hand():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 8)).astype(np.float32) + 2
    is_word = rng.random(60) < 0.8
    vocabulary = Vocabulary(tuple(f"w{i}" for i in range(60)), is_word)
    directions = rng.normal(size=(200, 8))
    found = top_tokens(matrix, vocabulary, directions, 4, "")
    words = np.flatnonzero(is_word)
    middle = matrix[words].astype(float).mean(0)
    for i in (0, 63, 199):
        order = words[np.argsort(matrix[words] @ directions[i])]
        np.testing.assert_array_equal(found.low[i], order[:4])
        np.testing.assert_array_equal(found.high[i], order[::-1][:4])
        ends = [cosine_similarity(matrix[ids] - middle) for ids in (order[:4], order[-4:])]
        alike = max(cosines[np.triu_indices(4, 1)].mean() for cosines in ends)
        assert found.coherence[i] == pytest.approx(alike, abs=1e-5)


def test_a_kind_of_matrix_that_cannot_be_separated_is_left_out_with_its_reason():
    normed = run(*loaded(905, architecture="qwen3", settings=ARCHITECTURES["qwen3"]))
    assert "readable_qk" not in normed.figures
    assert "q_composition" not in normed.figures
    assert {"copying", "v_composition"} <= set(normed.figures)
    assert "queries" in normed.finding.splitlines()[-1]
    mlp_alone = run(*loaded(906, architecture="gptj", settings=ARCHITECTURES["gptj"]))
    assert set(mlp_alone.figures) == {"spectra"}
    assert "interface" in mlp_alone.finding.splitlines()[-1]


def test_what_layer_norm_takes_off_changes_nothing():
    def shift(module):
        # A number of its own on every column; the logits stay as they are.
        for block in module.h:
            weight = block.attn.c_attn.weight
            weight += torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(5))

    first, second = (run(*loaded(907, change)) for change in (None, shift))
    one, other = (result.layer_table() for result in (first, second))
    for name in ("effective_rank_ov", "effective_rank_qk", "most_copying"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-3)


def test_an_embedding_of_another_width_is_refused_before_weights_are_read():
    source = Random(architecture="electra", settings=ARCHITECTURES["electra"])
    with pytest.raises(ConfigError, match="has 16 dimensions and its residual stream 32"):
        WeightSpectrum().check(from_marked({"letters": LETTERS}), source)


def test_more_tokens_than_there_are_words_are_refused():
    source = Random(architecture="gpt2", settings=GPT2)
    with pytest.raises(ConfigError, match="has 256 words, fewer than 400"):
        WeightSpectrum(top=400).check(from_marked({"letters": LETTERS}), source)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"components": 0}, "components must"), ({"top": 1}, "top must"), ({"draws": 0}, "must be")],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        WeightSpectrum(**settings)
