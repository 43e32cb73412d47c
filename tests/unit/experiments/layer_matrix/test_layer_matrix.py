"""Every layer compared with every layer, on constructed activations whose answer is known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from interp import plotting
from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Last, Mean
from interp.data.prompts import from_marked
from interp.experiments.layer_matrix.analysis import LayerMatrix
from interp.forward.capture import capture
from interp.hooks.residual import HiddenStates, ResidPost
from interp.hooks.vocabulary import LogitLens
from interp.metrics.distributions import SingularValues, Wasserstein
from interp.metrics.kernels import LinearCKA
from interp.metrics.pairs import Cosine
from interp.metrics.subspaces import CCA, PWCCA, Procrustes
from interp.metrics.vocabulary import KLDivergence
from interp.models import Random
from interp.reductions.linear import PCA, Identity
from interp.runner.reference_model import Reference
from tests.unit.experiments.layer_similarity.test_layer_similarity import NO_REFERENCE, table


def recorded(values):
    prompts = from_marked({"a": [f"prompt {i}" for i in range(values.shape[1])]})
    layers = tuple(range(len(values)))
    return prompts, Activations(values.astype(np.float32), layers, table(prompts.groups), 1e-5)


def reference_of(values, title="another model"):
    _, found = recorded(values)
    return Reference(title, found.layers, found.samples, wide(values), 1, lambda _: found)


def wide(values):
    return f"{values.shape[2]} dimensions"


def planned(values):
    """As much of a plan as the check looks at."""
    return SimpleNamespace(space=wide(values))


def run(values, metric, source, reference=NO_REFERENCE, seed=0, **settings):
    prompts, found = recorded(values)
    analysis = LayerMatrix(**settings)
    analysis.check(prompts, found.samples, planned(values), metric, Identity(), reference)
    rng = np.random.default_rng(seed)
    hook = ResidPost()
    return analysis(found, prompts, source, hook, Mean(), metric, Identity(), reference, rng)


@pytest.fixture
def layers():
    """Layers 0 and 1 are a rotation of each other, so are 2 and 3; the two pairs are strangers."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 25, 6))
    turn = scipy.stats.ortho_group.rvs(6, random_state=1)
    return np.stack([first, first @ turn, second, 3 * second @ turn + 1])


@pytest.mark.parametrize("metric", [LinearCKA(), Procrustes()], ids=repr)
def test_layers_that_are_alike_find_each_other(metric, layers, tiny):
    result = run(layers, metric, tiny)
    np.testing.assert_array_equal(result.series["best_layer"].values, [1, 0, 3, 2])
    np.testing.assert_allclose(result.tested[0].values, 1, atol=1e-6)
    np.testing.assert_allclose(result.tested[0].score, 1, atol=1e-6)
    np.testing.assert_allclose(result.tested[0].p_corrected, 1 / 200)
    assert result.scalars["significant_pairs"] == 2
    pairs = result.tables["pairs"]
    assert len(pairs) == 6
    alike = pairs[pairs["significance"] == "near identity"][["layer", "other"]]
    assert alike.to_numpy().tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("metric", [LinearCKA(), Cosine(), PWCCA(components=3)], ids=repr)
def test_the_matrix_is_the_metric_of_each_pair(metric, layers, tiny):
    found = run(layers, metric, tiny).tables["matrix"]
    points = layers.astype(np.float32).astype(float)
    expected = [[metric(x, y) for y in points] for x in points]
    np.testing.assert_allclose(found.drop(columns="layer"), expected, atol=1e-9)


def test_two_models_of_different_width_and_depth_are_compared(layers, tiny):
    rng = np.random.default_rng(3)
    wide = layers[[2, 0]] @ rng.normal(size=(6, 6)) @ np.eye(6, 9)
    result = run(layers, LinearCKA(), tiny, reference_of(wide))
    np.testing.assert_array_equal(result.series["best_layer"].values, [1, 1, 0, 0])
    assert result.tables["matrix"].shape == (4, 1 + 2)
    assert len(result.tables["pairs"]) == 8
    assert "4 of 4 layers have a match above chance in another model" in result.finding
    x, y = layers[3].astype(np.float32).astype(float), wide[0].astype(np.float32).astype(float)
    assert result.tested[0].values[3] == pytest.approx(LinearCKA()(x, y))


def test_nothing_is_found_between_strangers(tiny, monkeypatch):
    monkeypatch.setattr("interp.experiments.layer_matrix.figures.heatmap", lambda *_: None)
    smallest = []
    for seed in range(60):
        values = np.random.default_rng(seed).normal(size=(4, 14, 5))
        result = run(values, LinearCKA(), tiny, seed=seed, permutations=99)
        smallest.append(result.tables["pairs"]["p (corrected)"].min())
    # The smallest of six corrected p-values is itself a p-value: uniform, or larger.
    assert (np.array(smallest) <= 0.1).mean() < 0.25
    assert scipy.stats.kstest(smallest, "uniform", alternative="greater").pvalue > 0.01


def test_an_unpaired_metric_swaps_the_layers_of_each_prompt(tiny):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 30, 4))
    values[2] += 2
    result = run(values, Wasserstein(), tiny)
    pairs = result.tables["pairs"].set_index(["layer", "other"])["significance"]
    assert pairs[0, 2] == pairs[1, 2] == "apart"
    assert pairs[0, 1] == "not significant"
    assert result.null.startswith("layers exchanged within prompts; below 0")


def test_the_heatmap_frames_the_best_match_and_fits_its_title(layers, tiny):
    figure = run(layers, LinearCKA(), tiny).figures["matrix"]
    height, width, _ = plotting.pixels(figure).shape
    axes = figure.axes[0]
    title = axes._left_title.get_window_extent()
    assert title.x1 <= width
    assert title.y1 <= height
    frames = [p for p in axes.patches if p.get_linewidth() == 2]
    assert [tuple(np.round(np.add(p.get_xy(), 0.46))) for p in frames] == [
        *((1, 0), (0, 1), (3, 2), (2, 3)),
    ]
    written = [text.get_text() for text in axes.texts if text.get_text().startswith("1.00")]
    assert len(written) == 8


def test_many_layers_are_drawn_without_numbers(tiny):
    values = np.random.default_rng(0).normal(size=(20, 10, 4))
    figure = run(values, LinearCKA(), tiny, permutations=9).figures["matrix"]
    assert plotting.pixels(figure).size
    assert not [text for text in figure.axes[0].texts if "." in text.get_text()]


def test_a_real_model_against_another_with_its_own_tokenizer(tiny, prompts):
    """Two architectures, and the decoding of logits layer by layer."""
    other = Random(architecture="bert", settings={"hidden_size": 24, "num_hidden_layers": 2,
                   "num_attention_heads": 2, "intermediate_size": 32})  # fmt: skip
    hook, position = HiddenStates(), Last()
    found = capture(tiny, prompts, hook, position)
    twin = capture(other, prompts, hook, position)
    reference = Reference(other.title, twin.layers, twin.samples, "", 1, lambda _: twin)
    result = LayerMatrix(permutations=9)(
        found, prompts, tiny, hook, position, LinearCKA(), Identity(), reference,
        np.random.default_rng(0),
    )  # fmt: skip
    assert result.tables["matrix"].shape == (4, 1 + 3)

    lens = capture(tiny, prompts, LogitLens(), position)
    result = LayerMatrix(permutations=9)(
        lens, prompts, tiny, LogitLens(), position, KLDivergence(), Identity(), NO_REFERENCE,
        np.random.default_rng(0),
    )  # fmt: skip
    logits = [lens.points(i, np.arange(4)) for i in (0, 3)]
    row = result.tables["matrix"].iloc[0]
    assert row["3"] == pytest.approx(KLDivergence()(*logits))


def tokens(prompts, each):
    return pd.DataFrame({"prompt": np.repeat(np.arange(len(each)), each), "group": "a"})


@pytest.mark.parametrize(
    ("n", "metric", "samples", "reference", "message"),
    [
        (1, LinearCKA(), [1], NO_REFERENCE, "there is one prompt"),
        (3, LinearCKA(), [1] * 3, NO_REFERENCE, "metric=linear_cka needs at least 5 points, not 3"),
        (3, Cosine(), [1, 2, 1], NO_REFERENCE, "prompts, which give 1 to 2 tokens; pool them"),
        (3, Wasserstein(), [1] * 3, reference_of(np.ones((1, 3, 2))), "does not pair points"),
        (3, Cosine(), [1] * 3, reference_of(np.ones((1, 4, 2))), "gives other tokens"),
    ],
)
def test_what_cannot_be_compared_is_refused_beforehand(n, metric, samples, reference, message):
    prompts = from_marked({"a": [f"p{i}" for i in range(n)]})
    with pytest.raises(ConfigError, match=message):
        LayerMatrix().check(
            prompts,
            tokens(prompts, samples),
            planned(np.ones((1, 1, 2))),
            metric,
            Identity(),
            reference,
        )


def test_what_shows_in_the_points_is_refused_in_one_line(layers, tiny):
    with pytest.raises(ConfigError, match="the models read 6 dimensions and 9 dim"):
        run(layers, Cosine(), tiny, reference_of(np.random.default_rng(0).normal(size=(2, 25, 9))))
    with pytest.raises(ConfigError, match="one layer has no other"):
        run(layers[:1], LinearCKA(), tiny)
    wide = np.random.default_rng(0).normal(size=(2, 21, 40))
    with pytest.raises(ConfigError, match=r"metric.components: 20 and 20 dimensions correlate"):
        run(wide, CCA(components=None), tiny)
    layers[2] = 1.0
    with pytest.raises(ConfigError, match=r"resid_post 2 of random gpt2: all points coincide"):
        run(layers, LinearCKA(), tiny)


@pytest.mark.parametrize(("field", "value"), [("permutations", 0), ("alpha", 0.0), ("alpha", 1.0)])
def test_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must"):
        replace(LayerMatrix(), **{field: value})


def test_axes_that_each_layer_has_to_itself_are_not_compared():
    prompts = from_marked({"a": list("xyzw")})
    points = planned(np.ones((1, 1, 2)))
    rows = table(prompts.groups)
    with pytest.raises(ConfigError, match="pca finds axes of its own for each layer"):
        LayerMatrix().check(prompts, rows, points, Cosine(), PCA(n_components=2), NO_REFERENCE)
    with pytest.raises(ConfigError, match="metric=singular_values compares axis by axis, or"):
        LayerMatrix().check(
            prompts, rows, points, SingularValues(), PCA(n_components=2), NO_REFERENCE
        )
    unknown = replace(reference_of(np.ones((1, 4, 2))), space="")
    with pytest.raises(ConfigError, match="2 dimensions and an unknown space"):
        LayerMatrix().check(prompts, rows, points, Cosine(), Identity(), unknown)


def test_large_points_are_made_a_pair_of_layers_at_a_time_with_the_same_result(
    layers, tiny, monkeypatch
):
    for reference in (NO_REFERENCE, reference_of(layers[:2])):
        monkeypatch.setattr("interp.experiments.layer_matrix.measures._HELD_AT_ONCE", 2**30)
        together = run(layers, LinearCKA(), tiny, reference)
        monkeypatch.setattr("interp.experiments.layer_matrix.measures._HELD_AT_ONCE", 0)
        apart = run(layers, LinearCKA(), tiny, reference)
        pd.testing.assert_frame_equal(together.tables["pairs"], apart.tables["pairs"])
