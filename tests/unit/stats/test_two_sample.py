"""Tests of many neurons at once against SciPy's of one, corrections, and intervals."""

import warnings

import numpy as np
import pytest
from scipy import stats

from interp.stats.two_sample import CORRECTIONS, TESTS, cohens_d_interval, compare_groups, correct_p

NEURONS = 30
ROUNDING = np.full(NEURONS, 1e-9)


def sample(n1, n2, seed=0, neurons=NEURONS):
    """Values of two groups, some shifted, some of other variance, some with ties."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n1 + n2, neurons)) + rng.normal(size=neurons)
    values[:n1, ::3] += 1
    values[:n1, ::4] *= 3
    values[:, ::5] = values[:, ::5].round()
    values[:, 7] = np.maximum(values[:, 7], values[:, 7].mean())
    in_first = np.arange(n1 + n2) < n1
    observation = np.concatenate([np.arange(n1), np.arange(n2)])
    return values, in_first, observation


def labellings(in_first, draws=4):
    rng = np.random.default_rng(1)
    return np.array([in_first, *(rng.permutation(in_first) for _ in range(draws))])


def exchanged(in_first, observation, draws=4):
    swap = np.random.default_rng(1).random((draws, observation.max() + 1)) < 0.5
    return np.array([in_first, *(in_first ^ swap[:, observation])])


@pytest.mark.parametrize(("n1", "n2"), [(12, 12), (9, 30), (2, 3)])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.filterwarnings("ignore:Precision loss")  # SciPy's, of a group that does not vary
def test_t_tests_of_groups_are_scipys(n1, n2, equal):
    values, in_first, observation = sample(n1, n2)
    masks = labellings(in_first)
    found = compare_groups("student" if equal else "welch", values, masks, observation, ROUNDING)
    untestable = np.isnan(found.p[0])
    np.testing.assert_array_equal(untestable, np.isnan(found.p).all(0))
    for b, mask in enumerate(masks):
        for j in np.flatnonzero(~untestable):
            one, other = values[mask, j], values[~mask, j]
            if np.sqrt(one.var() + other.var()) < 1e-9:
                continue
            expected = stats.ttest_ind(one, other, equal_var=equal)
            assert found.statistic[b, j] == pytest.approx(expected.statistic, rel=1e-6, abs=1e-9)
            assert found.p[b, j] == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 40])
def test_the_paired_test_is_scipys_under_every_exchange(n):
    values, in_first, observation = sample(n, n)
    order = np.random.default_rng(2).permutation(2 * n)
    values, in_first, observation = values[order], in_first[order], observation[order]
    masks = exchanged(in_first, observation)
    found = compare_groups("paired", values, masks, observation, ROUNDING)
    by_pair = np.argsort(observation, kind="stable")
    for b, mask in enumerate(masks):
        one = values[by_pair][mask[by_pair]]
        other = values[by_pair][~mask[by_pair]]
        for j in range(NEURONS):
            if (one - other)[:, j].std() < 1e-9 or np.isnan(found.p[0, j]):
                continue
            expected = stats.ttest_rel(one[:, j], other[:, j])
            assert found.statistic[b, j] == pytest.approx(expected.statistic, rel=1e-6, abs=1e-9)
            assert found.p[b, j] == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.parametrize(("n1", "n2"), [(12, 20), (9, 9), (8, 25), (25, 3), (2, 2)])
def test_mann_whitney_is_scipys_exact_and_approximate(n1, n2):
    values, in_first, observation = sample(n1, n2)
    masks = labellings(in_first)
    found = compare_groups("mann_whitney", values, masks, observation, ROUNDING)
    for b, mask in enumerate(masks):
        for j in np.flatnonzero(values.std(0) > 1e-9):
            expected = stats.mannwhitneyu(values[mask, j], values[~mask, j])
            assert found.p[b, j] == pytest.approx(expected.pvalue, rel=1e-9)
            beyond = expected.statistic - n1 * n2 / 2
            assert found.statistic[b, j] * beyond >= 0


def test_cohens_d_is_the_difference_in_standard_deviations():
    values, in_first, observation = sample(10, 10)
    one, other = values[in_first], values[~in_first]
    pooled = (one.mean(0) - other.mean(0)) / np.sqrt(
        (one.var(0, ddof=1) + other.var(0, ddof=1)) / 2
    )
    of_pairs = (one - other).mean(0) / (one - other).std(0, ddof=1)
    for test in TESTS:
        expected = of_pairs if test == "paired" else pooled
        found = compare_groups(test, values, in_first[None], observation, ROUNDING)
        np.testing.assert_allclose(found.d[0], expected, rtol=1e-9)


@pytest.mark.parametrize("test", TESTS)
def test_a_neuron_that_varies_by_rounding_alone_has_no_test(test):
    rng = np.random.default_rng(3)
    values, in_first, observation = sample(6, 6)
    values[:, 0] = 0
    values[:, 1] = 0.3 + 1e-12 * rng.normal(size=12)
    masks = exchanged(in_first, observation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare_groups(test, values, masks, observation, ROUNDING)
        adjusted = correct_p(found.p, "benjamini_hochberg")
    for column in (found.statistic, found.p, found.d, adjusted):
        assert np.isnan(column[:, :2]).all()
        assert np.isfinite(column[:, 2:]).all()


def test_differences_that_are_all_alike_have_no_paired_test():
    """A token's own embedding differs between two words by the same in every sentence."""
    values, in_first, observation = sample(6, 6)
    values[in_first, 0] = values[~in_first, 0] + 2
    masks = exchanged(in_first, observation)
    assert np.isnan(compare_groups("paired", values, masks, observation, ROUNDING).p[:, 0]).all()
    assert np.isfinite(compare_groups("welch", values, masks, observation, ROUNDING).p[:, 0]).all()


def test_an_exchange_that_leaves_no_spread_stays_finite():
    values = np.zeros((8, 1))
    values[:4, 0] = [1, -1, 1, 1]
    in_first, observation = np.arange(8) < 4, np.tile(np.arange(4), 2)
    aligned = in_first ^ (observation == 1)
    found = compare_groups(
        "paired", values, np.array([in_first, aligned]), observation, np.array([1e-6])
    )
    assert np.isfinite(found.statistic).all()
    assert found.p[1, 0] < 1e-12


def test_fewer_than_two_rows_a_group_are_refused():
    with pytest.raises(ValueError, match="at least two rows"):
        compare_groups(
            "welch", np.zeros((3, 1)), np.array([[True, False, False]]), np.arange(3), np.ones(1)
        )


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(4).random((5, 40)) ** 3
    p[0, 3] = p[0, 9]
    expected = stats.false_discovery_control(p, axis=1, method="bh")
    np.testing.assert_allclose(correct_p(p, "benjamini_hochberg"), expected, rtol=1e-12)


def test_holm_and_bonferroni_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9])
    # 0.005 × 5, 0.01 × 4, 0.03 × 3, then no less: 0.04 × 2, and 0.9 × 1.
    np.testing.assert_allclose(correct_p(p, "holm"), [0.04, 0.09, 0.09, 0.025, 0.9])
    np.testing.assert_allclose(correct_p(p, "bonferroni"), [0.05, 0.2, 0.15, 0.025, 1])


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_what_has_no_test_is_not_counted(correction):
    p = np.array([0.3, 0.001, 0.02, 0.01, 0.6])
    with_gaps = np.array([np.nan, *p[:2], np.nan, *p[2:], np.nan])
    found = correct_p(with_gaps, correction)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(with_gaps))
    np.testing.assert_array_equal(found[~np.isnan(found)], correct_p(p, correction))
    assert np.isnan(correct_p(np.full(3, np.nan), correction)).all()


@pytest.mark.parametrize("paired", [True, False])
def test_limits_of_d_leave_a_fortieth_beyond(paired):
    d = np.array([-2.0, -0.1, 0, 0.4, 3, 60])
    n1, n2 = 12, 12 if paired else 20
    scale, df = (np.sqrt(12), 11) if paired else (np.sqrt(12 * 20 / 32), 30)
    low, high = cohens_d_interval(d, n1, n2, paired=paired)
    np.testing.assert_allclose(stats.nct.sf(d * scale, df, low * scale), 0.025, rtol=1e-3)
    np.testing.assert_allclose(stats.nct.cdf(d * scale, df, high * scale), 0.025, rtol=1e-3)


def test_limits_of_d_go_on_where_effects_are_huge():
    t = np.array([990.0, 1010, 1e7])
    low, high = cohens_d_interval(t / np.sqrt(50), 50, 50, paired=True)
    np.testing.assert_allclose(low / t, low[0] / t[0], rtol=1e-3)
    np.testing.assert_allclose(high / t, high[0] / t[0], rtol=1e-3)


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_d_cover_the_effect(paired):
    rng = np.random.default_rng(5)
    n, effect, trials = 10, 0.8, 4000
    values = rng.normal(size=(2 * n, trials))
    values[:n] += effect * (np.sqrt(2) if paired else 1)
    in_first, observation = np.arange(2 * n) < n, np.tile(np.arange(n), 2)
    test = "paired" if paired else "student"
    found = compare_groups(test, values, in_first[None], observation, np.full(trials, 1e-9))
    low, high = cohens_d_interval(found.d[0], n, n, paired=paired)
    covered = ((low <= effect) & (effect <= high)).mean()
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / trials))


def simulated(seed, neurons, tuned, pairs, common):
    """Pairs of sentences whose neurons share what each pair holds; the first ones are tuned."""
    rng = np.random.default_rng(seed)
    share = np.sqrt(common)
    differences = np.sqrt(1 - common) * rng.normal(size=(pairs, neurons))
    differences += share * rng.normal(size=(pairs, 1))
    differences[:, :tuned] += 1.0
    sentences = rng.normal(size=(pairs, neurons))
    return np.concatenate([sentences + differences, sentences])


@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("common", [0.0, 0.3])
def test_planted_neurons_are_found_at_the_nominal_false_discovery_rate(alpha, common):
    neurons, tuned, pairs, trials = 300, 40, 24, 200
    in_first, observation = np.arange(2 * pairs) < pairs, np.tile(np.arange(pairs), 2)
    false, power = np.empty(trials), np.empty(trials)
    for trial in range(trials):
        values = simulated(trial, neurons, tuned, pairs, common)
        found = compare_groups(
            "paired", values, in_first[None], observation, np.full(neurons, 1e-9)
        )
        chosen = correct_p(found.p[0], "benjamini_hochberg") < alpha
        false[trial] = chosen[tuned:].sum() / max(chosen.sum(), 1)
        power[trial] = chosen[:tuned].mean()
    assert false.mean() <= alpha + 3 * false.std() / np.sqrt(trials)
    assert power.mean() > 0.9


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_a_false_finding_is_as_rare_as_it_should_be(correction):
    neurons, pairs, trials = 200, 20, 300
    in_first, observation = np.arange(2 * pairs) < pairs, np.tile(np.arange(pairs), 2)
    any_found = np.empty(trials)
    for trial in range(trials):
        values = simulated(trial, neurons, 0, pairs, 0.0)
        found = compare_groups(
            "paired", values, in_first[None], observation, np.full(neurons, 1e-9)
        )
        any_found[trial] = (correct_p(found.p[0], correction) < 0.1).any()
    assert 0 < any_found.mean() <= 0.1 + 3 * np.sqrt(0.09 / trials)
