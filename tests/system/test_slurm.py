"""A sweep as one array of a real Slurm of one node: what fails, what is killed, what goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from interp.cache import ActivationStore
from interp.cache.request import Request
from interp.cli.main import CONF
from interp.runner.build import build
from interp.tracking import Store

ROOT = Path(__file__).parents[2]
SMALL = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")
# Of the tiny model's layers 0 to 3.
SIX = ("-m", *SMALL, "hook.layers=0,1,2,3,9,[0,3]")
ON_SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1")
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
MISSING = [name for name in NEEDED if not shutil.which(name)]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs munge and slurm-wlm: no {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd runs as root"),
]


@pytest.fixture(scope="module")
def slurm():
    """The environment in which Slurm's commands and `interp` find a Slurm of this machine alone."""
    command = [str(ROOT / "tests" / "slurm.sh"), "sh", "-c", 'echo "$SLURM_CONF"; cat']
    # It ends with its input, whatever becomes of the tests.
    cluster = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if not (settings := cluster.stdout.readline().strip()):
            pytest.fail(f"Slurm does not start: {cluster.communicate(timeout=60)[1]}")
        yield {**os.environ, "SLURM_CONF": settings}
    finally:
        cluster.communicate(timeout=60)
    assert not Path(settings).exists()


@pytest.fixture
def start(slurm, tmp_path):
    """Start the command line on Slurm; what a failed test leaves running is ended."""
    launched = []

    def begin(*overrides):
        command = [sys.executable, "-m", "interp", *overrides, *ON_SLURM]
        process = subprocess.Popen(
            [*command, f"outputs={tmp_path}"],
            cwd=ROOT,
            env=slurm,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell has started in the background ignores Ctrl-C, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            start_new_session=True,
        )
        launched.append(process)
        return process

    yield begin
    for process in launched:
        process.kill()
        process.wait()
    subprocess.run(["scancel", "--user=root"], env=slurm, check=True)


@contextmanager
def held_up(outputs):
    """Keep whoever needs the tiny model's activations waiting: another process reads them."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        e = build(compose("config", overrides=list(SMALL)))
    request = Request(e.source, e.prompts, e.hook, e.position)
    store = ActivationStore.of(str(outputs), 50)
    with store.computing(request.of_model, "held by a test"):
        yield


def job_that_waits(outputs, sweep):
    """The number that the array's first job has in Slurm, once it waits for activations."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and sweep.poll() is None:
        for log in outputs.glob("sweeps/*/*/logs/*_0/*_log.err"):
            if "waiting for" in log.read_text():
                return log.parent.name
        time.sleep(0.3)
    pytest.fail(f"the first job never waited; the sweep ended with {sweep.poll()}")


def worker_of(job):
    """The process of a job, which Slurm tells who it is."""
    array, _, task = job.partition("_")
    who = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            told = set((process / "environ").read_bytes().split(b"\0"))
            if who <= told and b"submitit.core._submit" in command and b"srun" not in command[0]:
                return int(process.name)
    raise AssertionError(f"{job} has no process")


def recorded(outputs):
    """The parent, and the status and reason of each job's runs in the order of their beginning."""
    client = Store.of(str(outputs), None, 5000).client
    experiment = client.get_experiment_by_name("layer_similarity").experiment_id
    runs = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    jobs = {}
    for run in runs:
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id:
            jobs.setdefault(run.info.run_name, []).append(run)
    return parent, jobs


def statuses(jobs):
    return {name: [run.info.status for run in runs] for name, runs in jobs.items()}


def test_an_array_of_six_of_which_one_fails_and_one_is_killed(start, tmp_path):
    with held_up(tmp_path):
        sweep = start(*SIX)
        first = job_that_waits(tmp_path, sweep)
        os.kill(worker_of(first), signal.SIGKILL)
    out, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 1, out + err
    started = r"^6 jobs submitted to Slurm as \d+; their output goes to \S+/logs$"
    assert re.search(started, err, re.M)
    assert "[6 of 6 ended, 2 failed]" in err, err
    assert re.search(
        r"^0  layers=0: KILLED: Slurm: failed, exit code 137; its log ends: .+: Killed$", err, re.M
    ), err
    assert "4  layers=9: FAILED: hook.layers: no layer 9; hidden_states has layers 0 to 3" in err
    assert "4 of 6 jobs finished" in out
    parent, jobs = recorded(tmp_path)
    assert parent.info.status == "FAILED"
    good = ["layers=1", "layers=2", "layers=3", "layers=[0,3]"]
    expected = {"layers=0": ["KILLED"], "layers=9": ["FAILED"]} | {n: ["FINISHED"] for n in good}
    assert statuses(jobs) == expected
    # All of them had ended when the parent was closed.
    assert parent.info.end_time >= max(runs[-1].info.end_time for runs in jobs.values())

    # Six processes needed them: one pass read the layers of all.
    read = [entry for entry in ActivationStore.of(str(tmp_path), 50).entries() if entry.layers]
    assert [(entry.layers, len(entry.made)) for entry in read] == [((0, 1, 2, 3), 1)]

    again = start(*SIX)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 1, out + err
    assert err.count("(known already)") == 4
    assert "5 of 6 jobs finished" in out
    same, jobs = recorded(tmp_path)
    assert same.info.run_id == parent.info.run_id
    assert statuses(jobs) == {
        **expected,
        "layers=0": ["KILLED", "FINISHED"],
        "layers=9": ["FAILED", "FAILED"],
    }


def test_an_interrupted_array_is_cancelled(slurm, start, tmp_path):
    with held_up(tmp_path):
        sweep = start("-m", *SMALL, "hook.layers=0,1")
        array = job_that_waits(tmp_path, sweep).partition("_")[0]
        sweep.send_signal(signal.SIGINT)
        out, err = sweep.communicate(timeout=100)
    assert sweep.returncode == 1, out + err
    assert "cancelling the 2 jobs that have not ended" in err
    asked = ["squeue", "--noheader", f"--jobs={array}"]
    assert subprocess.run(asked, env=slurm, capture_output=True, text=True).stdout == ""
    parent, jobs = recorded(tmp_path)
    assert parent.info.status == "FAILED"
    assert {status for runs in statuses(jobs).values() for status in runs} == {"KILLED"}


def test_what_slurm_refuses_is_told_in_one_line(start):
    wrong = ("hydra.launcher.partition=nowhere", "hook.layers=0,1")
    sweep = start("-m", *SMALL, *wrong)
    out, err = sweep.communicate(timeout=100)
    assert (sweep.returncode, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("interp: hydra/launcher: the jobs were refused: sbatch: error: ")
    assert "nvalid partition name" in line


def test_a_job_that_never_came_to_python_is_a_failed_child(start, tmp_path):
    setup = 'hydra.launcher.setup=["echo no such module >&2; exit 3"]'
    sweep = start("-m", *SMALL, "hook.layers=0,1", setup)
    out, err = sweep.communicate(timeout=100)
    assert sweep.returncode == 1, out + err
    reason = "Slurm: failed, exit code 3; its log ends: no such module"
    assert f"[2 of 2 ended, 2 failed] 1  {reason}" in err
    parent, jobs = recorded(tmp_path)
    assert parent.info.status == "FAILED"
    assert statuses(jobs) == {"layers=0": ["FAILED"], "layers=1": ["FAILED"]}
    assert {runs[0].data.tags["error"] for runs in jobs.values()} == {reason}
