"""Runs side by side: what a sweep's parent shows, and `interp compare`, against MLflow's client."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from interp.cli import sweep_comparison
from interp.cli.main import main
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
from interp.tracking import Store, Sweep
from interp.tracking.runs import read_jobs
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
SMALL = ["model=tiny", "prompts.count=6", "analysis.permutations=19"]
# Four jobs of which two fail, with a paired and an unpaired metric.
SWEEP = ["-m", *SMALL, "metric=cosine,singular_values", "position=mean,target"]


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


def test_a_peak_is_where_the_value_departs_in_the_direction_that_is_tested():
    values = [0.6, 0.9, 0.5, 0.05]
    for direction, layer in (("greater", 1), ("less", 3), ("two-sided", 3)):
        (peak,) = find_peaks(run(0, "a", curve(values, direction=direction)))
        assert (peak.step, peak.value) == (layer, values[layer])
        assert [peak.statistic(f"null_{x}") for x in ("mean", "low", "high")] == [0.5, 0.4, 0.6]
        assert peak.statistic("p_corrected") == 0.01
        assert peak.excess == pytest.approx({1: 0.4, 3: 0.45}[layer])


def test_what_is_held_against_nothing_has_no_peak_and_a_difference_is_held_against_0():
    assert find_peaks(run(0, "a", curve([1, 2], null=None))) == ()
    signed = series("difference", {1: 2.0, 2: -3.0}, {"p_corrected": {1: 0.2, 2: 0.01}})
    (peak,) = find_peaks(run(0, "a", signed))
    assert (peak.step, peak.value) == (2, -3.0)
    table = peak_table([run(0, "a", signed)], ["a"])
    assert list(table) == ["", "run", "what", "layer", "value", "p (corrected)"]


def test_only_what_differs_is_told_and_names_of_components_come_first():
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


def test_runs_of_any_origin_are_told_apart():
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


def test_the_words_say_in_how_many_runs_and_where_most():
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
def test_there_is_one_curve_a_run_with_its_band_and_its_marks(records, panels, curves):
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


def test_what_has_no_score_is_a_table_of_values_and_epochs_are_logarithmic_where_they_say_so():
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
def test_a_loss_that_is_infinite_leaves_a_gap_and_one_that_always_is_draws_nothing(infinite):
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


# --- what a sweep leaves, and what is read of it


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of four jobs of which two fail, a single run, and one of another question."""
    outputs = tmp_path_factory.mktemp("swept") / "outputs"

    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.chdir(outputs.parent)
        for status, given in ((1, SWEEP), (None, [*SMALL, "metric=rsa"])):
            patch.setattr(sys, "argv", ["interp", *given])
            with nullcontext() if status is None else pytest.raises(SystemExit):
                main()
    # All that is left is what MLflow keeps.
    for kept in ("sweeps", "runs"):
        shutil.rmtree(outputs / kept)
    return outputs, said.getvalue().partition("page ")[0]


@pytest.fixture
def interp(swept, monkeypatch, command_line, tmp_path):
    monkeypatch.chdir(tmp_path)
    outputs, _ = swept
    return lambda *arguments: command_line("compare", f"outputs={outputs}", *arguments)


def runs_of(outputs):
    client = Store.of(str(outputs), None, 5000).client
    found = client.search_runs(["1"])
    (parent,) = (r for r in found if "sweep" in r.data.tags)
    children = {r.info.run_name: r for r in found if "mlflow.parentRunId" in r.data.tags}
    (single,) = (r for r in found if r not in (parent, *children.values()))
    return client, parent, children, single


def history(client, run, key):
    return {m.step: m.value for m in client.get_metric_history(run.info.run_id, key)}


def peak_by_hand(client, child):
    """Where a run is above its null by most, from the client alone."""
    values = history(client, child, "layer/value")
    means = history(client, child, "layer/value_null_mean")
    layer = max(values, key=lambda at: values[at] - means[at])
    others = ("null_low", "null_high", "p_corrected", "score")
    beside = [history(client, child, f"layer/value_{name}")[layer] for name in others]
    return [layer, values[layer], means[layer], *beside]


def test_the_parent_shows_peaks_figures_and_words(swept):
    outputs, _ = swept
    client, parent, children, _ = runs_of(outputs)
    note = parent.data.tags["mlflow.note.content"]
    assert "2 of 4 finished, 2 failed." in note
    for name in ("cosine · target", "singular_values · target"):
        assert f"**{name}**" in note.partition("**Results**")[0]
    assert "position: no target is marked in '1 2 3 4'" in note
    run_id = parent.info.run_id
    assert Path(client.download_artifacts(run_id, "finding.md")).read_text() == note
    files = {file.path for file in client.list_artifacts(run_id, "figures")}
    names = ("curves", "calibrated_scores")
    assert files == {f"figures/{name}.{end}" for name in names for end in ("png", "svg")}
    table = pd.read_csv(client.download_artifacts(run_id, "tables/peaks.csv"))
    assert list(table["run"]) == ["cosine", "singular_values"]
    assert [*table["what"]] == ["mean cosine", "relative distance between singular values"]
    columns = ["layer", "value", "null mean", "null low", "null high", "p (corrected)", "score"]
    # Pairs are tested for closeness and spectra for distance: both above their null.
    for row, name in zip(table.to_dict("records"), ("cosine", "singular_values"), strict=True):
        np.testing.assert_allclose(
            [row[key] for key in columns], peak_by_hand(client, children[f"{name} · mean"])
        )


def test_the_printed_report_is_short_and_has_the_peaks(swept):
    _, out = swept
    assert "2 of 4 jobs finished" in out
    assert re.search(r"run +what +layer +value +null mean +null \(95%\)", out)
    after = out.partition("jobs finished")[2].strip().splitlines()
    assert len(after) <= 10


def test_compare_prints_differences_peaks_and_a_link_without_the_folders(interp, swept):
    outputs, _ = swept
    _, parent, children, _ = runs_of(outputs)
    status, out, err = interp()
    assert status == 0
    places = [out.index(said) for said in ("configurations differ", "null (95%)", "In ", "figure ")]
    assert places == sorted(places)
    assert re.search(r"metric\.name +cosine +singular_values", out)
    assert f"viewStateShareKey={parent.info.run_id}&" in out
    for name in ("cosine · target", "singular_values · target"):
        assert f"{children[name].info.run_id[:8]}  {name}: FAILED: position: no target" in err
    printed = re.findall(r"^(?:figure|words) +(\S+)$", out, re.M)
    assert [Path(file).name for file in printed] == [
        "calibrated_scores.png",
        "curves.png",
        "finding.md",
    ]
    assert all(Path(file).stat().st_size for file in printed)
    assert all(str(outputs / "comparisons") in file for file in printed)


def test_runs_are_found_by_id_by_its_beginning_and_by_name(interp, swept):
    _, _, children, single = runs_of(swept[0])
    one = children["cosine · mean"].info.run_id
    status, out, _ = interp(one[:8], single.info.run_name)
    assert status == 0
    assert "2 of 2 runs are finished" in out
    assert re.search(r"metric\.name +cosine +rsa", out)
    listed = f"attributes.run_id%20IN%20%28%27{one}%27%2C%20%27{single.info.run_id}%27%29"
    assert listed in out
    # The parent stands for its jobs.
    _, whole, _ = interp(runs_of(swept[0])[1].info.run_id)
    assert "2 of 4 runs are finished" in whole


def test_what_cannot_be_compared_is_told_in_one_line(interp, swept, tmp_path):
    client, _, children, _ = runs_of(swept[0])
    again = client.create_run("1", run_name="cosine · mean")
    client.set_terminated(again.info.run_id, "FAILED")
    for given, said in (
        (["cosine · mea"], "there is no run 'cosine · mea': expected a name, or at least 6 digits"),
        (["cosine · mea"], "did you mean 'cosine · mean'?"),
        (["cosine · mean"], "'cosine · mean' is 2 runs: "),
        (["tracking.ur=x"], "there is no 'tracking.ur'; did you mean 'tracking.uri'?"),
        (["outputs="], "outputs needs a folder"),
        ([f"outputs={tmp_path}"], "nothing has been logged to"),
    ):
        status, out, err = interp(*given)
        assert (status, out) == (1, "")
        (line,) = err.strip().splitlines()
        assert line.startswith("interp: ")
        assert said in line
    # A run that did not finish is listed, and there is nothing to draw of it alone.
    status, out, err = interp(again.info.run_id)
    assert status == 1
    assert "0 of 1 runs are finished" in out
    assert "FAILED" in err
    other = client.create_run("1", run_name="turns", tags={"analysis": "rotation"})
    client.set_terminated(other.info.run_id, "FINISHED")
    status, _, err = interp(other.info.run_id, children["cosine · mean"].info.run_id)
    assert status == 1
    assert "runs of one analysis can be held against each other, not of 2 (rotation: " in err
    for made in (again, other):
        client.delete_run(made.info.run_id)


def test_figures_of_an_earlier_comparison_go_and_what_is_not_compares_own_stays(interp, swept):
    outputs, _ = swept
    folder = outputs / "comparisons" / runs_of(outputs)[1].info.run_id[:12]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "figures" / "training.png").touch()
    (folder / "mine.txt").touch()
    status, out, _ = interp()
    assert status == 0
    assert "training.png" not in out
    assert {file.stem for file in (folder / "figures").iterdir()} == {"curves", "calibrated_scores"}
    assert (folder / "mine.txt").exists()


def test_compare_says_how_many_jobs_wait_to_be_sent(interp, swept):
    outputs, _ = swept
    parent = runs_of(outputs)[1].info.run_id
    uri = Store.of(str(outputs), None, 5000).uri
    waiting = outputs / ".unsent" / "0-job"
    waiting.mkdir(parents=True)
    about = {"uri": uri, "run_id": "", "parent": parent}
    (waiting / "run.json").write_text(json.dumps(about))
    try:
        _, out, _ = interp()
    finally:
        shutil.rmtree(waiting)
    assert re.search(r"^1 result waits in \S+\.unsent and is sent on the next start$", out, re.M)
    _, out, _ = interp()
    assert "unsent" not in out


@pytest.mark.parametrize("verb", ["compare", "ui"])
def test_a_store_that_does_not_answer_is_told_in_one_line(verb, swept, monkeypatch, command_line):
    def locked(*_, **__):
        raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(MlflowClient, "search_runs", locked)
    given = (verb, f"outputs={swept[0]}", f"tracking.port={free_port()}")
    status, out, err = command_line(*given)
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert re.fullmatch(r"interp: .* does not answer: .*database is locked", line)


def test_compare_imports_no_torch(swept):
    code = (
        "import sys; from interp.cli.main import CONF; "
        "from interp.cli import compare; "
        f"compare.serve(str(CONF), ['outputs={swept[0]}']); print('loaded', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.rpartition("loaded ")[2].split())
    assert "matplotlib" in loaded
    assert not {"torch", "transformers"} & loaded


# --- refreshed while the jobs end


def aged(store, parent):
    """As if the last refresh had been long ago."""
    path = store.outputs / ".sweeps" / f"{parent}.comparison.json"
    path.write_text('{"at": 0, "took": 1}')


def test_a_refresh_waits_its_time_leaves_others_alone_and_ends_with_the_sweep(
    swept, tmp_path, monkeypatch
):
    def refuse(*_):
        raise MlflowException("refused")

    outputs = tmp_path / "outputs"
    store = Store.of(str(outputs), None, 5000)
    sweep = Sweep.begin(store, "trial", ["metric=cosine,rsa"], "", rerun=True)
    client, jobs = store.client, ["cosine", "rsa"]
    child = client.create_run(
        store.experiment_id("trial"),
        tags={"mlflow.parentRunId": sweep.run_id, "job": "0"},
        run_name="cosine",
    )

    def note():
        return client.get_run(sweep.run_id).data.tags.get("mlflow.note.content", "")

    # Nobody has begun it, or it has just begun.
    assert not sweep_comparison.refresh(store, sweep.run_id, jobs)
    sweep_comparison.begin(store, sweep.run_id)
    assert not sweep_comparison.refresh(store, sweep.run_id, jobs)
    aged(store, sweep.run_id)
    with FileLock(outputs / ".sweeps" / f"{sweep.run_id}.comparison.lock"):
        held = (
            "from interp.tracking import Store; from interp.cli import comparison; "
            f"store = Store.of({str(outputs)!r}, None, 5000); "
            f"print(sweep_comparison.refresh(store, {sweep.run_id!r}, []))"
        )
        other = subprocess.run(
            [sys.executable, "-c", held], capture_output=True, text=True, check=True, cwd=ROOT
        )
    assert other.stdout == "False\n"
    assert note() == ""
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "log_comparison", refuse)
        with pytest.raises(MlflowException, match="refused"):
            sweep_comparison.refresh(store, sweep.run_id, jobs)
    # It is not tried again at once.
    assert not sweep_comparison.refresh(store, sweep.run_id, jobs)
    aged(store, sweep.run_id)
    assert sweep_comparison.refresh(store, sweep.run_id, jobs)
    assert "0 of 2 finished, 1 running, 1 not begun." in note()
    assert "- rsa" in note()
    # It was just done.
    assert not sweep_comparison.refresh(store, sweep.run_id, jobs)
    client.set_terminated(child.info.run_id, "FINISHED")
    sweep_comparison.complete(sweep, read_jobs(store, sweep.run_id), jobs, tmp_path / "shown")
    assert "1 of 2 finished, 1 not begun." in note()
    assert (tmp_path / "shown" / "finding.md").read_text() == note()
    aged_after = store.outputs / ".sweeps" / f"{sweep.run_id}.comparison.json"
    assert not aged_after.exists()


def test_what_is_shown_already_is_not_drawn_again(swept, tmp_path, monkeypatch):
    outputs, _ = swept
    _, parent, _, _ = runs_of(outputs)
    store = Store.of(str(outputs), None, 5000)
    sweep, records = Sweep(store, parent.info.run_id), read_jobs(store, parent.info.run_id)

    def drawn(*_, **__):
        raise AssertionError("drawn again")

    monkeypatch.setattr(sweep_comparison, "write", drawn)
    names = ["cosine · mean", "cosine · target", "singular_values · mean", "s · target"]
    sweep_comparison.complete(sweep, records, names, tmp_path)
    assert (tmp_path / "figures" / "curves.png").is_file()
    with pytest.raises(AssertionError, match="drawn again"):
        sweep_comparison.complete(sweep, records[:3], names, tmp_path)


def test_a_figure_says_what_all_runs_have_in_common():
    same = {"prompts": "a / b", "site": "hidden_states", "params": {"position.name": "mean"}}
    both = [run(0, "x", model="one", **same), run(1, "y", model="other", **same)]
    assert describe_shared(both) == "a / b · hidden_states, mean"
    assert describe_shared(both[:1]) == "one · a / b · hidden_states, mean"
    assert describe_shared([run(0, "bare")]) == ""
