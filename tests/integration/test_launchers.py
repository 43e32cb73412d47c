"""The presets of `hydra/launcher`, mistakes in one line, and workers that share what they read."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from interp.cache import ActivationStore
from interp.cli.hydra import launchers
from interp.cli.hydra.callback import _fingerprint
from interp.cli.hydra.open_sweep import job_name
from interp.cli.main import CONF
from interp.cli.schema import SlurmSettings, SubmititSettings
from interp.core.errors import ConfigError
from interp.tracking import Store, Sweep, record_dead_job
from tests.integration import test_readme
from tests.integration.test_command_line import SMALL, check_refused, interp, runs_of  # noqa: F401
from tests.system.test_slurm import SMALL as READ_TINY
from tests.system.test_slurm import held_up

ROOT = Path(__file__).parents[2]
FOLDER = CONF / "hydra" / "launcher"
PRESETS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PLUGINS = {f"{cls.__module__}.{cls.__name__}" for cls in Plugins.instance().discover(Launcher)}


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=True)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_lists_every_field_of_its_plugin_with_a_comment_a_line(preset):
    lines = (FOLDER / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert lines[0].endswith(".")
    assert all("  # " in line or " # " in line for line in lines[2:])
    own = OmegaConf.create("\n".join(lines))
    if own._target_ not in PLUGINS:
        pytest.skip(f"{own._target_} is not installed")
    schema = ConfigStore.instance().load(f"hydra/launcher/{preset}.yaml").node
    assert set(own) == set(schema)


@pytest.mark.parametrize(
    ("preset", "schema"), [("submitit_local", SubmititSettings), ("submitit_slurm", SlurmSettings)]
)
def test_a_launcher_of_ours_is_written_as_its_schema_has_it(preset, schema):
    """So that a launcher of the user's own, which is composed after the file, begins with it."""
    written = OmegaConf.load(FOLDER / f"{preset}.yaml")
    of_schema = OmegaConf.to_container(OmegaConf.structured(schema), resolve=False)
    assert OmegaConf.to_container(written, resolve=False) == of_schema


def test_there_is_a_preset_for_each_launcher_that_is_told_of():
    assert PRESETS == ["basic", "joblib", "ray", "submitit_local", "submitit_slurm"]
    assert composed().hydra.launcher._target_ == launchers.SEQUENTIAL


@pytest.mark.parametrize(
    ("preset", "given", "value"),
    [
        ("joblib", "n_jobs=2", 2),
        ("submitit_local", "timeout_min=5", 5),
        ("submitit_slurm", "timeout_min=60", 60),
        ("submitit_slurm", "partition=gpu", "gpu"),
        ("submitit_slurm", "gpus_per_node=1", 1),
        ("submitit_slurm", "array_parallelism=4", 4),
        ("submitit_slurm", 'setup=["module load cuda"]', ["module load cuda"]),
    ],
)
def test_what_a_preset_sets_can_be_set_otherwise(preset, given, value):
    launcher = composed(f"hydra/launcher={preset}", f"hydra.launcher.{given}").hydra.launcher
    assert launcher[given.partition("=")[0]] == value


def test_hydra_does_not_warn_of_presets():
    code = "from interp.cli.main import main; main()"
    arguments = ["--cfg", "hydra", "--package", "hydra.launcher", "hydra/launcher=joblib"]
    command = [sys.executable, "-W", "always", "-c", code, *arguments]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "n_jobs: -1" in found.stdout
    assert "UserWarning" not in found.stderr


MISTAKES = {
    "hydra/launcher=jobli": "hydra/launcher cannot be 'jobli'; did you mean 'joblib'?",
    "hydra/launcher=joblib hydra.launcher.n_job=2": (
        "there is no 'hydra.launcher.n_job'; did you mean 'hydra.launcher.n_jobs'?"
    ),
    "hydra/launcher=submitit_slurm hydra.launcher.partitoin=gpu": (
        "there is no 'hydra.launcher.partitoin'; did you mean 'hydra.launcher.partition'?"
    ),
    "hydra/launcher=submitit_slurm hydra.launcher.timeout_min=long": (
        "hydra.launcher.timeout_min=long: Value 'long' of type 'str' could not be converted"
    ),
    "hydra/launcher=null": "hydra/launcher takes one choice, not null",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_one_line(mistake, interp, tmp_path):  # noqa: F811
    answer = interp("-m", *SMALL, "seed=0,1", *mistake.split(" "))
    check_refused(answer, MISTAKES[mistake], tmp_path)


@pytest.mark.parametrize(
    ("preset", "extra"),
    [
        ("joblib", "joblib"),
        ("submitit_local", "slurm"),
        ("submitit_slurm", "slurm"),
        ("ray", "ray"),
    ],
)
def test_a_launcher_that_is_not_installed_names_its_extra(
    preset,
    extra,
    interp,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(launchers, "is_installed", lambda _: False)
    said = f"interp: hydra/launcher={preset} needs an extra: pip install 'interp[{extra}]'\n"
    answer = interp("-m", *SMALL, "seed=0,1", f"hydra/launcher={preset}")
    assert answer == (1, "", said)
    assert not (tmp_path / "outputs" / "mlflow.db").exists()
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(rf'^{extra} = \["(hydra-{extra}-launcher|submitit)>', extras, re.M)


def test_slurm_without_its_commands_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    config = composed("hydra/launcher=submitit_slurm")
    with pytest.raises(ConfigError, match="submitit_slurm: there is no sbatch here; start it on"):
        launchers.check_launcher("submitit_slurm", config.hydra.launcher)


def test_where_jobs_run_does_not_make_another_sweep():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = {
            _fingerprint(composed(*given))
            for given in (
                ("seed=3",),
                ("seed=3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
                ("seed=3", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"),
            )
        }
    assert len(told) == 1


# Jobs of one model and prompts, each with a layer and a metric of its own.
EIGHT = (*SMALL, "model.device=cpu", "metric=cosine,linear_cka", "hook.layers=0,1,2,3")


def test_eight_jobs_in_processes_of_their_own_make_one_pass(tmp_path):
    launcher = "hydra/launcher=submitit_local"
    command = [sys.executable, "-m", "interp", "-m", *EIGHT, launcher]
    found = subprocess.run(
        [*command, f"outputs={tmp_path}"], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "8 of 8 jobs finished" in found.stdout
    ((parent,), jobs) = runs_of(tmp_path)
    assert {run.info.status for run in (parent, *jobs)} == {"FINISHED"}
    assert len({run.info.run_name for run in jobs}) == len(jobs) == 8
    read = [entry for entry in ActivationStore.of(str(tmp_path), 50).entries() if entry.layers]
    assert [(entry.layers, len(entry.made)) for entry in read] == [((0, 1, 2, 3), 1)]
    # Workers print to their logs; the process that waits for them repeats their last line.
    assert "8 jobs started; their output goes to " in found.stderr
    assert "[8 of 8 ended] " in found.stderr
    for run in jobs:
        assert f"{run.data.tags['job']}  {run.info.run_name}: digits and" in found.stderr


def test_ctrl_c_ends_the_jobs_of_submitit_and_one_that_was_killed_is_told(tmp_path):
    launcher = ("hydra/launcher=submitit_local", f"outputs={tmp_path}")
    command = [sys.executable, "-m", "interp", "-m", *READ_TINY, "hook.layers=0,1,2"]
    with held_up(tmp_path):
        sweep = subprocess.Popen(
            [*command, *launcher],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell has started in the background ignores Ctrl-C, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            start_new_session=True,
        )
        waiting = []
        deadline = time.monotonic() + 200
        while len(waiting) < 3 and sweep.poll() is None and time.monotonic() < deadline:
            logs = tmp_path.glob("sweeps/*/*/logs/*/*_log.err")
            waiting = [int(log.parent.name) for log in logs if "waiting for" in log.read_text()]
            time.sleep(0.3)
        (worker,) = Path(f"/proc/{waiting[0]}/task/{waiting[0]}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        lines = [sweep.stderr.readline(), sweep.stderr.readline()]
        sweep.send_signal(signal.SIGINT)
        out, err = sweep.communicate(timeout=100)
    assert sweep.returncode == 1, out + err
    assert lines[0].startswith("3 jobs started; their output goes to ")
    assert lines[1].startswith("[1 of 3 ended, 1 failed] ")
    assert "cancelling the 2 jobs that have not ended" in err
    ((parent,), jobs) = runs_of(tmp_path)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in jobs] == ["KILLED"] * 3
    errors = sorted(run.data.tags["error"] for run in jobs)
    assert errors[:2] == ["KeyboardInterrupt: SIGTERM"] * 2
    assert errors[2].startswith("its process ended; its log ends: waiting for ")
    assert not [job for job in waiting if Path(f"/proc/{job}").exists()]


def test_a_job_is_shown_that_died_before_it_could_say_so(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    sweep = Sweep.begin(store, "deaths", ["seed=0,1,2,3"], "a fingerprint", rerun=False)
    experiment = store.experiment_id("deaths")
    for number, status in ((0, "RUNNING"), (1, "FINISHED"), (2, "FAILED")):
        tags = {"mlflow.parentRunId": sweep.run_id, "job": str(number), "error": "its own"}
        run = store.client.create_run(experiment, tags=tags, run_name=f"seed={number}")
        if status != "RUNNING":
            store.client.set_terminated(run.info.run_id, status)
    for number in range(4):
        record_dead_job(sweep, number, f"seed={number}", "KILLED", "Slurm: out of memory", since=0)
    told = [(child.name, child.status, child.error) for child in sweep.end(completed=True)]
    assert told == [
        ("seed=0", "KILLED", "Slurm: out of memory"),
        # It had told all when its process died.
        ("seed=1", "FINISHED", "its own"),
        ("seed=2", "FAILED", "its own"),
        ("seed=3", "KILLED", "Slurm: out of memory"),
    ]
    assert store.client.get_run(sweep.run_id).info.status == "FAILED"


def test_a_job_that_died_is_named_as_it_would_have_named_itself():
    swept = ("hook.layers", "metric", "model@reference")
    line = ["model=tiny", "metric=linear_cka", "hook.layers=[0,3]", "model@reference=tiny"]
    assert job_name(line, swept, 7) == "linear_cka · layers=[0,3] · reference=tiny"
    assert job_name(line, (), 7) == "job 7"


PAGE = (ROOT / "docs" / "launching.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("interp")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_composes(command):
    test_readme.test_a_command_composes(command)


def test_the_page_has_a_row_for_each_preset_and_names_its_extra():
    assert len(COMMANDS) >= 8
    rows = re.findall(r"^\| `(\w+)`.*\| (.+) \|$", PAGE, re.M)
    assert sorted(preset for preset, _ in rows) == PRESETS
    for preset, needs in rows:
        first = (FOLDER / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()[0]
        for extra in re.findall(r"pip install 'interp\[\w+\]'", needs):
            assert extra in first


def test_the_pages_launcher_of_ones_own_is_one(interp, tmp_path):  # noqa: F811
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "ours.yaml").write_text(text)
    of_ours = ("--config-dir", str(tmp_path), "hydra/launcher=ours", "--cfg", "hydra")
    status, out, _ = interp(*of_ours, "--package", "hydra.launcher")
    assert status == 0
    theirs = (FOLDER / "submitit_slurm.yaml").read_text(encoding="utf-8")
    ours, theirs = (OmegaConf.to_container(OmegaConf.create(text)) for text in (out, theirs))
    assert {key for key in theirs if ours[key] != theirs[key]} == {"partition", "gpus_per_node"}
