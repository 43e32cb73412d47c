import numpy as np
import pytest

from interp.stats.permutation_tests import permutation_test
from interp.stats.tested_series import STATISTICS, TestedSeries


def test_a_series_from_a_test_has_its_statistics_and_significant_steps():
    observed = np.array([0.0, 5.0])
    test = permutation_test(observed, np.random.default_rng(0).normal(size=(2, 199)), "greater")
    series = TestedSeries.from_test("value", "cosine", (2, 7), observed, test, direction="greater")
    assert list(series.statistics) == [
        "null_mean",
        "null_low",
        "null_high",
        "z",
        "p",
        "p_corrected",
    ]
    assert list(series.metrics)[:2] == ["layer/value", "layer/value_null_mean"]
    np.testing.assert_array_equal(series.metrics["layer/value_p_corrected"], test.p_corrected)
    assert series.significant.tolist() == [False, True]
    assert series.peak == 1


@pytest.mark.parametrize(
    ("direction", "excess", "peak"),
    [("greater", [1, -4], 0), ("less", [-1, 4], 1), ("two-sided", [1, 4], 1)],
)
def test_the_excess_is_signed_by_the_direction_tested(direction, excess, peak):
    mean = np.array([1.0, 1.0])
    series = TestedSeries(
        "x", "x", (0, 1), np.array([2.0, -3.0]), null_mean=mean, direction=direction
    )
    assert series.excess.tolist() == excess
    assert series.peak == peak


def test_a_series_without_a_null_is_compared_with_0_and_has_no_significant_step():
    series = TestedSeries("x", "x", (0, 1), np.array([2.0, -3.0]))
    assert series.excess.tolist() == [2, 3]
    assert not series.is_tested
    assert not series.significant.any()
    assert series.statistics == {}


def test_an_undefined_step_has_a_reason_and_is_never_the_peak():
    values = np.array([np.nan, 1.0, 3.0])
    series = TestedSeries("x", "x", (0, 1, 2), values, undefined={0: "one prompt"})
    assert series.peak == 2
    with pytest.raises(ValueError, match="x is nan at layer 0, for no reason"):
        TestedSeries("x", "x", (0, 1, 2), values)
    nothing = TestedSeries("x", "x", (0,), values[:1], undefined={0: "one prompt"})
    with pytest.raises(ValueError, match="All-NaN"):
        nothing.peak  # noqa: B018


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": (1, 0)}, "must ascend"),
        ({"steps": (0, 0)}, "must ascend"),
        ({"p": np.zeros(3)}, r"p of x must be \[2\]"),
        ({"direction": "up"}, "direction must be one of"),
        ({"axis": "token"}, "axis must be one of"),
        ({"scale": "linlog"}, "scale must be one of"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        TestedSeries(**{"name": "x", "label": "x", "steps": (0, 1), "values": [1.0, 2.0]} | fields)


def test_specification_and_numbers_make_the_series_again():
    rng = np.random.default_rng(0)
    numbers = {name: np.array([*rng.random(2), np.nan]) for name in STATISTICS}
    series = TestedSeries(
        "loss",
        "test loss (nats)",
        (0, 100, 200),
        np.array([*rng.random(2), np.nan]),
        **numbers,
        direction="less",
        alpha=0.01,
        axis="epoch",
        scale="log",
        n_permutations=99,
        undefined={200: "diverged"},
    )
    metrics = {
        key: {s: v for s, v in zip(series.steps, values.tolist(), strict=True) if np.isfinite(v)}
        for key, values in series.metrics.items()
    }
    again = TestedSeries.from_metrics(series.specification(), metrics)
    assert again.specification() == series.specification()
    assert again.steps == series.steps
    for key, values in series.metrics.items():
        np.testing.assert_array_equal(again.metrics[key], values)


def test_a_number_that_was_not_recorded_is_undefined():
    series = TestedSeries("x", "x", (0, 1), np.array([1.0, 2.0]), p=np.array([0.5, 0.1]))
    metrics = {"layer/x": {0: 1.0, 1: float("nan")}, "layer/x_p": {0: 0.5}}
    again = TestedSeries.from_metrics(series.specification(), metrics)
    assert again.undefined == {1: "no number was recorded"}
    np.testing.assert_array_equal(again.statistics["p"], [0.5, np.nan])
