"""Sweeps that are killed, started again, or meet what others have found."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interp.cache import ActivationStore
from interp.tracking import Store

ROOT = Path(__file__).parents[2]
SWEEP = [
    *("-m", "model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19"),
    *("metric=cosine,linear_cka", "hook.layers=0,1,2"),
]


def start(outputs, *overrides):
    command = [sys.executable, "-m", "interp", f"outputs={outputs}", *overrides]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(outputs, *overrides):
    process = start(outputs, *overrides)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, said + errors
    return said


def runs_of(outputs):
    """The parents, and the runs of their jobs."""
    client = Store.of(str(outputs), None, 5000).client
    experiment = client.get_experiment_by_name("layer_similarity").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    jobs = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    return [run for run in runs if run not in jobs], jobs


def found(jobs):
    """What each job found, by its name."""
    finished = [run for run in jobs if run.info.status == "FINISHED"]
    assert len({run.info.run_name for run in finished}) == len(finished)
    return {run.info.run_name: run.data.metrics for run in finished}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("undisturbed")
    finish(outputs, *SWEEP)
    return outputs


def entries(outputs):
    store = ActivationStore.of(str(outputs), 50)
    assert all(checked.state == "sound" for checked in store.verify())
    return [entry for entry in store.entries() if entry.layers]


def test_one_job_reads_for_all(undisturbed):
    (entry,) = entries(undisturbed)
    assert entry.layers == (0, 1, 2)
    # Read job by job there would be as many chunks, each made in a pass of its own.
    written = {path.stat().st_mtime_ns // 10**9 for path in undisturbed.rglob("layer*.npy")}
    (parent,), jobs = runs_of(undisturbed)
    assert parent.info.status == "FINISHED"
    assert len(found(jobs)) == 6
    assert max(written) * 1000 <= min(run.info.end_time for run in jobs)


def test_a_sweep_that_was_killed_does_what_is_missing(undisturbed, tmp_path):
    rng = random.Random(0)
    for _ in range(20):
        process = start(tmp_path, *SWEEP)
        time.sleep(rng.uniform(0.2, 4))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    said = finish(tmp_path, *SWEEP)
    assert "6 of 6 jobs finished" in said
    (parent,), jobs = runs_of(tmp_path)
    assert parent.info.status == "FINISHED"
    assert found(jobs) == found(runs_of(undisturbed)[1])
    assert {run.info.status for run in jobs} <= {"FINISHED", "KILLED"}
    (entry,) = entries(tmp_path)
    assert entry.layers == (0, 1, 2)


def test_a_finished_sweep_is_not_run_again(undisturbed):
    before = runs_of(undisturbed)
    said = finish(undisturbed, *SWEEP)
    assert said.count("(known already)") == 6
    after = runs_of(undisturbed)
    assert [[run.info.run_id for run in runs] for runs in after] == [
        [run.info.run_id for run in runs] for runs in before
    ]
    anew = finish(undisturbed, *SWEEP, "rerun=true")
    assert "known already" not in anew
    parents, jobs = runs_of(undisturbed)
    assert len(parents) == len(before[0]) + 1
    assert len(jobs) == len(before[1]) + 6


def test_what_another_sweep_has_found_is_taken_over(undisturbed):
    said = finish(undisturbed, *SWEEP[:-2], "metric=cosine,rsa", "hook.layers=1")
    assert said.count("(known already)") == 1
    client = Store.of(str(undisturbed), None, 5000).client
    parents, jobs = runs_of(undisturbed)
    (parent,) = (run for run in parents if "rsa" in run.info.run_name)
    own = {
        run.data.params["metric.name"]: run
        for run in jobs
        if run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    }
    assert set(own) == {"cosine", "rsa"}
    copy = own["cosine"]
    (model,) = (run for run in jobs if run.info.run_id == copy.data.tags["reused"])
    assert copy.data.metrics == model.data.metrics
    assert copy.data.params == model.data.params
    for key in model.data.metrics:
        values = [
            [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
            for run in (copy, model)
        ]
        assert values[0] == values[1]
    artifacts = [
        sorted(file.path for file in client.list_artifacts(run.info.run_id, "figures"))
        for run in (copy, model)
    ]
    assert artifacts[0] == artifacts[1] != []


def test_a_run_is_not_computed_twice(tmp_path):
    given = ("model=tiny", "prompts.count=6", "analysis.permutations=19", "hook.layers=1")
    first = finish(tmp_path, *given)
    again = finish(tmp_path, *given)
    assert "An equal run found this on" in again
    assert "rerun=true computes it anew" in again
    assert [line for line in first.splitlines() if "closer" in line] == [
        line for line in again.splitlines() if "closer" in line
    ]
    assert len(runs_of(tmp_path)[0]) == 1
    assert len(list(tmp_path.glob("runs/*/*"))) == 1
    finish(tmp_path, *given, "rerun=true")
    finish(tmp_path, *given, "analysis.permutations=29")
    assert len(runs_of(tmp_path)[0]) == 3


def test_eight_processes_that_need_the_same_read_it_once(tmp_path):
    metrics = "cosine linear_cka rsa euclidean frobenius trace procrustes cca".split()
    given = ("model=tiny", "prompts.count=12", "analysis.permutations=19", "metric.components=3")
    processes = [
        start(tmp_path, *given[: 3 + (metric == "cca")], f"metric={metric}") for metric in metrics
    ]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, said
    parents, _ = runs_of(tmp_path)
    assert [run.info.status for run in parents] == ["FINISHED"] * 8
    (entry,) = entries(tmp_path)
    assert len(entry.made) == 1


def shown(outputs):
    """What the one sweep shows for each of its jobs: the last run of each number."""
    _, jobs = runs_of(outputs)
    latest = {}
    for run in sorted(jobs, key=lambda run: run.info.start_time):
        latest[run.data.tags["job"]] = run
    return {number: run.data.metrics["peak_value"] for number, run in sorted(latest.items())}


def test_a_sweep_shows_what_its_files_say_now(tmp_path):
    file = tmp_path / "prompts.csv"

    def write(words):
        rows = [f"a,{word} and so on\nb,{word} or so" for word in words]
        file.write_text("group,text\n" + "\n".join(rows) + "\n")

    given = ("-m", "model=tiny", "prompts=file", f"prompts.path={file}", "metric=cosine,euclidean")
    given = (*given, "hook=resid_post", "analysis.permutations=19")
    one, other = "one two three four five".split(), "red blue green black white".split()
    said = []
    for words in (one, other, one):
        write(words)
        finish(tmp_path / "outputs", *given)
        said.append(shown(tmp_path / "outputs"))
    assert said[0] != said[1]
    assert said[2] == said[0]
    assert len(runs_of(tmp_path / "outputs")[0]) == 1


def test_jobs_that_find_the_same_are_jobs_all_the_same(tmp_path):
    said = finish(tmp_path, *SWEEP[:-2], "metric=cosine", "model.device=cpu,auto", "hook.layers=1")
    assert "2 of 2 jobs finished" in said
    assert len(set(shown(tmp_path).values())) == 1


def test_a_run_without_its_files_is_run_again(tmp_path):
    given = ("model=tiny", "prompts.count=6", "analysis.permutations=19", "hook.layers=1")
    finish(tmp_path, *given)
    shutil.rmtree(tmp_path / "artifacts")
    assert "An equal run" not in finish(tmp_path, *given)
    assert "An equal run" in finish(tmp_path, *given)


def test_a_sweep_over_all_of_a_kind_and_one_of_a_preset_are_sweeps(tmp_path):
    (tmp_path / "experiment").mkdir()
    preset = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      hook.layers: 0,2\n"
    (tmp_path / "experiment" / "both.yaml").write_text(preset)
    # Results lie among the configurations, as in a folder of one's own.
    outputs = tmp_path / "found"
    options = ("--config-dir", str(tmp_path), *SWEEP[:-2], "experiment=both", "metric=glob(rsa*)")
    for known in (0, 2):
        said = finish(outputs, *options)
        assert "2 of 2 jobs finished" in said
        assert said.count("(known already)") == known
    (parent,), jobs = runs_of(outputs)
    assert parent.info.status == "FINISHED"
    assert len(jobs) == 2
    (entry,) = entries(outputs)
    assert entry.layers == (0, 2)
    assert len(entry.made) == 1


def test_a_sweep_reads_its_reference_once_for_all(tmp_path):
    finish(tmp_path, *SWEEP, "model@reference=tiny", "reference.seed=7", "reference_draws=2")
    # The model, and two draws of the reference.
    assert [(entry.layers, len(entry.made)) for entry in entries(tmp_path)] == [((0, 1, 2), 1)] * 3


def test_two_who_start_one_sweep_at_once_leave_each_others_jobs_alone(tmp_path):
    slow = ("analysis.permutations=20000", "prompts.count=60")
    processes = [start(tmp_path, *SWEEP, *slow) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    parents, jobs = runs_of(tmp_path)
    assert {run.info.status for run in (*parents, *jobs)} == {"FINISHED"}
