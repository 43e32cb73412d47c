"""Two tokens compared, on constructed activations whose answer is known."""

import itertools

import numpy as np
import pytest
import scipy.stats

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Target
from interp.data.prompts import from_marked
from interp.experiments.token_similarity.analysis import TokenSimilarity
from interp.hooks.residual import ResidPost
from interp.metrics.kernels import LinearCKA
from interp.metrics.pairs import Cosine, Euclidean
from interp.metrics.vocabulary import KLDivergence
from tests.unit.experiments.layer_similarity.test_layer_similarity import table


def run(values, metric, source, seed=0, **settings):
    n = values.shape[1]
    prompts = from_marked({"pair": ["a {cat}", "one {cat}"], "other": ["{dog}"] * (n - 2)})
    samples = table(prompts.groups).assign(token=["cat", "cat", *["dog"] * (n - 2)])
    found = Activations(values.astype(np.float32), tuple(range(len(values))), samples, 1e-5)
    analysis = TokenSimilarity(**settings)
    analysis.check(prompts, samples, metric)
    return analysis(
        found, prompts, source, ResidPost(), Target(), metric, np.random.default_rng(seed)
    )


@pytest.fixture
def planted():
    """Four layers of unrelated tokens; in layer 2 the first two are alike."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(4, 20, 12))
    values[2, 1] = values[2, 0] + 0.2 * rng.normal(size=12)
    return values


@pytest.mark.parametrize("metric", [Cosine(), Euclidean(), KLDivergence()], ids=repr)
def test_the_planted_layer_is_found_and_no_other(metric, planted, tiny):
    result = run(planted, metric, tiny)
    p = result.tested[0].p_corrected
    assert p[2] == pytest.approx(1 / 190 if metric.symmetric else 1 / 380)
    assert (np.delete(p, 2) > 0.05).all()
    x, y = (planted[2, i].astype(np.float32).astype(float)[None] for i in (0, 1))
    assert result.tested[0].values[2] == pytest.approx(metric(x, y))
    assert result.finding.startswith(
        "'cat' in 'a cat' and 'cat' in 'one cat' are closer than other tokens at layer 2 ("
    )
    assert result.tables["summary"]["significance"].tolist()[2] in ("above chance", "near identity")


def test_the_null_is_every_other_pair(planted, tiny):
    result = run(planted, Cosine(), tiny)
    points = planted[1].astype(np.float32).astype(float)
    pairs = [p for p in itertools.combinations(range(20), 2) if p != (0, 1)]
    others = [Cosine()(points[[i]], points[[j]]) for i, j in pairs]
    assert len(others) == 189
    assert result.tested[0].null_mean[1] == pytest.approx(np.mean(others))
    observed = Cosine()(points[[0]], points[[1]])
    share = (1 + (np.array(others) >= observed).sum()) / 190
    assert result.tested[0].p[1] == pytest.approx(share)


def test_the_null_of_an_asymmetric_metric_holds_each_pair_both_ways(planted, tiny):
    result = run(planted[:, :5], KLDivergence(), tiny)
    points = planted[1, :5].astype(np.float32).astype(float)
    pairs = [p for p in itertools.permutations(range(5), 2) if p != (0, 1)]
    others = [KLDivergence()(points[[i]], points[[j]]) for i, j in pairs]
    assert result.tested[0].null_mean[1] == pytest.approx(np.mean(others))


def test_p_is_uniform_where_the_two_tokens_are_like_any_others(tiny, monkeypatch):
    monkeypatch.setattr(
        "interp.experiments.token_similarity.figures.similarity_curve", lambda *_: None
    )
    found = [
        run(np.random.default_rng(seed).normal(size=(1, 12, 5)), Cosine(), tiny).tested[0].p
        for seed in range(200)
    ]
    assert scipy.stats.kstest(np.ravel(found), "uniform").pvalue > 0.01


def test_so_many_pairs_are_drawn_and_the_same_seed_draws_the_same(planted, tiny):
    first, again, other = (run(planted, Cosine(), tiny, s, permutations=30) for s in (0, 0, 1))
    assert first.tested[0].p[2] == pytest.approx(1 / 31)
    np.testing.assert_array_equal(first.tested[0].z, again.tested[0].z)
    assert not np.array_equal(first.tested[0].z, other.tested[0].z)
    few = run(planted[:, :5], Cosine(), tiny)
    assert "no p can fall below 0.1." in few.finding


def test_tokens_that_coincide_are_refused(planted, tiny):
    planted[3] = 1.0
    with pytest.raises(ConfigError, match="resid_post 3: all tokens coincide up to rounding"):
        run(planted, Cosine(), tiny)


@pytest.mark.parametrize(
    ("groups", "metric", "each", "message"),
    [
        (
            {"a": ["x", "y"], "b": ["z", "w"]},
            LinearCKA(),
            1,
            "linear_cka is not defined between two",
        ),
        ({"a": ["x"], "b": ["z", "w", "v"]}, Cosine(), 1, "first group .a. holds the two .* not 1"),
        ({"a": ["x", "y"], "b": ["z"]}, Cosine(), 1, "1 tokens besides the pair are too few"),
        ({"a": ["x", "y"], "b": ["z", "w"]}, Cosine(), 2, "reads one token per prompt"),
    ],
)
def test_what_is_no_pair_of_tokens_is_refused_beforehand(groups, metric, each, message):
    prompts = from_marked(groups)
    with pytest.raises(ConfigError, match=message):
        TokenSimilarity().check(prompts, table(prompts.groups, each), metric)


@pytest.mark.parametrize(("field", "value"), [("permutations", 0), ("alpha", 0.0), ("alpha", 1.0)])
def test_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must"):
        TokenSimilarity(**{field: value})
