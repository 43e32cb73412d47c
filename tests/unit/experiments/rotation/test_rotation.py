"""The analysis on constructed rotations, and its tests against SciPy and simulated nulls."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Target, TargetAndBefore
from interp.data.prompts import from_marked
from interp.experiments.rotation.analysis import Rotation
from interp.experiments.rotation.measures import StepChanges, measure_changes
from interp.experiments.rotation.paired_tests import paired_tests, smallest_p
from interp.hooks.heads import AttentionScores
from interp.hooks.residual import Embed, HiddenStates
from interp.hooks.vocabulary import LogitLens
from interp.models import Random
from interp.stats.permutations import draw_exchanges

TARGET, BEFORE = 1, 0


def prompts_of(columns=None, **groups):
    texts = {g: [f"{g} {i} {{x}}" for i in range(n)] for g, n in groups.items()}
    return from_marked(texts, columns)


def planned(prompts, layers, alike=()):
    """As much of a plan as the analysis looks at; prompts `alike` have the same tokens."""
    ids = np.arange(len(prompts))
    for one, other in alike:
        ids[other] = ids[one]
    rows = [(i, prompts.groups[i], w) for i in range(len(prompts)) for w in ("before", "x")]
    return SimpleNamespace(
        layers=layers,
        samples=pd.DataFrame(rows, columns=["prompt", "group", "token"]),
        duplicate_of=ids,
        layer_names=tuple(f"layer {layer}" for layer in layers),
        notice="before the final norm",
    )


def turning(degrees, growth=1.0, d=12, seed=0):
    """Vectors [layer, prompt × 2, d] that steps turn by angles [prompt, 2, step]."""
    rng = np.random.default_rng(seed)
    degrees = np.asarray(degrees, np.float64)
    n, _, steps = degrees.shape
    frames = np.linalg.qr(rng.normal(size=(n, 2, d, d)))[0]
    # All steps turn in one plane of each vector's own.
    total = np.radians(np.concatenate([np.zeros((n, 2, 1)), degrees.cumsum(2)], axis=2))
    plane = np.cos(total)[..., None] * frames[..., None, :, 0]
    plane = plane + np.sin(total)[..., None] * frames[..., None, :, 1]
    plane = plane * growth ** np.arange(steps + 1)[:, None]
    return plane.transpose(2, 0, 1, 3).reshape(steps + 1, 2 * n, d)


def run(values, prompts, layers=None, alike=(), seed=0, **settings):
    layers = layers or tuple(range(len(values)))
    plan = planned(prompts, layers, alike)
    analysis = Rotation(**{"permutations": 199, **settings})
    position, hook = TargetAndBefore(), HiddenStates()
    analysis.check(prompts, plan, hook, position)
    return analysis(
        Activations(np.asarray(values, np.float32), layers, plan.samples, 1e-5),
        prompts,
        Random(architecture="gpt2", settings={}),
        hook,
        position,
        plan,
        np.random.default_rng(seed),
    )


def minus_before(result):
    """The tested difference from the token before the target."""
    primary = result.tested[0]
    assert primary.name == "minus_before_difference"
    return primary


def noisy(n, target, before, spread=1.0, seed=0):
    """Angles [prompt, 2, step] about means of each step."""
    means = np.stack([before, target])[None]
    return means + spread * np.random.default_rng(seed).normal(size=(n, *means.shape[1:]))


def test_planted_rotations_and_growths_are_recovered():
    degrees = np.random.default_rng(0).uniform(1, 80, size=(8, 2, 3))
    result = run(turning(degrees, growth=1.5), prompts_of({"verb": list("abcdefgh")}, a=8))
    series = {name: found.values for name, found in result.series.items()}
    np.testing.assert_allclose(series["angle_target"], degrees[:, TARGET].mean(0), atol=1e-5)
    np.testing.assert_allclose(series["angle_before"], degrees[:, BEFORE].mean(0), atol=1e-5)
    np.testing.assert_allclose(series["norm_growth_target"], 1.5, rtol=1e-6)
    np.testing.assert_allclose(series["norm_growth_before"], 1.5, rtol=1e-6)
    assert result.series["angle_target"].layers == (1, 2, 3)
    table = result.tables["angles"]
    assert list(table["step"][:3]) == ["0→1", "1→2", "2→3"]
    assert "".join(table["verb"]) == "aaabbbcccdddeeefffggghhh"
    np.testing.assert_allclose(table["angle_target"], degrees[:, TARGET].ravel(), atol=1e-4)


def test_shuffled_is_the_mean_over_all_pairs_of_layers_and_positions(monkeypatch):
    values = np.random.default_rng(1).normal(size=(3, 10, 4))
    activations = Activations(
        values.astype(np.float32), (0, 1, 2), pd.DataFrame({"prompt": np.arange(10) // 2}), 1e-5
    )
    lengths = np.linalg.norm(values, axis=2).reshape(3, 5, 2)
    found = measure_changes(activations, lengths, np.arange(5))
    for i in range(5):
        cells = values[:, 2 * i : 2 * i + 2].reshape(6, 4)
        unit = cells / np.linalg.norm(cells, axis=1, keepdims=True)
        cosine = (unit @ unit.T)[np.triu_indices(6, 1)]
        assert found.angle_shuffled[i] == pytest.approx(
            np.degrees(np.arccos(cosine)).mean(), rel=1e-5
        )
    # In pieces of one prompt each, and of some of the prompts, it is the same.
    monkeypatch.setattr("interp.experiments.rotation.measures._CHUNK_SIZE", 1)
    again = measure_changes(activations, lengths, np.array([3, 1]))
    for name in (field.name for field in dataclasses.fields(found)):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name)[[3, 1]])


def test_the_tests_are_those_of_scipy_step_by_step():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 20, 5))
    y[:, 1] += 1
    # A step with a difference of 0, which has SciPy approximate, leaves the others as they are.
    x[0, 2] = y[0, 2]
    found = paired_tests(x - y, draw_exchanges(20, 99, rng), 1e-9)
    for i in range(5):
        t = stats.ttest_rel(x[:, i], y[:, i])
        assert found.t[i] == pytest.approx(t.statistic)
        assert found.p_t[i] == pytest.approx(t.pvalue)
        low, high = t.confidence_interval(0.95)
        assert (found.low[i], found.high[i]) == (pytest.approx(low), pytest.approx(high))
        assert found.p_wilcoxon[i] == pytest.approx(stats.wilcoxon(x[:, i], y[:, i]).pvalue)
        assert found.d[i] == pytest.approx((x - y)[:, i].mean() / (x - y)[:, i].std(ddof=1))
        # The limits are those of which t is the 97.5th and the 2.5th percentile.
        limits = np.sqrt(20) * np.array([found.d_low[i], found.d_high[i]])
        np.testing.assert_allclose(stats.nct.cdf(t.statistic, 19, limits), [0.975, 0.025], 1e-4)

    for p, adjusted in ((found.p_t, found.p_t_holm), (found.p_wilcoxon, found.p_wilcoxon_holm)):
        # Holm's: the k-th smallest of 5 by 6 - k, and none below those before it.
        rank = stats.rankdata(p)
        held = [max((6 - r) * q for r, q in zip(rank, p, strict=True) if q <= own) for own in p]
        np.testing.assert_allclose(adjusted, np.minimum(held, 1))


def test_the_limits_of_very_large_effects_are_in_proportion():
    spread = np.tile([1.0, -1.0], 10)
    values = np.stack([mean + spread for mean in (1e4, 1e5, 1e7)], axis=1)
    found = paired_tests(values, draw_exchanges(20, 99, np.random.default_rng(0)), 1e-9)
    for limit in (found.d_low, found.d_high):
        np.testing.assert_allclose(limit / limit[0], [1, 10, 1000], rtol=1e-3)


def test_intervals_of_d_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    values = rng.normal(0.8, 1, size=(12, 1500))
    found = paired_tests(values, np.zeros((2, 12), bool), 1e-9)
    held = (found.d_low < 0.8) & (found.d_high > 0.8)
    assert held.mean() == pytest.approx(0.95, abs=0.017)


def test_signs_of_few_observations_are_flipped_in_every_way():
    values = np.random.default_rng(4).normal(0.7, 1, size=(7, 1))
    found = paired_tests(values, draw_exchanges(7, 999, np.random.default_rng(0)), 1e-9)
    exact = stats.permutation_test(
        (values[:, 0],),
        lambda x, axis: np.abs(x.mean(axis)),
        permutation_type="samples",
        alternative="greater",
    )
    assert found.sign_flips.p[0] == pytest.approx(exact.pvalue)
    assert smallest_p(7, 999) == 2 / 2**7
    assert smallest_p(7, 19) == 1 / 20


def test_corrected_p_keep_to_their_level_where_nothing_differs():
    rng = np.random.default_rng(5)
    n, steps, times = 16, 6, 200
    false = {"p_t_holm": 0, "p_wilcoxon_holm": 0, "sign_flips": 0}
    for _ in range(times):
        shared = rng.normal(size=(n, 1))
        own = rng.standard_t(4, size=(n, steps))
        values = 0.5 * shared + own
        # Steps of very different size: none may outweigh the others.
        values *= np.logspace(-2, 2, steps)
        found = paired_tests(values, draw_exchanges(n, 99, rng), 1e-9)
        false["p_t_holm"] += found.p_t_holm.min() <= 0.1
        false["p_wilcoxon_holm"] += found.p_wilcoxon_holm.min() <= 0.1
        false["sign_flips"] += found.sign_flips.p_corrected.min() <= 0.1
    # 0.1 and three standard errors above it; flips are exact, so that they are not far below.
    assert max(false.values()) / times < 0.164
    assert false["sign_flips"] / times > 0.036


def test_a_difference_is_found_where_it_is_planted_in_either_direction():
    degrees = noisy(14, target=[30, 20, 25], before=[20, 20, 30])
    result = run(turning(degrees), prompts_of(a=14))
    p = minus_before(result).p_corrected
    assert p[0] == p[2] == 1 / 200
    assert p[1] > 0.05
    assert "The target turns more than the token before it at 0→1; less at 2→3" in result.finding
    difference = minus_before(result).values
    expected = (degrees[:, TARGET] - degrees[:, BEFORE]).mean(0)
    np.testing.assert_allclose(difference, expected, atol=1e-4)
    assert set(result.figures) == {"rotation", "differences"}
    assert result.scalars["peak_layer"] == 1
    assert result.scalars["significant_steps"] == 2
    assert list(result.tables["tests"]["comparison"].unique()) == [
        "target − before",
        "target − shuffled",
    ]


def test_a_figure_says_what_was_found_and_on_which_side_of_the_final_norm():
    result = run(turning(noisy(14, [30, 20], [20, 20])), prompts_of(a=14))
    axes = result.figures["rotation"].axes[0]
    assert "more than the token before it at 0→1" in " ".join(axes.get_title("left").split())
    assert "before the final norm" in " ".join(axes.texts[0].get_text().split())


def test_nothing_planted_is_said_to_be_nothing():
    result = run(turning(noisy(14, [20, 20], [20, 20])), prompts_of(a=14))
    assert "At no step does the target turn more or less" in result.finding
    assert (minus_before(result).p_corrected > 0.05).all()


def test_what_the_model_reads_alike_counts_once():
    degrees = noisy(12, [24, 22], [20, 20], spread=4)
    values = turning(degrees)
    prompts = prompts_of(a=6, b=6)
    once = run(values, prompts)
    assert "12 prompts are 6 observations" in once.finding
    # Each pair again, after texts that the model does not see: the same n, and the same p.
    again = np.concatenate([values[:, :12], values[:, :12], values[:, 12:], values[:, 12:]], axis=1)
    alike = [(i, i + 6) for i in (*range(6), *range(12, 18))]
    twice = run(again, prompts_of(a=12, b=12), alike=alike)
    assert "24 prompts are 6 observations" in twice.finding
    assert set(once.series) == set(twice.series)
    for name, series in once.series.items():
        np.testing.assert_allclose(series.values, twice.series[name].values, rtol=1e-6)
    for one, other in zip(once.tested, twice.tested, strict=True):
        for key, values in one.metrics.items():
            np.testing.assert_allclose(values, other.metrics[key], rtol=1e-6)
    # Were they counted twice, p would be smaller.
    counted = run(again, prompts_of(a=12, b=12))
    assert "24 prompts are 12 observations" in counted.finding
    assert (
        counted.series["minus_before_p_t"].values < once.series["minus_before_p_t"].values
    ).all()


def test_sentences_that_share_a_word_count_once():
    """Eight words that happen to turn less are not forty-eight sentences that do."""
    rng = np.random.default_rng(6)
    words = np.repeat(np.arange(8), 6)
    degrees = noisy(48, target=[30, 30], before=[20, 30], spread=0.5)
    degrees[:, BEFORE, 1] += rng.normal(0.8, 3, size=8)[words]
    columns = {"verb": [f"verb {i}" for i in words], "kind": [float(i % 3) for i in range(48)]}
    result = run(turning(degrees), prompts_of(columns, a=48), permutations=999)
    assert "48 prompts are 8 observations, one per verb" in result.finding
    assert (result.tables["tests"]["n"] == 8).all()
    p = minus_before(result).p
    difference = pd.Series(degrees[:, TARGET, 1] - degrees[:, BEFORE, 1]).groupby(words).mean()
    exact = stats.permutation_test(
        (difference,),
        lambda x, axis: np.abs(x.mean(axis)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert p[1] == pytest.approx(exact.pvalue, abs=0.01)
    assert exact.pvalue > 0.05
    sentences = run(turning(degrees), prompts_of(columns, a=48), words="none")
    assert (minus_before(sentences).p_corrected < 0.05).all()
    kinds = run(turning(degrees), prompts_of(columns, a=48), words="kind")
    assert "48 prompts are 3 observations, one per kind" in kinds.finding
    with pytest.raises(ConfigError, match="words cannot be 'verbs'; did you mean 'verb'"):
        run(turning(degrees), prompts_of(columns, a=48), words="verbs")


def test_means_over_an_observation_are_arithmetic_for_angles_and_geometric_for_growth():
    one = np.array([[1.0], [3.0], [10.0]])
    found = StepChanges(one, one, one[:, 0], one**2, one).averaged(np.array([0, 0, 1]))
    np.testing.assert_allclose(found.angle_target, [[2], [10]])
    np.testing.assert_allclose(found.norm_growth_target, [[3], [100]])
    assert len(found) == 2


def test_one_observation_is_drawn_and_not_tested():
    for prompts in (prompts_of(a=1), prompts_of(a=1, b=1)):
        values = turning(noisy(len(prompts), [30, 20], [20, 20]))
        alike = [(0, 1)] if len(prompts) > 1 else []
        if alike:
            values = np.concatenate([values[:, :2]] * 2, axis=1)
        result = run(values, prompts, alike=alike)
        assert "One observation: its angles are drawn, and nothing is tested" in result.finding
        assert set(result.figures) == {"rotation"}
        assert not result.tested
        assert not [name for name in result.series if "minus" in name]
        assert "p (corrected)" not in result.tables["summary"]


def test_too_few_observations_are_said_to_be_too_few():
    result = run(turning(noisy(3, [40, 20], [20, 20])), prompts_of(a=3))
    assert "too few observations to reach p < 0.05" in result.finding
    assert "no p can fall below 0.25" in result.finding


def test_two_layers_are_one_step():
    result = run(turning(noisy(10, [30], [20])), prompts_of(a=10), layers=(3, 9))
    assert result.series["angle_target"].layers == (9,)
    assert list(result.tables["summary"]["step"]) == ["3→9"]
    assert "more than the token before it at 3→9" in result.finding


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("apart", [0.0, 10.0])
def test_differences_that_do_not_vary_have_no_t(apart):
    degrees = noisy(10, [30, 20], [20, 20])
    degrees[:, TARGET, 1] = degrees[:, BEFORE, 1] + apart
    result = run(turning(degrees), prompts_of(a=10))
    assert "At 1→2 the target minus before does not vary beyond rounding" in result.finding
    assert result.series["minus_before_t"].layers == (1,)
    assert minus_before(result).values[1] == pytest.approx(apart, abs=1e-4)
    # Nor does it count among the tests that are corrected for.
    p_t, p_t_holm = (result.series[f"minus_before_{x}"].values for x in ("p_t", "p_t_holm"))
    np.testing.assert_array_equal(p_t, p_t_holm)
    p = minus_before(result).p_corrected[1]
    p_wilcoxon = result.series["minus_before_p_wilcoxon"].values[1]
    assert (p == p_wilcoxon == 1) if apart == 0 else (p < 0.05 and p_wilcoxon < 0.05)
    constant = run(turning(np.full((10, 2, 2), 20.0)), prompts_of(a=10))
    assert "minus_before_t" not in constant.series
    assert (minus_before(constant).p_corrected == 1).all()


def test_a_vector_at_the_origin_is_left_out_with_its_observation():
    values = turning(noisy(10, [30, 20], [20, 20]))
    values[1, 6] = 0
    result = run(values, prompts_of(a=5, b=5))
    assert "Left out: 1 with a vector at the origin" in result.finding
    # Prompt 3 is one of the fourth pair.
    assert sorted(result.tables["angles"]["prompt"].unique()) == [0, 1, 2, 4, 5, 6, 7, 9]
    assert (result.tables["tests"]["n"] == 4).all()
    values[0] = 0
    with pytest.raises(ConfigError, match=r"hidden_states 0: .* origin .*hook.layers=\[1,2\]"):
        run(values, prompts_of(a=5, b=5))


@pytest.mark.parametrize(
    ("layers", "hook", "position", "said"),
    [
        ((0, 1), HiddenStates(), Target(), "use position=target_and_before, not target"),
        ((0, 1), LogitLens(), TargetAndBefore(), "hook=logit_lens reads are none; use hook=hidden"),
        ((0,), Embed(), TargetAndBefore(), "two at least; embed is read at layer 0 alone"),
        ((0, 1), AttentionScores(), TargetAndBefore(), "attn_scores are −∞ .* use hook=pattern"),
    ],
)
def test_what_has_no_steps_is_refused_before_anything_is_read(layers, hook, position, said):
    with pytest.raises(ConfigError, match=said):
        Rotation().check(prompts_of(a=2), planned(prompts_of(a=2), layers), hook, position)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="alpha must lie between"):
        Rotation(alpha=1.5)
    with pytest.raises(ConfigError, match="permutations must be at least 1"):
        Rotation(permutations=0)
