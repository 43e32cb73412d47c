"""A comparison of runs from their records: peaks, labels, sentences and figures."""

from io import StringIO

import numpy as np
import pytest

from interp.results.comparison import (
    RunRecord,
    Scope,
    describe_runs,
    difference_table,
    draw_comparison,
    find_differences,
    find_peaks,
    finite_series,
    label_runs,
    peak_table,
    shorten,
    summarise,
)
from interp.results.comparison.differences import describe_shared


def curve(values, label="mean cosine", *, over="layer", direction="greater", first=0, null=0.5):
    steps = range(first, first + len(values))
    at = dict(zip(steps, values, strict=True))
    beside = {}
    if null is not None:
        p = {step: 0.01 if abs(value - null) > 0.2 else 0.5 for step, value in at.items()}
        beside = {
            "null_mean": dict.fromkeys(steps, null),
            "null_low": dict.fromkeys(steps, null - 0.1),
            "null_high": dict.fromkeys(steps, null + 0.1),
            "p_corrected": p,
            "score": {step: value - null for step, value in at.items()},
        }
    return series("value", at, beside, label=label, direction=direction, axis=over)


def series(name, at, statistics, **fields):
    """A series as MLflow records it: `at` holds the values, `statistics` the others, by step."""
    axis = fields.setdefault("axis", "layer")
    given = {"name": name, "label": name, "direction": "two-sided", "alpha": 0.05} | fields
    given |= {"statistics": list(statistics), "undefined": {}}
    metrics = {f"{axis}/{name}_{key}": numbers for key, numbers in statistics.items()}
    return finite_series(given, {f"{axis}/{name}": at, **metrics})


def run(number, name, *curves, parent="sweep", **fields):
    given = {"status": "FINISHED", "null": "paired anew", "analysis": "layer_similarity"}
    return RunRecord(
        f"{number:08x}".ljust(32, "0"),
        parent,
        number,
        name,
        **(given | fields),
        tested=tuple(curves),
    )


def several(count, *, of=("mean cosine",)):
    """So many runs, job by job with another of the labels."""
    rng = np.random.default_rng(0)
    return [
        run(i, f"model{i // len(of)} · {of[i % len(of)]}", curve(rng.random(5), of[i % len(of)]))
        for i in range(count)
    ]


def shows(figure):
    """The panels of a figure of curves, without the axes that carry its titles."""
    return figure.axes[1:]


def lines_of(axes):
    """The curves of one panel: solid, and of more than one point."""
    return [line for line in axes.lines if line.get_linestyle() == "-"]


# --- records in, numbers out


def test_a_peak_is_the_largest_departure_in_the_direction_tested():
    values = [0.6, 0.9, 0.5, 0.05]
    for direction, layer in (("greater", 1), ("less", 3), ("two-sided", 3)):
        (peak,) = find_peaks(run(0, "a", curve(values, direction=direction)))
        assert (peak.step, peak.value) == (layer, values[layer])
        assert [peak.statistic(f"null_{x}") for x in ("mean", "low", "high")] == [0.5, 0.4, 0.6]
        assert peak.statistic("p_corrected") == 0.01
        assert peak.excess == pytest.approx({1: 0.4, 3: 0.45}[layer])


def test_a_series_without_a_null_has_no_peak_and_a_difference_is_compared_with_0():
    assert find_peaks(run(0, "a", curve([1, 2], null=None))) == ()
    signed = series("difference", {1: 2.0, 2: -3.0}, {"p_corrected": {1: 0.2, 2: 0.01}})
    (peak,) = find_peaks(run(0, "a", signed))
    assert (peak.step, peak.value) == (2, -3.0)
    table = peak_table([run(0, "a", signed)], ["a"])
    assert list(table) == ["", "run", "what", "layer", "value", "p (corrected)"]


def test_only_differing_parameters_are_listed_and_names_of_components_come_first():
    shared = {"seed": "0", "metric.name": "cosine", "metric.k": "5", "outputs": "a"}
    one = run(0, "a", params=shared)
    other = run(1, "b", params=shared | {"metric.k": "6", "metric.name": "rsa", "outputs": "b"})
    assert find_differences([one, other]) == {
        "metric.name": ["cosine", "rsa"],
        "metric.k": ["5", "6"],
    }
    table = difference_table([one, other], ["a", "b"])
    assert list(table["parameter"]) == ["metric.name", "metric.k"]
    assert list(table["b"]) == ["rsa", "6"]


def test_labels_distinguish_runs_of_any_origin():
    def alone(number, model, **params):
        return run(number, "the same name", parent="", model=model, params=params)

    by_model = [alone(0, "gpt2", **{"model.name": "hub"}), alone(1, "t5", **{"model.name": "path"})]
    assert label_runs(by_model) == [("gpt2",), ("t5",)]
    by_seed = [alone(i, "gpt2", **{"model.seed": str(i)}) for i in (0, 1)]
    assert label_runs(by_seed) == [("seed=0",), ("seed=1",)]
    equal = [alone(i, "gpt2") for i in (0, 1)]
    assert label_runs(equal) == [("00000000",), ("00000001",)]
    # Jobs of one sweep have their names; what all of them share is left out.
    jobs = [run(i, f"tiny · {metric}") for i, metric in enumerate(("cosine", "rsa"))]
    assert label_runs(jobs) == [("cosine",), ("rsa",)]


# --- words


def test_the_description_names_every_job_that_did_not_finish_and_why():
    records = [
        run(0, "a", curve([0.9, 0.5])),
        *(run(i, f"job {i}", status="FAILED", error="no target is marked") for i in (1, 2)),
        run(3, "c", status="KILLED", error="the job's process ended before the job"),
        run(4, "d", status="RUNNING"),
    ]
    text = describe_runs(records, [r.name for r in records], Scope("a sweep", 6, ("seed=5",)))
    assert text.startswith(
        "A sweep: 1 of 6 finished, 2 failed, 1 killed, 1 running, 1 not begun.\n"
    )
    assert "- **job 1**, **job 2**: no target is marked\n" in text
    assert "- **c**: the job's process ended before the job\n" in text
    assert "- **d**\n" in text
    assert "- seed=5\n" in text
    cut = shorten(text, 200)
    assert len(cut) <= 200
    assert cut.endswith("finding.md among the artifacts has the rest.\n")
    assert text.startswith(cut.partition("\n\n…")[0])


def test_the_summary_counts_significant_runs_and_names_the_largest_departure():
    records = [run(0, "a", curve([0.9, 0.5])), run(1, "b", curve([0.55, 0.6]))]
    said = summarise(records, ["a", "b"])
    assert said == [
        "In 1 of 2 runs something differs from chance (corrected p < 0.05).",
        "Mean cosine is furthest beyond its null in “a” (layer 0: 0.9, null 0.5 [0.4, 0.6], "
        "corrected p = 0.01), and least far in “b” (layer 1: 0.6, null 0.5 [0.4, 0.6], "
        "corrected p = 0.5).",
    ]


# --- figures


@pytest.mark.parametrize(
    ("records", "panels", "curves"),
    [
        (several(1), 1, 1),
        (several(2), 1, 2),
        (several(4, of=("mean cosine", "linear CKA")), 2, 2),
        # More bands than can be told apart: a panel a run.
        (several(12), 12, 1),
        (several(27, of=[f"metric {i}" for i in range(27)]), 27, 1),
        (several(48, of=("one", "two", "three", "four")), 48, 1),
    ],
)
def test_there_is_one_curve_per_run_with_its_band_and_its_marks(records, panels, curves):
    drawn = draw_comparison(records, label_runs(records), "a sweep", len(records))
    assert set(drawn) == {"curves", "calibrated_scores"}
    axes = shows(drawn["curves"])
    assert len(axes) == panels
    found = []
    for panel in axes:
        coloured = [line for line in lines_of(panel) if line.get_color() != "#C4C4C4"]
        assert len(coloured) == curves
        assert len(panel.collections) == curves
        found += [line.get_ydata().tolist() for line in coloured]
        # Runs behind one that is shown are in one piece.
        assert len(lines_of(panel)) - curves == (panels == len(records) > 4 and panels != 27)
    assert sorted(found) == sorted(record.tested[0].values.tolist() for record in records)
    scores = [image for a in drawn["calibrated_scores"].axes for image in a.get_images()]
    np.testing.assert_allclose(
        scores[0].get_array(), [record.tested[0].score for record in records]
    )


def test_filled_marks_are_where_the_corrected_p_is_small():
    (axes,) = shows(draw_comparison(several(1), [("a",)], "", 1)["curves"])
    filled, open_ = (line for line in axes.lines if line.get_linestyle() == "None")
    values = several(1)[0].tested[0].values
    assert filled.get_ydata().tolist() == values[np.abs(values - 0.5) > 0.2].tolist()
    assert open_.get_ydata().tolist() == values[np.abs(values - 0.5) <= 0.2].tolist()


def test_values_are_tabulated_without_scores_and_a_logarithmic_scale_is_used_where_given():
    untested = [run(i, f"m{i}", curve([0.1 * i, 0.2], null=None)) for i in range(3)]
    drawn = draw_comparison(untested, label_runs(untested), "", 5)
    assert set(drawn) == {"curves", "values"}
    assert drawn["curves"].axes[0].get_title(loc="left").endswith("in 3 of 5 runs")
    loss = series("test_loss", {0: 4.7, 200: 0.0}, {}, axis="epoch", scale="log")
    trained = [run(i, f"m{i}", loss) for i in range(2)]
    (axes,) = shows(draw_comparison(trained, label_runs(trained), "", 2)["training"])
    assert axes.get_yscale() == "log"
    # 0 has no place on a logarithmic axis.
    assert lines_of(axes)[0].get_ydata().tolist() == [4.7, 1e-10]


@pytest.mark.parametrize("infinite", [np.inf, 1.7976931348623157e308])
def test_an_infinite_loss_leaves_a_gap_and_one_that_always_is_draws_nothing(infinite):
    how = {"axis": "epoch", "scale": "log"}
    values, means = {0: 4.0, 1: infinite, 2: 1e199}, {0: 3.0, 1: 0.0}
    diverged = series("loss", values, {"null_mean": means}, **how)
    never, means = {0: infinite, 1: -infinite}, {0: infinite, 1: 1.0}
    lost = series("loss", never, {"null_mean": means}, **how)
    records = [run(0, "a", diverged), run(1, "b", lost), run(2, "c", curve([0.9, 0.1]))]
    np.testing.assert_array_equal(diverged.values, [4.0, np.nan, 1e199])
    (peak,) = find_peaks(records[0])
    assert (peak.step, peak.value) == (0, 4.0)
    assert find_peaks(records[1]) == ()
    assert list(peak_table(records, ["a", "b", "c"])["run"]) == ["a", "c"]
    assert describe_runs(records, ["a", "b", "c"], Scope("a sweep", 3))
    drawn = draw_comparison(records, label_runs(records), "a sweep", 3)
    (axes,) = shows(drawn["training"])
    (line,) = lines_of(axes)
    np.testing.assert_array_equal(line.get_ydata(), diverged.values)
    for figure in drawn.values():
        figure.savefig(StringIO(), format="svg")
    assert set(draw_comparison(records[1:2], [("b",)], "", 1)) == set()
    # Linear axes and tables of values stand as much.
    far = [run(i, f"m{i}", curve([-1e199, 1e200, infinite], null=None)) for i in range(2)]
    for figure in draw_comparison(far, label_runs(far), "", 2).values():
        figure.savefig(StringIO(), format="svg")


def test_runs_of_one_layer_each_have_their_null_as_a_bar():
    records = [run(i, f"layers={i}", curve([0.9 - i / 4], first=i)) for i in range(3)]
    (axes,) = shows(draw_comparison(records, label_runs(records), "", 3)["curves"])
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.2] * 3)
    assert axes.get_xlim()[0] <= -0.15
    assert axes.get_xlim()[1] >= 2.15


def test_a_figure_names_what_all_runs_share():
    same = {"prompts": "a / b", "site": "hidden_states", "params": {"position.name": "mean"}}
    both = [run(0, "x", model="one", **same), run(1, "y", model="other", **same)]
    assert describe_shared(both) == "a / b · hidden_states, mean"
    assert describe_shared(both[:1]) == "one · a / b · hidden_states, mean"
    assert describe_shared([run(0, "bare")]) == ""
