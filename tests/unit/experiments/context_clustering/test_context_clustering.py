"""Objects among subjects: constructed activations whose answer is known."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import silhouette_score

from interp import plotting
from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Mean, Target
from interp.data.prompts import PromptSet
from interp.experiments.context_clustering import panel_figures
from interp.experiments.context_clustering.analysis import ContextClustering
from interp.experiments.context_clustering.centroids import (
    Direction,
    Weightings,
    relative_distance,
    silhouette,
)
from interp.experiments.context_clustering.design import read_design
from interp.experiments.context_clustering.effects import (
    context_drift,
    context_effects,
    levels_with_intervals,
    nearer_by_both,
)
from interp.experiments.context_clustering.measures import Reweightings, measure_conditions
from interp.hooks.residual import ResidPost
from interp.metrics.functional import separation
from interp.metrics.functional.points import distances
from interp.stats.intervals import bootstrap_interval, resample_counts
from interp.stats.permutations import draw_exchanges

D = 6


def prompt_set(words=10, templates=7, doses=(1,), extra=("as_object", "probe"), keep=None):
    """Prompts without sentences: the columns are all that counts."""
    rows = []
    for group in ("names", "objects"):
        for i in range(words):
            word = f"{group[0]}{i}"
            rows.append((group, word, "bare", 0.0, -1.0))
            for t in range(templates):
                rows += [(group, word, name, 0.0, float(t)) for name in extra]
                rows += [
                    (group, word, name, float(dose), float(t))
                    for dose in doses
                    for name in ("other", "subject")
                ]
    rows = [row for row in rows if keep is None or keep(*row)]
    groups, *columns = zip(*rows, strict=True)
    named = dict(zip(("word", "condition", "dose", "template"), columns, strict=True))
    texts = tuple(f"text {i}" for i in range(len(rows)))
    return PromptSet(texts, groups, tuple((0, 4) for _ in texts), named)


PROMPTS = prompt_set()
FEW = prompt_set(extra=())
designs = lru_cache(read_design)


def activations(prompts, seed, act=None, gap=2.0, frame=0.3):
    """Words about the mean of their class, a place for each frame, and noise, [1, n, D].

    `act(kind, is_subject, points, rng)` changes the words [n, D] of a frame, kind being the
    condition.
    """
    rng = np.random.default_rng(seed)
    words = designs(prompts)
    is_subject = words.is_subject
    at = np.where(is_subject[:, None], [gap, *[0] * (D - 1)], 0)
    places = at + rng.normal(size=at.shape)
    values = np.empty((1, len(prompts), D))
    for condition in (words.bare, *words.conditions):
        for rows in condition.rows:
            points = places + frame * rng.normal(size=places.shape)
            if act is not None:
                points = act(condition.name, is_subject, points, rng)
            values[0, rows] = points + 3 * rng.normal(size=D)
    return Activations(values.astype(np.float32), (0,), prompts.table(), 1e-5)


def found(values, prompts=PROMPTS, seed=0, resamples=120, permutations=99):
    words = designs(prompts)
    reweightings = Reweightings.sample(words, resamples, permutations, np.random.default_rng(seed))
    return measure_conditions(values, ResidPost(), words, reweightings), words, reweightings


def effects_of(values, prompts=PROMPTS, **settings):
    return context_effects(*found(values, prompts, **settings))


def pulled(by, spread=0.0):
    """Objects move towards the names by a share of the gap, more or less in each template."""

    def act(kind, is_subject, points, rng):
        share = by.get(kind, 0.0) + spread * rng.normal() * (kind in by)
        way = np.array([share * 2.0, *[0.0] * (D - 1)])
        return points + np.where(is_subject[:, None], 0, way)

    return act


# --- the measures, against other ways to compute them


@pytest.fixture
def cloud():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(13, 5)) + np.where(np.arange(13)[:, None] < 6, 0.7, 0)
    return points, np.arange(13) < 6


def weighted(is_subject, times):
    times = np.atleast_2d(times).astype(float)
    return Weightings(times * is_subject, times * ~is_subject)


def test_relative_distance_against_a_plain_loop(cloud):
    points, first = cloud
    centre = points[first].mean(0)
    spread = np.sqrt(((points[first] - centre) ** 2).sum() / (first.sum() - 1))
    expected = np.mean([np.linalg.norm(x - centre) for x in points[~first]]) / spread
    value, found_spread = relative_distance(
        distances(points, points, "sqeuclidean"), weighted(first, np.ones(13))
    )
    assert value == pytest.approx(expected)
    assert found_spread == pytest.approx(spread)


def test_an_object_drawn_like_a_subject_lies_at_about_one():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        x = rng.normal(size=(24, 50))
        words = weighted(np.arange(24) < 12, np.ones(24))
        values.append(relative_distance(distances(x, x, "sqeuclidean"), words)[0][0])
    assert np.mean(values) == pytest.approx(np.sqrt(13 / 12), abs=0.01)


def test_silhouette_against_scikit_learn_and_the_one_without_weights(cloud):
    points, first = cloud
    apart = distances(points, points, "euclidean")
    labels = np.random.default_rng(0).permuted(np.tile(first, (20, 1)), axis=1)
    words = Weightings(labels.astype(float), (~labels).astype(float))
    values = silhouette(apart, words)
    np.testing.assert_allclose(values, [silhouette_score(points, label) for label in labels])
    np.testing.assert_allclose(values, separation.silhouette(apart, (~labels).astype(np.intp)))


def test_projection_against_a_plain_loop(cloud):
    points, first = cloud
    elsewhere = points + np.random.default_rng(1).normal(size=points.shape)
    expected = []
    for i in range(13):
        others = np.arange(13) != i
        foot = points[~first & others].mean(0)
        way = points[first & others].mean(0) - foot
        expected.append((elsewhere[i] - foot) @ way / (way @ way))
    direction = Direction.fitted(points @ points.T, weighted(first, np.ones(13)))
    along = direction.projections(elsewhere @ points.T)
    np.testing.assert_allclose(along[0], expected)
    means = direction.class_means(elsewhere @ points.T)
    expected = np.array(expected)
    np.testing.assert_allclose(np.ravel(means), [expected[first].mean(), expected[~first].mean()])


def test_a_word_that_is_drawn_twice_counts_twice_and_is_never_held_against_itself(cloud):
    points, first = cloud
    times = np.array([2, 0, 1, 1, 3, 1, 1, 2, 0, 1, 1, 1, 1])
    words = weighted(first, times)
    drawn = np.repeat(np.arange(13), times)
    x, of_first = points[drawn], first[drawn]
    apart = distances(x, x, "euclidean")
    other = drawn[:, None] != drawn

    centre = x[of_first].mean(0)
    pairs = np.ix_(of_first, of_first)
    variance = (apart[pairs] ** 2)[other[pairs]].mean() / 2
    expected = np.linalg.norm(x[~of_first] - centre, axis=1).mean() / np.sqrt(variance)
    value, _ = relative_distance(distances(points, points, "sqeuclidean"), words)
    assert value == pytest.approx(expected)

    coefficients, along = [], []
    for i in range(len(drawn)):
        own = of_first == of_first[i]
        a, b = apart[i][own & other[i]].mean(), apart[i][~own].mean()
        coefficients.append((b - a) / max(a, b))
        foot = x[~of_first & other[i]].mean(0)
        way = x[of_first & other[i]].mean(0) - foot
        along.append((x[i] - foot) @ way / (way @ way))
    assert silhouette(distances(points, points, "euclidean"), words) == pytest.approx(
        np.mean(coefficients)
    )
    direction = Direction.fitted(points @ points.T, words)
    assert direction.class_means(points @ points.T)[1] == pytest.approx(
        np.mean(np.array(along)[~of_first])
    )


def test_centroids_that_coincide_have_no_direction():
    points = np.tile([[1.0, 2.0], [3.0, 0.0]], (4, 1))
    first = np.repeat([True, False], 4)
    direction = Direction.fitted(points @ points.T, weighted(np.ones(8, bool) & first, np.ones(8)))
    assert np.isfinite(direction.projections(points @ points.T)).all()
    same = np.ones((8, 8))
    still = Direction.fitted(same, weighted(first, np.ones(8))).projections(same)
    np.testing.assert_array_equal(still, np.zeros((1, 8)))
    with pytest.raises(ValueError, match="subjects coincide"):
        relative_distance(np.zeros((8, 8)), weighted(first, np.ones(8)))


# --- resampling


def test_units_are_drawn_within_their_stratum_and_never_one_alone():
    stratum = np.array([0, 1, 0, 1, 0, 1, 1])
    times = resample_counts(stratum, 500, np.random.default_rng(0))
    np.testing.assert_array_equal(times[:, stratum == 0].sum(1), 3)
    np.testing.assert_array_equal(times[:, stratum == 1].sum(1), 4)
    for name in (0, 1):
        assert ((times[:, stratum == name] > 0).sum(1) >= 2).all()
    np.testing.assert_allclose(times.mean(0), 1, atol=0.12)
    np.testing.assert_array_equal(resample_counts(np.zeros(1, int), 3, np.random.default_rng(0)), 1)


def test_few_units_are_exchanged_in_every_way_once():
    every = draw_exchanges(5, 31, np.random.default_rng(0))
    assert len(np.unique(every, axis=0)) == len(every) == 32
    assert not every[0].any()
    some = draw_exchanges(5, 30, np.random.default_rng(0))
    assert some.shape == (31, 5)
    assert not some[0].any()


def test_an_interval_is_as_wide_as_few_units_make_it():
    drawn = np.random.default_rng(0).normal(size=(1, 100_000)) + 8
    # Templates that make all of the variance, and none of it.
    six = np.sqrt(6) * scipy.stats.zscore([[0.0, 1, 2, 3, 4, 5]], axis=1, ddof=1)
    for by_template, units in ((six, 6), (np.ones((1, 6)), 24)):
        (low,), (high,) = bootstrap_interval(np.array([3.0]), drawn, by_template, 24)
        reach = np.sqrt(units / (units - 1)) * scipy.stats.t.ppf(0.975, units - 1)
        assert (low, high) == pytest.approx((3 - reach, 3 + reach), abs=0.1)
    still = bootstrap_interval(np.array([3.0]), np.full((1, 50), 9.0), np.ones((1, 6)), 24)
    np.testing.assert_array_equal(still, [[3.0], [3.0]])


@pytest.mark.parametrize("draw", [0, 3, 17])
def test_the_levels_of_a_draw_against_a_plain_loop(draw):
    """Words and templates weigh what they were drawn, everywhere alike."""
    values = activations(PROMPTS, 1, pulled({"subject": 0.4}))
    result, words, reweightings = found(values, resamples=100)
    of_templates = reweightings.templates[draw] * words.n_templates
    assert of_templates.sum() == pytest.approx(words.n_templates)
    weights = Weightings(
        *(w[[draw]] for w in (reweightings.words.subjects, reweightings.words.objects))
    )
    for kind in ("other", "subject", "as_object"):
        number = words.index_of(kind, 0 if kind == "as_object" else 1)
        expected = 0.0
        for t, rows in enumerate(words.conditions[number - 1].rows):
            x = values.values[0, rows].astype(float)
            value, _ = relative_distance(distances(x, x, "sqeuclidean"), weights)
            expected += of_templates[t] * value[0] / words.n_templates
        assert result.levels[0, number, 0, draw] == pytest.approx(expected)


# --- what is found in the end


@pytest.mark.parametrize("spread", [0.05, 0.4], ids=["words vary", "templates vary"])
def test_a_planted_shift_lies_within_its_interval(spread):
    act = pulled({"other": 0.2, "subject": 0.6}, spread=spread)
    many = prompt_set(words=200, templates=200, extra=())
    truth = effects_of(activations(many, 0, act), many, resamples=1, permutations=1)
    prompts = prompt_set(words=16, extra=())
    inside: dict[str, list[bool]] = {"distance": [], "silhouette": []}
    for seed in range(60):
        values = activations(prompts, seed + 1, act)
        effect = effects_of(values, prompts, seed=seed, resamples=200, permutations=1)
        for name, held in inside.items():
            found_here, expected = effect[name], truth[name].values[0, 0]
            held.append(found_here.low[0, 0] <= expected <= found_here.high[0, 0])
    assert truth["distance"].values[0, 0] > 0.05
    assert np.mean(inside["distance"]) >= 0.9
    assert np.mean(inside["silhouette"]) >= 0.9


def rates(act_of, measure="distance", repetitions=80, **settings):
    """Return p of contexts and of classes, uncorrected, and the corrected p; [repetition] each."""
    p = []
    for seed in range(repetitions):
        values = activations(FEW, 1000 + seed, act_of(seed), **settings)
        effect = effects_of(values, FEW, seed=seed, resamples=1)[measure]
        p.append((effect.contexts.p, effect.classes.p, effect.p_corrected))
    contexts, classes, corrected = np.array(p)[..., 0, 0].T
    return contexts, classes, corrected


def is_uniform(p):
    """Whether p-values on a fine grid are about uniform."""
    return scipy.stats.kstest(p, "uniform").pvalue > 0.005


def test_without_an_effect_p_is_uniform():
    contexts, _, corrected = rates(lambda _: None)
    assert is_uniform(contexts)
    assert np.mean(corrected < 0.05) <= 0.08


def test_contexts_that_both_pull_alike_are_no_finding():
    act = pulled({"other": 0.5, "subject": 0.5}, spread=0.15)
    contexts, _, corrected = rates(lambda _: act)
    assert is_uniform(contexts)
    assert np.mean(corrected < 0.05) <= 0.08


def test_a_context_that_pulls_all_words_together_alike_is_no_finding():
    def together(kind, is_subject, points, rng):
        return points * (0.5 if kind == "subject" else 1)

    contexts, _, corrected = rates(lambda _: together)
    assert is_uniform(contexts)
    assert np.mean(corrected < 0.05) <= 0.08


def test_classes_that_are_none_are_no_finding_though_one_context_moves_some_words():
    """They are the same words in each template, which the null of contexts takes for an effect."""

    def act_of(seed):
        some = np.random.default_rng(seed).random((20, 1)) < 0.3

        def fade(kind, is_subject, points, rng):
            return np.where(some & (kind == "subject"), 0.3 * points, points)

        return fade

    contexts, classes, corrected = rates(act_of, gap=0.0)
    assert np.mean(contexts < 0.05) > 0.2
    assert is_uniform(classes)
    assert np.mean(corrected < 0.05) <= 0.1


def test_a_context_that_moves_every_word_along_the_direction_brings_none_nearer():
    def along(kind, is_subject, points, rng):
        return points + (kind == "subject") * np.array([1.5, *[0.0] * (D - 1)])

    _, _, corrected = rates(lambda _: along, "projection")
    assert np.mean(corrected < 0.05) <= 0.08


@pytest.mark.parametrize(
    ("change", "seeming"),
    [
        # Names that vary more, objects where they were: nearer in the names' spreads alone.
        (lambda x, is_subject, rng: x + is_subject * 0.8 * rng.normal(size=x.shape), "distance"),
        # All words drawn together: the gap closes, and so does everything else.
        (lambda x, is_subject, rng: 0.6 * x, "projection"),
    ],
)
def test_no_object_comes_nearer_where_names_spread_or_all_words_shrink(change, seeming):
    def act(kind, is_subject, points, rng):
        return change(points, is_subject[:, None], rng) if kind == "subject" else points

    prompts = prompt_set(words=24, templates=8, extra=())
    passed = {"distance": 0, "projection": 0, "both": 0}
    for seed in range(6):
        effect = effects_of(activations(prompts, seed, act, gap=3.0), prompts)
        effect["both"] = nearer_by_both(effect["distance"], effect["projection"])
        for name in passed:
            passed[name] += effect[name].p_corrected[0, 0] < 0.05
    assert passed[seeming] >= 5
    assert passed["both"] <= 1


def test_few_words_have_few_labellings():
    prompts = prompt_set(words=3, templates=9, extra=())
    effect = effects_of(activations(prompts, 0, pulled({"subject": 3.0})), prompts)["distance"]
    # 3 words of 6 can be drawn in 20 ways, one of which is the given one.
    assert 0.02 < effect.smallest_p < 0.1
    assert effect.p_corrected[0, 0] >= effect.smallest_p


def test_a_planted_shift_is_found_by_both_nulls():
    prompts = prompt_set(words=24)
    values = activations(prompts, 0, pulled({"subject": 0.8}))
    effect = effects_of(values, prompts, permutations=999)["distance"]
    assert effect.contexts.p[0, 0] == pytest.approx(1 / 2**7)
    assert effect.classes.p[0, 0] <= 0.002
    assert effect.p_corrected[0, 0] == pytest.approx(1 / 2**7)
    assert effect.low[0, 0] > 0
    assert effect.smallest_p == pytest.approx(1 / 2**7)
    values = activations(prompts, 0, pulled({"other": 0.8}))
    away = effects_of(values, prompts, permutations=999)["distance"]
    assert away.p_further[0, 0] == pytest.approx(1 / 2**7)
    assert away.p_corrected[0, 0] == 1
    assert away.high[0, 0] < 0


def test_the_correction_is_over_layers_and_numbers_of_sentences():
    prompts = prompt_set(doses=(1, 2))
    one, two, three = (
        activations(prompts, seed, pulled({"subject": 0.5}) if seed == 1 else None).values
        for seed in (0, 1, 2)
    )
    both = Activations(np.concatenate([one, two, three]), (0, 1, 2), prompts.table(), 1e-5)
    effect = effects_of(both, prompts, permutations=999)["distance"]
    assert effect.values.shape == (3, 2)
    assert (effect.p_corrected >= effect.contexts.p - 1e-12).all()
    assert (effect.p_corrected[1] < 0.05).all()
    assert (effect.p_corrected[[0, 2]] > 0.05).all()


def test_turning_and_scaling_change_nothing():
    plain = activations(PROMPTS, 4, pulled({"subject": 0.3}))
    turn = 7 * scipy.stats.ortho_group.rvs(D, random_state=1)
    turned = Activations((plain.values @ turn).astype(np.float32), (0,), plain.samples, 1e-5)
    a, b = found(plain)[0], found(turned)[0]
    np.testing.assert_allclose(a.levels, b.levels, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.abs(a.layout), np.abs(b.layout), rtol=1e-3, atol=1e-3)


def test_contexts_that_differ_by_rounding_alone_have_no_effect():
    prompts = prompt_set(extra=())
    values = activations(prompts, 0).values.copy()
    table = prompts.table()
    keys = ["word", "template"]
    other, subject = (
        table[table["condition"] == kind].sort_values(keys).index for kind in ("other", "subject")
    )
    noise = 1 + 3e-7 * np.random.default_rng(0).random(values[:, other].shape)
    values[:, subject] = values[:, other] * noise
    effect = effects_of(Activations(values, (0,), table, 1e-5), prompts)["distance"]
    assert effect.values[0, 0] == effect.low[0, 0] == effect.high[0, 0] == 0
    assert effect.p_corrected[0, 0] == effect.p_further[0, 0] == 1


def test_subjects_that_coincide_are_named_with_their_layer():
    values = activations(PROMPTS, 0).values.copy()
    values[:, [group == "names" for group in PROMPTS.groups]] = 1
    with pytest.raises(ConfigError, match="resid_post 0: the names coincide up to rounding"):
        found(Activations(values, (0,), PROMPTS.table(), 1e-5))


def test_what_any_context_does_is_reported_too():
    act = pulled({"other": 0.5, "subject": 0.5})
    values = activations(PROMPTS, 3, act, gap=3.0)
    result, words, reweightings = found(values)
    drift = context_drift(result, words, reweightings)
    gap, less = drift.gap, drift.closed_by
    level = levels_with_intervals(result, words, reweightings)
    projections = [level[f"projection_{name}"].values[0] for name in ("subjects", "objects")]
    probe, other = words.index_of("probe", 0), words.index_of("other", 1)
    assert gap[0] == pytest.approx(projections[0][other] - projections[1][other])
    assert less.values[0] == pytest.approx(projections[0][probe] - projections[1][probe] - gap[0])
    # Half of 2 out of a gap of 3, in units that few words make a little shorter.
    assert less.low[0] < 1 / 3 < less.high[0] + 0.05
    spread = level["spread"].values[0]
    assert spread[0] == 1
    np.testing.assert_allclose(spread, 1, atol=0.15)


# --- the analysis as a whole


def run(values, prompts=PROMPTS, **settings):
    analysis = ContextClustering(**{"permutations": 199, "resamples": 100, **settings})
    layers = tuple(range(len(values)))
    samples = prompts.table()
    analysis.check(prompts, Target())
    return analysis(
        Activations(values.astype(np.float32), layers, samples, 1e-5),
        prompts,
        SimpleNamespace(title="a model"),
        ResidPost(),
        Target(),
        SimpleNamespace(layer_names=tuple(f"layer {layer}" for layer in layers), notice=""),
        np.random.default_rng(0),
    )


def test_the_finding_says_what_was_planted():
    prompts = prompt_set(words=24, doses=(1, 2))
    values = [
        activations(prompts, seed, pulled({"subject": share})).values[0]
        for seed, share in ((0, 0.0), (1, 0.8))
    ]
    result = run(np.stack(values), prompts)
    assert result.finding.startswith(
        "objects lie nearer to names after sentences that treat them as subjects than after as "
        "many that do not, at layer 1 (p < 0.05, corrected over layers and numbers of sentences). "
        "The largest significant effect is "
    )
    assert "at layer 1 after 2 sentences" in result.finding
    assert result.scalars["peak_layer"] == 1
    assert result.scalars["significant_layers"] == 1
    low, high = result.scalars["peak_low"], result.scalars["peak_high"]
    assert 0 < low < result.scalars["peak_effect"] < high
    assert "What any context does: after 2 sentences" in result.finding
    assert set(result.series) >= {"p_context", "p_class", "effect_after_1_sentences"}
    (primary,) = result.tested
    assert primary.name == "value"
    assert primary.direction == "greater"
    np.testing.assert_array_equal(primary.values, result.series["effect_after_2_sentences"].values)
    assert primary.significant.tolist() == [False, True]
    assert (primary.interval_low < primary.interval_high).all()
    assert (primary.p >= result.series["p_class"].values).all()
    assert result.tables["summary"]["significance"].tolist() == ["not significant", "nearer"]
    levels = result.tables["levels"]
    assert len(levels) == 2 * (1 + 2 + 2 * 2)
    assert not levels.isna().any(axis=None)
    assert len(result.tables["effects"]) == 3 * 2 * 2
    assert set(result.figures) == {
        *("effect", "effect_over_sentences", "measures", "distance", "projection"),
    }
    assert list(result.animations["words"].frames) == [0, 1]
    assert len({image.shape for image in result.animations["words"].pixels.values()}) == 1


def test_nothing_found_is_said_too_and_few_templates_are_named():
    prompts = prompt_set(words=4, templates=3, extra=())
    result = run(activations(prompts, 0).values, prompts)
    assert result.finding.startswith("at no layer do objects lie nearer to names after")
    assert "With 3 templates and 199 permutations no p can fall below 0.12." in result.finding
    assert "any context" not in result.finding
    assert result.tables["summary"]["significance"].tolist() == ["too few to test"]


def test_objects_that_move_away_are_reported():
    result = run(activations(PROMPTS, 0, pulled({"other": 0.8})).values)
    assert (
        "At layer 0, after 1 sentences, they lie further away (p < 0.05, corrected)"
        in result.finding
    )
    effects = result.tables["effects"]
    assert (effects.loc[effects["measure"] != "silhouette", "p_further_corrected"] < 0.05).all()
    assert result.tables["summary"]["significance"].tolist() == ["further"]


def test_the_panels_of_a_figure_are_on_one_scale_and_of_many_layers_some_are_shown():
    shape = (30, 5)
    values = np.random.default_rng(0).normal(size=shape)
    curve = panel_figures.Curve("curve", values, values - 1, values + 1, np.zeros(shape, bool), 0)
    figure = panel_figures.curve_panels(
        panel_figures.CurvePanels(
            panels=[f"layer {i}" for i in range(30)],
            columns=["bare", "0", "1", "2", "4"],
            curves=[curve],
            reference=panel_figures.Reference("zero", 0.0),
            title="A title",
            subtitle="of a model",
            xlabel="sentences",
            ylabel="value",
        )
    )
    around, *panels = figure.axes
    assert len(panels) == 12
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert [panels[i].get_title(loc="left") for i in (0, -1)] == ["layer 0", "layer 29"]
    assert plotting.pixels(figure).shape[2] == 3
    assert around.get_title(loc="left") == "A title"


def column(name, change):
    changed = {**PROMPTS.columns, name: tuple(map(change, PROMPTS.columns[name]))}
    return PromptSet(PROMPTS.texts, PROMPTS.groups, PROMPTS.targets, changed)


def without(name):
    left = {key: values for key, values in PROMPTS.columns.items() if key != name}
    return PromptSet(PROMPTS.texts, PROMPTS.groups, PROMPTS.targets, left)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (without("word"), "there is no 'word'; prompts=names_and_objects has them"),
        (column("dose", str), "'dose' must hold numbers only"),
        (prompt_set(words=2), "group 'names' has 2 words; at least 3"),
        (prompt_set(templates=1), "the same templates, at least two, not 1"),
        (prompt_set(keep=lambda g, *_: g == "names"), "not 1: names"),
        (prompt_set(keep=lambda g, w, c, d, t: c != "bare"), "once in the condition 'bare'"),
        (
            prompt_set(keep=lambda g, w, c, d, t: c != "other"),
            "the same values of 'dose', at least one",
        ),
        (
            prompt_set(doses=(), extra=("probe",)),
            "the same values of 'dose', at least one",
        ),
        (
            prompt_set(keep=lambda g, w, c, d, t: (w, c, t) != ("n1", "other", 2)),
            "in condition 'other' with dose 1, each template must have each of the 20 words once",
        ),
        (
            prompt_set(keep=lambda g, w, c, d, t: c != "other" or t > 1),
            "the same templates, at least two, not 5 or 7",
        ),
        (column("word", lambda word: word[1:]), "a word is in both groups"),
    ],
)
def test_prompts_that_make_no_such_design_are_refused(prompts, said):
    with pytest.raises(ConfigError, match=said):
        ContextClustering().check(prompts, Target())


def test_another_position_than_the_words_is_refused():
    with pytest.raises(ConfigError, match="the word itself, not its context: use position=target"):
        ContextClustering().check(PROMPTS, Mean())


@pytest.mark.parametrize(
    ("field", "value"), [("permutations", 0), ("alpha", 1.0), ("resamples", 99)]
)
def test_settings_that_cannot_be_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must"):
        ContextClustering(**{field: value})
