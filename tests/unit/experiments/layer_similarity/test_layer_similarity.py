"""The main analysis on constructed activations whose answer is known."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from interp import plotting
from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import All, Index, Mean
from interp.data.prompts import from_marked
from interp.experiments.layer_similarity.analysis import LayerSimilarity
from interp.forward.capture import capture
from interp.hooks.residual import ResidPost
from interp.metrics import METRICS
from interp.metrics.distributions import PrincipalAngles, SingularValues
from interp.metrics.kernels import LinearCKA
from interp.metrics.pairs import Cosine
from interp.metrics.subspaces import Procrustes
from interp.models import Random
from interp.plotting.curves import ScorePanel, draw_similarity
from interp.plotting.labels import Labels
from interp.reductions.linear import PCA, Identity
from interp.reductions.supervised import LDA
from interp.runner.reference_model import Reference
from interp.stats.permutation_tests import permutation_test
from interp.stats.tested_series import TestedSeries


def table(groups, tokens=1):
    """A samples table: `groups` names the group of each prompt, with so many tokens each."""
    rows = [(i, group) for i, group in enumerate(groups) for _ in range(tokens)]
    return pd.DataFrame(rows, columns=["prompt", "group"])


def nothing(_):
    raise AssertionError("no reference is there to be read")


def planned(layers):
    """As much of a plan as the check looks at."""
    return SimpleNamespace(layers=tuple(range(layers)))


NO_REFERENCE = Reference("", (), pd.DataFrame(), "", 0, nothing)


def run(values, tokens=1, metric=None, seed=0, source=None, reference=NO_REFERENCE, **settings):
    n = values.shape[1] // tokens // 2
    prompts = from_marked({"a": [f"a{i}" for i in range(n)], "b": [f"b{i}" for i in range(n)]})
    samples = table(prompts.groups, tokens)
    activations = Activations(values.astype(np.float32), tuple(range(len(values))), samples, 1e-5)
    analysis = LayerSimilarity(**settings)
    metric = metric or Cosine()
    analysis.check(prompts, samples, planned(len(values)), metric, Identity(), reference)
    return analysis(
        activations,
        prompts,
        source,
        ResidPost(),
        Mean(),
        metric,
        Identity(),
        reference,
        np.random.default_rng(seed),
    )


def without_figures(monkeypatch):
    for name in ("similarity_curve", "images"):
        monkeypatch.setattr(f"interp.experiments.layer_similarity.figures.{name}", lambda *_: {})


@pytest.fixture
def planted(tiny):
    """Five layers of independent clouds; in layer 3 the pairs are alike."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(5, 40, 16))
    values[3, 20:] = values[3, :20] + 0.5 * rng.normal(size=(20, 16))
    return values


@pytest.mark.parametrize("metric", [Cosine(), LinearCKA(), Procrustes()], ids=repr)
def test_the_planted_layer_is_found_and_no_other(metric, planted, tiny):
    result = run(planted, metric=metric, source=tiny)
    p = result.tested[0].p_corrected
    assert p[3] == pytest.approx(1 / 1000)
    assert (np.delete(p, 3) > 0.05).all()
    assert result.scalars["peak_layer"] == 3
    assert result.scalars["significant_layers"] == 1
    x, y = planted[3].astype(np.float32).astype(np.float64).reshape(2, 20, 16)
    assert result.scalars["peak_value"] == metric(x, y)
    assert "closer than chance at layer 3 (" in result.finding


def test_groups_of_another_spread_differ_at_the_planted_layer(tiny):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(4, 60, 6))
    values[1, 30:] *= 3
    result = run(values, metric=SingularValues(), source=tiny)
    assert result.tested[0].p_corrected[1] == pytest.approx(1 / 1000)
    assert (np.delete(result.tested[0].p_corrected, 1) > 0.05).all()
    assert result.finding.startswith("a and b differ more than chance at layer 1 (")


@pytest.mark.parametrize("metric", [Cosine(), SingularValues()], ids=repr)
@pytest.mark.parametrize("tokens", [1, 3])
def test_p_is_uniform_under_the_null_also_where_tokens_of_a_prompt_are_alike(
    metric, tokens, tiny, monkeypatch
):
    without_figures(monkeypatch)
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        of_prompt = rng.normal(size=(1, 24, 1, 5))
        values = of_prompt + 0.1 * rng.normal(size=(1, 24, tokens, 5))
        values = values.reshape(1, 24 * tokens, 5)
        result = run(values, tokens, metric, seed, tiny, permutations=99)
        found.append(result.tested[0].p[0])
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


def test_the_same_seed_gives_the_same_numbers(planted, tiny):
    first, again, other = (run(planted, seed=seed, source=tiny) for seed in (0, 0, 1))
    for name, values in first.tested[0].metrics.items():
        np.testing.assert_array_equal(values, again.tested[0].metrics[name])
    assert not np.array_equal(first.tested[0].p, other.tested[0].p)


def test_figures_and_images_are_drawn_for_each_layer(planted, tiny):
    result = run(planted, source=tiny, permutations=50)
    assert set(result.figures) == {"similarity"}
    images = result.images["null_distribution"]
    assert set(images) == {0, 1, 2, 3, 4}
    axes = [figure.axes[0] for figure in images.values()]
    assert len({(a.get_xlim(), a.get_ylim(), a.get_position().bounds) for a in axes}) == 1
    title = result.figures["similarity"].axes[0].get_title(loc="left")
    assert title == "a and b are closer than chance at layer 3"


def test_a_mean_over_pairs_shows_the_table_of_all_pairs(planted, tiny):
    images = run(planted, source=tiny, permutations=20).images["pairs"]
    assert set(images) == {0, 1, 2, 3, 4}
    drawn = images[3].axes[0].images[0]
    x, y = planted[3].astype(np.float32).astype(float).reshape(2, 20, 16)
    expected = [[Cosine()(a[None], b[None]) for b in y] for a in x]
    np.testing.assert_allclose(drawn.get_array(), expected)
    assert len({image.axes[0].images[0].get_clim() for image in images.values()}) == 1
    sizes = {plotting.pixels(image).shape for image in images.values()}
    assert len(sizes) == 1
    assert images[3].axes[0].get_xlabel() == "prompts of b, in order"
    assert "pairs" not in run(planted, metric=LinearCKA(), source=tiny, permutations=20).images


def test_names_are_shown_as_they_are_written(tiny):
    values = np.random.default_rng(0).normal(size=(1, 8, 4)).astype(np.float32)
    prompts = from_marked({"$\\frac$": list("abcd"), "b_{{x}}^": list("efgh")})
    result = LayerSimilarity(permutations=9)(
        Activations(values, (0,), table(prompts.groups), 1e-5),
        prompts,
        tiny,
        ResidPost(),
        Mean(),
        Cosine(),
        Identity(),
        NO_REFERENCE,
        np.random.default_rng(0),
    )
    assert plotting.pixels(result.figures["similarity"]).shape[2] == 3
    title = result.figures["similarity"].axes[0].get_title(loc="left")
    assert title.startswith("$\\frac$ and b_{{x}}^: too few")


def test_long_names_and_single_layers_leave_the_axes_their_room(tiny):
    test = permutation_test(np.zeros(1), np.random.default_rng(0).normal(size=(1, 50)), "greater")
    series = TestedSeries.from_test("value", "value", (4,), np.zeros(1), test, score=np.ones(1))
    title, subtitle = "a very long title " * 12, "a very long setting " * 12
    figure = draw_similarity(
        series,
        Labels(title, subtitle, xlabel="layer"),
        "95% of the null: group labels permuted",
        ScorePanel(
            "a model of a name that is as long",
            np.ones((3, 1)),
            "an untrained model of a long name, 20 seeds",
        ),
    )
    height, width, _ = plotting.pixels(figure).shape
    axes = figure.axes[0]
    assert axes.get_position().width > 0.7
    assert list(axes.get_xticks()) == [4]
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width
    title = axes._left_title.get_window_extent()
    assert title.x1 <= width
    assert title.y1 <= height


def test_reductions_are_fitted_on_both_groups_together(planted, tiny):
    from sklearn import decomposition

    points = planted[3]
    reduced = PCA(n_components=2).estimator().fit_transform(points)
    expected = decomposition.PCA(2, svd_solver="full").fit_transform(points)
    np.testing.assert_allclose(np.abs(reduced), np.abs(expected), atol=1e-10)
    with pytest.raises(ConfigError, match="n_components: 99 components are more than 40 points"):
        PCA(n_components=99).estimator().fit_transform(points)


def pair(a, b):
    return from_marked({"a": [f"x{i}" for i in range(a)], "b": [f"y{i}" for i in range(b)]})


def uneven(prompts):
    return pd.concat([table(prompts.groups), table(prompts.groups[:1])]).sort_values("prompt")


@pytest.mark.parametrize(
    ("prompts", "metric", "reduction", "samples", "message"),
    [
        (from_marked({"a": ["x", "y"]}), Cosine(), Identity(), None, "two groups, not 1: a"),
        (pair(3, 4), Cosine(), Identity(), None, "metric=cosine pairs .* 3 .a. and 4 .b."),
        (pair(1, 1), Cosine(), Identity(), None, "group 'a' has one prompt"),
        (pair(1, 3), SingularValues(), Identity(), None, "group 'a' has one prompt"),
        (pair(3, 3), LinearCKA(), Identity(), None, "metric=linear_cka needs at least 5 points"),
        (pair(4, 4), Cosine(), PCA(n_components=9), None, "at least 9 points, not 8"),
        (pair(4, 4), Cosine(), LDA(), None, "lda is fitted on the groups that would then be"),
        (pair(4, 4), Cosine(), Identity(), uneven, "prompts give 1 to 2 of them; pool them"),
    ],
)
def test_what_cannot_be_compared_is_refused_beforehand(
    prompts, metric, reduction, samples, message
):
    found = samples(prompts) if samples else table(prompts.groups)
    with pytest.raises(ConfigError, match=message):
        LayerSimilarity().check(prompts, found, planned(1), metric, reduction, NO_REFERENCE)


def test_shuffled_groups_of_short_prompts_must_have_enough_points_too():
    prompts = pair(2, 4)
    counts = [5, 5, 1, 1, 1, 4]
    samples = pd.DataFrame(
        {"prompt": np.repeat(range(6), counts), "group": np.repeat(list(prompts.groups), counts)}
    )
    with pytest.raises(ConfigError, match=r"metric=principal_angles needs at least 4 .* not 2"):
        LayerSimilarity().check(
            prompts, samples, planned(1), PrincipalAngles(components=3), Identity(), NO_REFERENCE
        )


def test_unpaired_metrics_take_groups_and_prompts_of_unequal_size(tiny):
    prompts = pair(5, 8)
    samples = uneven(prompts)
    LayerSimilarity().check(
        prompts, samples, planned(2), SingularValues(), Identity(), NO_REFERENCE
    )
    values = np.random.default_rng(0).normal(size=(2, len(samples), 3)).astype(np.float32)
    result = LayerSimilarity(permutations=50)(
        Activations(values, (0, 1), samples, 1e-5),
        prompts,
        tiny,
        ResidPost(),
        All(),
        SingularValues(),
        Identity(),
        NO_REFERENCE,
        np.random.default_rng(0),
    )
    expected = SingularValues()(*(values[0, samples["group"] == g].astype(float) for g in "ab"))
    assert result.tested[0].values[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric", [Cosine(), LinearCKA(), Procrustes(), SingularValues()], ids=repr
)
def test_a_layer_whose_points_coincide_up_to_rounding_is_named(metric, planted, tiny):
    rounding = 1e-6 * np.random.default_rng(0).normal(size=planted[2].shape)
    planted[2] = 1.0 + rounding
    with pytest.raises(ConfigError, match=r"resid_post 2: all points .* rounding.*hook\.layers"):
        run(planted, metric=metric, source=tiny)


@pytest.mark.parametrize("metric", [Cosine(), LinearCKA(), SingularValues()], ids=repr)
def test_the_same_text_before_a_token_is_no_finding_in_a_causal_model(metric):
    """Rounding depends on a prompt's length, and lengths here go with pairs and groups."""
    model = Random(architecture="gpt2", settings={"n_embd": 128, "n_layer": 2, "n_head": 4})
    prompts = from_marked(
        {
            "a": ["The " + "x" * k for k in range(1, 20)],
            "b": ["The " + "y" * 3 * k for k in range(1, 20)],
        }
    )
    found = capture(model, prompts, ResidPost(), Index(2))
    with pytest.raises(ConfigError, match="all points of a group coincide up to rounding"):
        LayerSimilarity(permutations=50)(
            found,
            prompts,
            model,
            ResidPost(),
            Index(2),
            metric,
            Identity(),
            NO_REFERENCE,
            np.random.default_rng(0),
        )


@dataclass(frozen=True)
class Apart(Cosine):
    """The negative cosine, a paired distance."""

    larger_is_closer = False

    def table(self, x, y):
        return -super().table(x, y)


@dataclass(frozen=True)
class SameSpread(SingularValues):
    """The negative distance of spectra, an unpaired similarity."""

    larger_is_closer = True

    def evaluate_permutations(self, xs, y, draws):
        return -super().evaluate_permutations(xs, y, draws)


@pytest.mark.parametrize(
    ("metric", "upside_down"), [(Cosine(), Apart()), (SingularValues(), SameSpread())], ids=repr
)
def test_a_metric_turned_upside_down_finds_the_same(
    metric, upside_down, planted, tiny, monkeypatch
):
    planted[1, 20:] *= 2
    monkeypatch.setattr(METRICS, "name_of", lambda _: "turned")
    plain, turned = (run(planted, metric=m, source=tiny) for m in (metric, upside_down))
    (own,), (opposite,) = plain.tested, turned.tested
    np.testing.assert_array_equal(own.p, opposite.p)
    np.testing.assert_array_equal(own.p_corrected, opposite.p_corrected)
    np.testing.assert_allclose(own.z, -opposite.z)
    assert plain.scalars["peak_layer"] == turned.scalars["peak_layer"]
    assert plain.scalars["significant_layers"] == turned.scalars["significant_layers"] > 0
    beside, beside_turned = (r.finding.partition(" (")[0] for r in (plain, turned))
    assert beside == beside_turned


@pytest.mark.parametrize(
    ("metric", "smallest"), [(Cosine(), 1 / 6), (SingularValues(), 1 / 10)], ids=repr
)
def test_too_few_prompts_to_test_are_reported(metric, smallest, tiny):
    values = np.random.default_rng(0).normal(size=(1, 6, 4))
    result = run(values, metric=metric, source=tiny)
    assert f"no p can fall below {smallest:.2g}." in result.finding
    plenty = np.random.default_rng(0).normal(size=(1, 40, 4))
    assert "no p can fall" not in run(plenty, metric=metric, source=tiny).finding
    few_draws = run(plenty, metric=metric, source=tiny, permutations=9)
    assert "no p can fall below 0.1." in few_draws.finding


def test_values_in_the_opposite_tail_are_reported(tiny):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, 40, 8))
    values[1, 20:] = -values[1, :20]
    finding = run(values, source=tiny).finding
    assert "At layer 1 they are further apart than chance (p < 0.05, corrected)" in finding
    assert finding.startswith("a and b are closer than chance at no layer (")


@pytest.mark.parametrize(("field", "value"), [("permutations", 0), ("alpha", 0.0), ("alpha", 1.0)])
def test_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must"):
        LayerSimilarity(**{field: value})


def seeds_of(draws, like, title="an untrained model"):
    """A reference of which draw i gives the i-th array of values [layer, sample, d]."""
    n = like.shape[1] // 2
    samples = table(["a"] * n + ["b"] * n)
    layers = tuple(range(len(like)))
    made = [Activations(values.astype(np.float32), layers, samples, 1e-5) for values in draws]
    return Reference(title, layers, samples, "", len(made), made.__getitem__)


def drawn(draws, alike):
    """Untrained models in which the pairs are alike by so much at every layer."""
    rng = np.random.default_rng(9)
    values = rng.normal(size=(draws, 5, 40, 16))
    values[:, :, 20:] += alike * values[:, :, :20]
    return values


def test_only_what_an_untrained_model_does_not_have_lies_beyond_it(planted, tiny):
    planted[1, 20:] += 0.6 * planted[1, :20]
    result = run(planted, source=tiny, reference=seeds_of(drawn(20, 0.6), planted))
    assert result.scalars["significant_layers"] == 2
    p = result.series["reference_p_corrected"].values
    assert p[3] == pytest.approx(1 / 21)
    assert (np.delete(p, 3) > 0.05).all()
    assert result.scalars["layers_beyond_reference"] == 1
    assert "that of an untrained model, 20 seeds, at layer 3 (" in result.finding
    scores = result.tables["reference_scores"]
    assert scores.shape == (20, 1 + 5)
    for end, value in (("low", scores["2"].min()), ("high", scores["2"].max())):
        assert result.series[f"reference_score_{end}"].values[2] == value
    own = result.tested[0].score[:, None] > scores.drop(columns="seed").to_numpy().T
    assert own[3].all()
    assert list(result.tables["summary"])[-3:] == [
        "mean cosine (reference, mean)",
        "score (reference, median)",
        "p (compared with reference)",
    ]
    beside = result.figures["similarity"].axes[1]
    legend = [text.get_text() for text in result.figures["similarity"].legends[0].get_texts()]
    assert legend[-3:] == ["random gpt2", "an untrained model, 20 seeds", "range of the seeds"]
    np.testing.assert_allclose(beside.lines[1].get_ydata(), result.tested[0].score)


def test_groups_further_apart_than_in_an_untrained_model_are_found(tiny):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 60, 6))
    values[1, 30:] *= 3
    seed_values = rng.normal(size=(20, 2, 60, 6))
    seed_values[:, :, 30:] *= 1.3
    reference = seeds_of(seed_values, values)
    result = run(values, metric=SingularValues(), source=tiny, reference=reference)
    assert result.series["reference_p_corrected"].values[1] == pytest.approx(1 / 21)
    assert result.series["reference_p_corrected"].values[0] > 0.05
    assert "The score lies below that of" in result.finding


def test_p_against_untrained_models_is_uniform_where_the_model_is_one_of_them(tiny, monkeypatch):
    without_figures(monkeypatch)
    found = []
    for seed in range(80):
        values = np.random.default_rng(seed).normal(size=(10, 2, 16, 4))
        values[:, :, 8:] += values[:, :, :8]
        reference = seeds_of(values[1:], values[0])
        result = run(values[0], source=tiny, reference=reference, permutations=40)
        found.append(result.series["reference_p_corrected"].values.min())
    # Two layers, corrected: the smaller p is uniform on tenths.
    assert scipy.stats.kstest(found, "uniform", alternative="greater").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.2) < 0.35


def test_a_single_reference_is_shown(planted, tiny):
    result = run(planted, source=tiny, reference=seeds_of(drawn(1, 1.0), planted, "other"))
    assert "In other they are closer than chance at all 5 layers." in result.finding
    assert "reference_p_corrected" not in result.series
    few = run(planted, source=tiny, reference=seeds_of(drawn(4, 0), planted))
    assert (
        "4 seeds of an untrained model are too few for p < 0.05; set reference_draws=20 or more."
        in few.finding
    )


def test_a_reference_that_does_not_compare_is_refused_beforehand(planted, tiny):
    shallow = seeds_of(drawn(1, 0)[:, :3], planted[:3])
    with pytest.raises(ConfigError, match="has 3 layers to read, the model 5; analysis=layer_mat"):
        run(planted, source=tiny, reference=shallow)
    with pytest.raises(ConfigError, match="gives other tokens than the model"):
        run(planted, source=tiny, reference=seeds_of(drawn(1, 0)[:, :, :30], planted[:, :30]))


def test_the_figures_table_holds_what_a_reader_wants(planted, tiny):
    summary = run(planted, source=tiny).tables["summary"]
    assert list(summary) == [
        *("layer", "mean cosine", "null (95%)", "score", "p (corrected)", "significance"),
    ]
    assert summary["significance"].tolist() == [
        *["not significant"] * 3,
        "above chance",
        "not significant",
    ]


@pytest.mark.parametrize("metric", [Cosine(), LinearCKA(), SingularValues()], ids=repr)
def test_two_clouds_that_differ_by_a_rotation_alone(metric, tiny):
    rng = np.random.default_rng(1)
    first = rng.normal(size=(1, 30, 6))
    turned = first @ scipy.stats.ortho_group.rvs(6, random_state=3)
    result = run(np.concatenate([first, turned], axis=1), metric=metric, source=tiny)
    sees = "orthogonal" not in metric.invariances
    assert (result.tested[0].score[0] < 0.9) == sees
