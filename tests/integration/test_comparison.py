"""The comparison on a sweep's parent run and `interp compare`, checked by MLflow's client."""

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
from interp.tracking import Store, Sweep
from interp.tracking.runs import read_jobs
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
SMALL = ["model=tiny", "prompts.count=6", "analysis.permutations=19"]
# Four jobs of which two fail, with a paired and an unpaired metric.
SWEEP = ["-m", *SMALL, "metric=cosine,singular_values", "position=mean,target"]


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


def test_the_parent_shows_peaks_figures_and_sentences(swept):
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


def test_runs_that_cannot_be_compared_are_refused_in_one_line(interp, swept, tmp_path):
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
    assert "only runs of one analysis can be compared, not of 2 (rotation: " in err
    for made in (again, other):
        client.delete_run(made.info.run_id)


def test_figures_of_an_earlier_comparison_are_removed_and_other_files_stay(interp, swept):
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


def test_compare_reports_how_many_jobs_wait_to_be_sent(interp, swept):
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
def test_a_store_that_does_not_answer_is_reported_in_one_line(
    verb, swept, monkeypatch, command_line
):
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
        "from interp.cli.commands import compare; "
        f"compare.serve(CONF, ['outputs={swept[0]}']); print('loaded', *sys.modules)"
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


def test_a_refresh_is_rare_skips_other_sweeps_and_ends_with_its_own(swept, tmp_path, monkeypatch):
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
            "from interp.tracking import Store; from interp.cli import sweep_comparison; "
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


def test_a_comparison_that_exists_is_not_drawn_again(swept, tmp_path, monkeypatch):
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
