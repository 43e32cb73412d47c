"""The analysis on constructed neurons, of which it is known what distinguishes the groups."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp.clusterings import CLUSTERINGS
from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import Target
from interp.data.prompts import from_marked
from interp.experiments.neuron_clusters.analysis import NeuronClusters
from interp.experiments.neuron_clusters.clusters import NeuronClustering
from interp.experiments.neuron_clusters.contrast import Contrast
from interp.experiments.neuron_clusters.criterion import Criterion
from interp.experiments.neuron_clusters.layer_tests import compare_layers
from interp.experiments.neuron_clusters.selected_neurons import select_neurons
from interp.hooks.heads import AttentionScores, HeadOutput
from interp.hooks.neurons import MlpPost
from interp.hooks.residual import ResidPost
from interp.models import Random
from interp.reductions import REDUCTIONS
from interp.stats.observations import number_observations

PAIRS, NEURONS, TUNED = 16, 60, 12


@pytest.fixture(autouse=True)
def _clusters_are_tested_elsewhere(monkeypatch):
    """Their nulls take seconds; here it counts what they are handed."""

    def cluster_neurons(selected, settings, _):
        return NeuronClustering(selected, selected, selected, settings, "few varying neurons")

    monkeypatch.setattr(
        "interp.experiments.neuron_clusters.analysis.cluster_neurons", cluster_neurons
    )


def prompts_of(columns=None, **groups):
    texts = {g: [f"{i} {{{g}}} now" for i in range(n)] for g, n in groups.items()}
    return from_marked(texts, columns)


def planned(values, prompts, alike=()):
    """Activations [layer, prompt, *unit] and as much of a plan as the analysis looks at.

    Prompts `alike` have the same tokens.
    """
    ids = np.arange(len(prompts))
    for one, other in alike:
        ids[other] = ids[one]
    layers = tuple(range(len(values)))
    plan = SimpleNamespace(
        layers=layers,
        samples=pd.DataFrame({"prompt": range(len(prompts)), "group": prompts.groups}),
        duplicate_of=ids,
        layer_names=tuple(f"layer {layer}" for layer in layers),
        notice="",
    )
    return Activations(np.asarray(values, np.float32), layers, plan.samples, 1e-5), plan


def run(values, prompts, alike=(), seed=0, **settings):
    activations, plan = planned(values, prompts, alike)
    analysis = NeuronClusters(**{"permutations": 39, **settings})
    reduction = REDUCTIONS.build({"name": "identity"})
    analysis.check(prompts, plan, ResidPost(), reduction)
    return analysis(
        activations,
        prompts,
        Random(architecture="gpt2", settings={}),
        ResidPost(),
        Target(),
        reduction,
        CLUSTERINGS.build({"name": "kmeans"}),
        plan,
        np.random.default_rng(seed),
    )


def contrast_of(values, prompts, alike=()):
    activations, plan = planned(values, prompts, alike)
    number = number_observations(prompts, plan, activations)
    return Contrast.of(activations, prompts, number, prompts.group_names[:2])


def series_of(result, name="significant"):
    return next(one for one in result.tested if one.name == name)


def planted(seed=0, layers=3, at=1, tuned=TUNED, effect=3.0):
    """Pairs that share their sentence; at one layer the first neurons tell their words apart."""
    rng = np.random.default_rng(seed)
    sentences = rng.normal(size=(layers, PAIRS, NEURONS))
    values = np.concatenate([sentences, sentences], axis=1)
    values += 0.5 * rng.normal(size=values.shape)
    values[at, :PAIRS, :tuned] += effect * np.where(np.arange(tuned) % 2, 1, -1)
    return values


TWO = prompts_of(him=PAIRS, her=PAIRS)


def test_planted_neurons_are_found_at_their_layer_and_nowhere_else():
    result = run(planted(), TWO)
    count, effect, accuracy = result.tested
    names = ["significant", "effect_size", "probe_accuracy"]
    assert [one.name for one in result.tested] == names
    assert TUNED <= count.values[1] <= TUNED + 3
    assert count.significant.tolist() == [False, True, False]
    for one in (effect, accuracy):
        assert one.p_corrected[1] == 1 / 40
        assert one.direction == "greater"
    assert result.series["significant_share"].values[1] == count.values[1] / NEURONS
    assert result.scalars["layer_shown"] == 1
    assert "Neurons distinguish him from her at layer 1" in result.finding
    top = result.tables["neurons"]
    assert set(top["neuron"][:TUNED]) == {str(j) for j in range(TUNED)}
    assert {"t_values", "activations", "mean_activation", "sentence_means", "neuron"} < set(
        result.figures
    )
    assert set(result.images["t_values"]) == {0, 1, 2}


def test_the_table_holds_what_scipy_finds():
    values = planted()
    table = run(values, TWO, layer=1).tables["neurons"].set_index("neuron")
    for j in (0, 5):
        one, other = values[1, :PAIRS, j], values[1, PAIRS:, j]
        expected = stats.ttest_rel(one, other)
        row = table.loc[str(j)]
        assert row["t"] == pytest.approx(expected.statistic, rel=1e-4)
        assert row["p"] == pytest.approx(expected.pvalue, rel=1e-3)
        assert row["difference"] == pytest.approx((one - other).mean(), rel=1e-4)
        assert row["low"] < row["d_z"] < row["high"]


def test_noise_is_said_to_be_noise():
    result = run(planted(effect=0), TWO)
    assert "Neurons distinguish him from her at no layer" in result.finding
    assert ": 0, of which 0 vary over the sentences" in result.finding
    assert {"over_layers", "t_values", "effect_sizes", "activations"} <= set(result.figures)


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_the_null_over_layers_is_as_rare_as_it_should_be(test):
    prompts = prompts_of(him=8, her=8)
    criterion = Criterion(test, "benjamini_hochberg", 0.1)
    trials = 120
    found = np.empty((3, trials))
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        # Neurons hang together: were they shuffled apart, p would be far too small.
        values = rng.normal(size=(1, 16, 3)) @ rng.normal(size=(3, 20))
        contrast = contrast_of(values + 0.1 * rng.normal(size=(1, 16, 20)), prompts)
        m = compare_layers(contrast, contrast, (0,), criterion, 19, rng)
        for k, of in enumerate((m.significant, m.effect_size, m.probe_accuracy)):
            found[k, trial] = (1 + (of[0, 1:] >= of[0, 0] - 1e-9).sum()) / of.shape[1]
    assert ((found <= 0.1).mean(1) <= 0.1 + 3 * np.sqrt(0.09 / trials)).all()
    assert ((found[1:] <= 0.5).mean(1) > 0.3).all()


def test_prompts_that_are_read_alike_count_once():
    values = planted(layers=2)
    doubled = np.concatenate([values[:, :PAIRS]] * 2 + [values[:, PAIRS:]] * 2, axis=1)
    prompts = prompts_of(him=2 * PAIRS, her=2 * PAIRS)
    alike = [(g * 2 * PAIRS + i, g * 2 * PAIRS + PAIRS + i) for g in (0, 1) for i in range(PAIRS)]
    once, twice = run(values, TWO), run(doubled, prompts, alike)
    np.testing.assert_allclose(twice.tables["neurons"]["p"], once.tables["neurons"]["p"])
    np.testing.assert_array_equal(series_of(twice).values, series_of(once).values)
    assert f"{2 * PAIRS} pairs of prompts are {PAIRS} observations" in twice.finding
    assert "observations" not in once.finding.split("\n\n")[-1]
    not_told_apart = contrast_of(doubled, prompts)
    assert not_told_apart.sizes == (2 * PAIRS, 2 * PAIRS)


def test_sentences_that_share_a_word_are_one_to_the_tests():
    """A neuron whose words happen to tell him from her says nothing of other words."""
    verb = np.tile(np.repeat(np.arange(8), 6), 2)
    prompts = prompts_of({"verb": [f"verb {i}" for i in verb]}, him=48, her=48)
    false = {"auto": [], "none": []}
    for trial in range(5):
        rng = np.random.default_rng(trial)
        of_verb = rng.normal(size=(8, 40))[verb] * np.where(np.arange(96) < 48, 1, -1)[:, None]
        values = (of_verb + 0.5 * rng.normal(size=(96, 40)))[None]
        for words, found in false.items():
            result = run(values, prompts, words=words, permutations=19, split_half=False)
            found.append(result.series["significant_share"].values[0])
            by_verb = "Tests count 8 observations, one per verb" in result.finding
            assert by_verb == (words == "auto")
    assert np.mean(false["auto"]) < 0.02
    assert np.mean(false["none"]) > 0.3
    # What the tests hold is the mean over each verb's sentences.
    table = result.tables["neurons"]
    assert len(table) == 40
    means = values[0].reshape(2, 8, 6, 40).mean(2)
    table = run(values, prompts, words="verb").tables["neurons"].set_index("neuron")
    for j in (0, 17):
        expected = stats.ttest_rel(means[0, :, j], means[1, :, j])
        assert table.loc[str(j), "p"] == pytest.approx(expected.pvalue, rel=1e-3)


def test_halves_and_folds_keep_a_word_together():
    verb = np.tile(np.repeat(np.arange(8), 2), 2)
    prompts = prompts_of({"verb": [f"verb {i}" for i in verb]}, him=16, her=16)
    activations, plan = planned(planted(), prompts)
    number = number_observations(prompts, plan, activations)
    sentences = Contrast.of(activations, prompts, number, ("him", "her"))
    tested = Contrast.of(activations, prompts, np.asarray(verb), ("him", "her"))
    assert tested.sizes == (8, 8)
    criterion = Criterion("paired", "benjamini_hochberg", 0.05)
    split = select_neurons(tested, sentences, 1, criterion, True, np.random.default_rng(0))
    shown = {int(verb[i]) for i in np.unique(split.observation)}
    assert len(shown) == 4
    assert len(split.values) == 4 * 2 * 2


def test_merged_prompts_are_averaged():
    values = np.arange(8.0).reshape(1, 4, 2)
    values[0, 1] = values[0, 0] * (1 + 1e-7)
    values[0, 3] = values[0, 2]
    contrast = contrast_of(values, prompts_of(a=2, b=2), [(0, 1), (2, 3)])
    np.testing.assert_allclose(contrast.points(0), values[0, [0, 2]], rtol=1e-6)
    assert contrast.sizes == (1, 1)


def test_groups_of_unequal_size_are_compared_unpaired():
    values = planted()[:, :-4]
    result = run(values, prompts_of(him=PAIRS, her=PAIRS - 4), test="welch", permutations=199)
    assert series_of(result, "effect_size").p_corrected[1] < 0.05
    assert "With 12 sentences" not in result.finding
    assert "groups permuted among sentences" in result.null
    top = result.tables["neurons"].iloc[0]
    j = int(top["neuron"])
    expected = stats.ttest_ind(values[1, :PAIRS, j], values[1, PAIRS:, j], equal_var=False)
    assert top["p"] == pytest.approx(expected.pvalue, rel=1e-3)


@pytest.mark.parametrize("test", ["student", "mann_whitney"])
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_every_choice_runs(test, correction):
    result = run(planted(), TWO, test=test, correction=correction, split_half=False)
    assert result.scalars["most_significant"] >= TUNED / 2


@pytest.mark.parametrize(("him", "her"), [(1, 1), (2, 1)])
def test_too_few_sentences_for_a_test_are_still_shown(him, her):
    values = planted()[:, : him + her]
    result = run(values, prompts_of(him=him, her=her), test="welch" if him != her else "paired")
    assert "a test needs two sentences of each group" in result.finding
    assert not result.series
    assert not result.tested
    assert set(result.figures) == {"activations", "mean_activation", "sentence_means", "neuron"}


@pytest.mark.parametrize("pairs", [2, 3])
def test_few_pairs_are_said_to_be_too_few(pairs):
    rows = [*range(pairs), *range(PAIRS, PAIRS + pairs)]
    result = run(planted()[:, rows], prompts_of(him=pairs, her=pairs))
    assert "him and her: too few sentences or permutations to reach p < 0.05" in result.finding


def test_neurons_that_do_not_vary_are_counted_and_left_out():
    values = planted()
    values[:, :, -5:] = 0
    values[:, :PAIRS, -6] = values[:, PAIRS:, -6] + 1
    result = run(values, TWO)
    assert result.tables["summary"]["tested neurons"].tolist() == [NEURONS - 6] * 3
    assert f"6 of {NEURONS} neurons do not vary there beyond rounding" in result.finding


def test_a_layer_without_any_test_leaves_the_run_complete():
    values = planted(layers=2)
    values[0] = values[0, :1]
    result = run(values, TWO, layer=0)
    assert [one.values[0] for one in result.tested] == [0, 0, 0.5]
    assert "and cannot be tested" in result.finding
    nothing = run(np.ones((1, 2 * PAIRS, 4)), TWO)
    assert "at no layer" in nothing.finding


def test_units_with_two_axes_are_named_by_both():
    values = planted().reshape(3, 2 * PAIRS, 6, 10)
    result = run(values, TWO, neuron="1:1")
    assert "0:3" in set(result.tables["neurons"]["neuron"])
    title = result.figures["neuron"].axes[0].get_title(loc="left")
    assert title.startswith("Neuron 1:1 of layer 1")
    with pytest.raises(ConfigError, match=r"analysis.neuron cannot be 7: it is top, or one of 0:0"):
        run(values, TWO, neuron=7)


def test_neurons_that_were_configured_keep_their_numbers():
    activations, _ = planned(planted(), TWO)
    number = np.tile(np.arange(PAIRS), 2)
    of_some = Contrast.of(activations, TWO, number, ("him", "her"), tuple(range(100, 160)))
    assert of_some.neurons[:2] == ("100", "101")
    heads = planned(planted().reshape(3, 2 * PAIRS, 2, 30), TWO)[0]
    of_heads = Contrast.of(heads, TWO, number, ("him", "her"), (7, 3))
    assert of_heads.neurons[::30] == ("7:0", "3:0")
    assert MlpPost(neurons=[381, 7]).units == (381, 7)
    assert MlpPost(neurons=[381, 7]).label == "mlp_post neurons 381, 7"
    assert HeadOutput(heads=3).label == "z head 3"
    assert HeadOutput(heads=[0, 1, 2, 3, 4]).label == "z, 5 heads"
    assert HeadOutput().units == ()


def test_two_of_three_groups_are_compared():
    values = np.concatenate([planted(), planted(seed=5)[:, :PAIRS]], axis=1)
    prompts = prompts_of(him=PAIRS, her=PAIRS, them=PAIRS - 3)
    result = run(values[:, :-3], prompts, groups=["him", "her"])
    np.testing.assert_array_equal(series_of(result).values, series_of(run(planted(), TWO)).values)


def test_neurons_are_selected_on_one_half_and_shown_on_the_other():
    contrast = contrast_of(planted(), TWO)
    criterion = Criterion("paired", "benjamini_hochberg", 0.05)
    split = select_neurons(contrast, contrast, 1, criterion, True, np.random.default_rng(0))
    assert {str(j) for j in range(TUNED)} <= set(split.neurons)
    assert split.values.shape == (PAIRS, len(split.neurons))
    assert not split.same_sentences
    assert split.in_first.sum() == len(np.unique(split.observation)) == PAIRS // 2
    points = contrast.points(1)
    others = ~np.isin(contrast.observation, split.observation)
    one, other = points[others & contrast.in_first], points[others & ~contrast.in_first]
    expected = stats.ttest_rel(one, other).statistic
    np.testing.assert_allclose(split.t, expected[[int(name) for name in split.neurons]], rtol=1e-6)
    everything = select_neurons(contrast, contrast, 1, criterion, False, np.random.default_rng(0))
    assert everything.same_sentences
    assert len(everything.values) == 2 * PAIRS


def test_selection_alone_does_not_make_neurons_tuned_on_the_other_half():
    """Where nothing is planted, what a lenient level chooses means nothing to other sentences."""
    criterion = Criterion("paired", "benjamini_hochberg", 0.9)
    ratios = []
    for seed in range(40):
        contrast = contrast_of(planted(seed, layers=1, at=0, effect=0), TWO)
        found = select_neurons(contrast, contrast, 0, criterion, True, np.random.default_rng(seed))
        if found.neurons:
            apart = found.values[found.in_first].mean(0) - found.values[~found.in_first].mean(0)
            ratios.append((np.sign(apart) == np.sign(found.t)).mean())
    assert len(ratios) > 10
    assert np.mean(ratios) == pytest.approx(0.5, abs=3 * np.std(ratios) / np.sqrt(len(ratios)))


def test_the_same_seed_gives_the_same_numbers():
    one, other = run(planted(), TWO), run(planted(), TWO)
    assert one.scalars == other.scalars
    means = (series_of(found, "probe_accuracy").null_mean for found in (one, other))
    np.testing.assert_array_equal(*means)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"test": "pared"}, "test cannot be 'pared'; did you mean 'paired'"),
        ({"correction": "bh"}, "correction cannot be 'bh'"),
        ({"layer": "best"}, "layer must be strongest or a layer's number, not 'best'"),
        ({"layer": 7}, r"analysis.layer cannot be 7 \(known: 0, 1, 2\)"),
        ({"groups": ["him", "hers"]}, "analysis.groups cannot be 'hers'; did you mean 'her'"),
        ({"groups": ["him"]}, "groups must be two different groups, not"),
        ({"alpha": 1.5}, "alpha must lie between 0 and 1"),
        ({"permutations": 0}, "permutations must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        run(planted(), TWO, **settings)


def test_prompts_that_cannot_be_compared_are_refused():
    values = planted()
    with pytest.raises(ConfigError, match=r"not 16 \(him\), 12 \(her\); use analysis.test=welch"):
        run(values[:, :28], prompts_of(him=16, her=12))
    with pytest.raises(ConfigError, match=r"compares two groups, not 3 \(a, b, c\); choose two"):
        run(values[:, :6], prompts_of(a=2, b=2, c=2))
    with pytest.raises(ConfigError, match=r"compares two groups, not 1 \(a\)"):
        run(values[:, :6], prompts_of(a=6))
    _, plan = planned(values, TWO)
    plan.samples = pd.concat([plan.samples, plan.samples])
    with pytest.raises(ConfigError, match="one point each, not 64 tokens of 32 prompts; use posi"):
        NeuronClusters().check(TWO, plan, ResidPost(), REDUCTIONS.build({"name": "identity"}))
    _, plan = planned(values, TWO)
    with pytest.raises(ConfigError, match=r"attn_scores are −∞ .* use hook=pattern"):
        NeuronClusters().check(TWO, plan, AttentionScores(), REDUCTIONS.build({"name": "identity"}))
    with pytest.raises(ConfigError, match="lda"):
        NeuronClusters().check(TWO, plan, ResidPost(), REDUCTIONS.build({"name": "lda"}))
