"""`interp` as a user types it: errors in one line, runs, sweeps, the UI."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from interp.cli.overrides import CONF
from interp.models import ModelSource
from interp.tracking import CURRENT_JOB, Store

SMALL = ["model=tiny", "prompts.count=6", "analysis.permutations=20"]


@pytest.fixture
def interp(monkeypatch, tmp_path, command_line):
    monkeypatch.chdir(tmp_path)
    return command_line


@pytest.fixture
def own_conf(tmp_path):
    """A user's own folder of presets, each with a different mistake."""
    folder = tmp_path / "own"
    (folder / "experiment").mkdir(parents=True)
    for name, text in {
        "wrong_key": "seeed: 3",
        "wrong_group": "defaults:\n  - override /metrc: cosine",
        "wrong_option": "defaults:\n  - override /metric: cosin",
        "wrong_field": "metric: {debaised: true}",
        "wrong_type": "reference_draws: many",
        "broken": "metric: {",
    }.items():
        (folder / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    return str(folder)


MISTAKES = {
    "metric=cosin": "metric cannot be 'cosin'; did you mean 'cosine'? (known: cca, cosine, ",
    "metrc=cosine": "there is no 'metrc'; did you mean 'metric'?",
    "seeed=3": "there is no 'seeed'; did you mean 'seed'?",
    "+seeed=3": "there is no 'seeed'; did you mean 'seed'?",
    "tracking.prt=3": "there is no 'tracking.prt'; did you mean 'tracking.port'?",
    "metric=linear_cka metric.debaised=true": "did you mean 'metric.debiased'?",
    "metric=linear_cka +metric.debaised=true": "unknown field 'debaised'; did you mean 'debiased'?",
    "metric=linear_cka metric.debiased=maybe": "metric.debiased: Value 'maybe' is not a valid bool",
    "metric=[cosine,linear_cka]": "metric takes one choice, not [cosine,linear_cka]; -m sweeps",
    "metric=cosine,linear_cka": "metric takes one value; to run cosine,linear_cka one after the",
    "seed=abc": "seed=abc: Value 'abc' of type 'str' could not be converted to Integer",
    "seed=-1": "seed must be at least 0, not -1",
    "foo": "cannot read 'foo': choices are written as key=value",
    "~metric": "metric",
    "prompts.start=${foo}": "'foo' not found",
    "outputs=": "outputs needs a folder",
    "outputs=/proc/x": "outputs: /proc/x cannot be written",
    "tracking.experiment=": "tracking.experiment needs a name",
    "prompts=file prompts.path=~/no-such.csv": "prompts.path: no file at '/",
    "model@reference=tinny": "model cannot be 'tinny'; did you mean 'tiny'?",
    "model@refrence=tiny": "there is no 'model@refrence'; did you mean 'model@reference'?",
    "model@reference=null": "model@reference takes one choice, not null",
    "model@reference=path": "reference.path needs a value",
    "model@reference=tiny reference.sed=3": "'reference.sed'; did you mean 'reference.seed'?",
    "model@reference=tiny reference.settings={n_layer:5}": "has 6 layers to read, the model 4",
    "model@reference=tiny reference_draws=0": "reference_draws must be at least 1, not 0",
    "reference=tiny": "reference is chosen as model@reference=tiny",
    "metric=kl_divergence hook=resid_post": "use hook=logit_lens, not resid_post",
    "metric=mutual_knn metric.k=60": "needs at least 62 points per group, not 48; give more",
    "metric=mutual_knn metric.k=0": "metric.k must be at least 1, not 0",
    "analysis=token_similarity": "the first group (digits) holds the two tokens to compare, not 48",
    "analysis=layer_matrix metric=wasserstein model@reference=tiny": "does not pair points",
    "metric=null": "metric takes one choice, not null; -m sweeps over several",
    "reference_draws=0": "reference_draws must be at least 1, not 0",
    "analysis.alpha=2": "analysis.alpha must lie between 0 and 1, not 2.0",
    "hook.layers=[0,9]": "hook.layers: no layer 9; hidden_states has layers 0 to 3",
    "hook.layers=some": "hook.layers must be all, 3, or [0,3,-1], not 'some'",
    "hook=module": "hook.path needs a value",
    "hook=module hook.path=h.{layer}.mlp.cfc": "'h.0.mlp.cfc'; did you mean 'h.0.mlp.c_fc'?",
    "hook.layers=[0": "cannot read 'hook.layers=[0'",
    "experiment=him_hr": "experiment cannot be 'him_hr'; did you mean 'him_her'?",
    "prompts=inline": "prompts.groups needs a value",
    "prompts=inline prompts.groups={}": "prompts: the set is empty",
    "prompts=inline prompts.groups={a:[x],b:[y]}": "prompts: group 'a' has one prompt",
    "prompts=inline prompts.groups={a:[x,y],b:[z]}": "metric=cosine pairs the prompts of both",
    "prompts=file prompts.path=none.csv": "prompts.path: no file at 'none.csv'",
    "position=target": "position: no target is marked in '1 2 3 4': put it in braces",
    "prompts.length=200": "tokens long; random gpt2 reads at most 1024",
    "model=path model.path=none": "model.path: no folder at",
    "model=gpt2 model.repo=no/such": "without the hub: model=minilm",
    "model.dtype=float61": "model.dtype cannot be 'float61'; did you mean 'float16'?",
    "hydra/launcher=jobli": "hydra/launcher cannot be 'jobli'; did you mean 'joblib'?",
    "-m metric=cosine,cosin": "metric cannot be 'cosin'; did you mean 'cosine'?",
    "-m metric=cosine,linear_cka seeed=3": "there is no 'seeed'; did you mean 'seed'?",
}
MISTAKES_IN_FILES = {
    "wrong_key": "experiment/wrong_key: there is no 'seeed'; did you mean 'seed'?",
    "wrong_group": "experiment/wrong_group: there is no 'metrc'; did you mean 'metric'?",
    "wrong_option": "metric cannot be 'cosin'; did you mean 'cosine'?",
    "wrong_field": "metric: unknown field 'debaised'",
    "wrong_type": "Value 'many' of type 'str' could not be converted to Integer",
    "broken": "experiment/broken.yaml",
}


def check_refused(answer, said, folder):
    status, out, err = answer
    assert status == 1
    (line,) = err.strip().splitlines()
    assert line.startswith("interp: ")
    assert said in line
    assert out == ""
    assert not list(folder.glob("outputs/runs/*/*")), "a refused run leaves no folder"


@pytest.fixture
def no_weights(monkeypatch):
    def load(_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(ModelSource, "load", load)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_one_line(mistake, interp, tmp_path, no_weights):
    answer = interp("model=tiny", *mistake.split(" "))
    check_refused(answer, MISTAKES[mistake], tmp_path)


@pytest.mark.parametrize("preset", MISTAKES_IN_FILES)
def test_a_mistake_in_a_file_is_too(preset, interp, own_conf, tmp_path, no_weights):
    answer = interp("model=tiny", "--config-dir", own_conf, f"experiment={preset}")
    check_refused(answer, MISTAKES_IN_FILES[preset], tmp_path)


def test_a_run_prints_a_table_a_finding_and_where_everything_is(interp, tmp_path):
    status, out, err = interp(*SMALL)
    assert (status, err) == (0, "")
    head = r"layer +mean cosine +null \(95%\) +score +p \(corrected\) +significance"
    assert re.search(head, out)
    assert re.search(r"^digits and words are closer than chance at ", out, re.M)
    assert re.search(r"^MLflow +(\S+/)?interp ui$", out, re.M)
    assert re.search(r"^page +http://127\.0\.0\.1:5000/#/experiments/1/runs/\w{32}$", out, re.M)
    folder = tmp_path / re.search(r"^run +(\S+)$", out, re.M)[1]
    assert (folder / "result.json").is_file()
    assert (tmp_path / re.search(r"^figures +(\S+)$", out, re.M)[1]).is_dir()


def test_overrides_may_stand_around_options_and_paths_need_no_quotes(interp, tmp_path):
    hook = ["hook=module", "hook.path=h.{layer}.mlp.c_fc,h.{layer}.ln_1"]
    status, out, _ = interp(*SMALL, "-m", *hook)
    assert status == 0
    assert "2 of 2 jobs finished" in out
    assert "1  path=h.{layer}.ln_1: digits and words" in out


def runs_of(outputs, experiment="layer_similarity"):
    store = Store.of(str(outputs), None, 5000)
    found = store.client.search_runs([store.experiment_id(experiment)])
    parents = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
    return parents, [r for r in found if r not in parents]


def test_a_sweep_is_one_parent_with_a_child_a_job(interp, tmp_path):
    status, out, _ = interp("-m", *SMALL, "model.seed=0,1", "metric=cosine,linear_cka")
    assert status == 0
    ((parent,), children) = runs_of(tmp_path / "outputs")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "sweep model.seed=0,1 metric=cosine,linear_cka"
    assert {c.info.run_name for c in children} == {
        f"seed={seed} · {metric}" for seed in (0, 1) for metric in ("cosine", "linear_cka")
    }
    names = ("calibrated_scores", "curves")
    printed = re.findall(r"^figure +(\S+)$", out, re.M)
    assert [Path(figure).stem for figure in printed] == [*names]
    assert all((tmp_path / figure).stat().st_size for figure in printed)
    logged = Store.of(str(tmp_path / "outputs"), None, 5000).client
    files = {file.path for file in logged.list_artifacts(parent.info.run_id, "figures")}
    assert files == {f"figures/{name}.{end}" for name in names for end in ("png", "svg")}
    for child in children:
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    link = out.strip().splitlines()[-1]
    assert link.startswith("page     http://127.0.0.1:5000/#/experiments/")
    assert parent.info.run_id in link
    assert CURRENT_JOB.get() is None


def test_the_parent_of_spectra_draws_them_over_one_another(interp, tmp_path):
    status, out, _ = interp(
        *("-m", "model=tiny", "experiment=letters", "prompts=letters,digits", "analysis.draws=30")
    )
    assert status == 0
    assert re.search(r"^figure +\S*spectra\.png$", out, re.M)
    ((parent,), children) = runs_of(tmp_path / "outputs", "embedding_spectrum")
    logged = Store.of(str(tmp_path / "outputs"), None, 5000).client
    files = {file.path for file in logged.list_artifacts(parent.info.run_id, "figures")}
    assert files == {f"figures/spectra.{end}" for end in ("png", "svg")}
    for child, words in zip(sorted(children, key=lambda c: c.info.run_name), (10, 26), strict=True):
        history = logged.get_metric_history(child.info.run_id, "component/singular_value")
        assert sorted(metric.step for metric in history) == list(range(1, words))


def test_a_failing_job_fails_the_parent_and_every_failure_is_told(interp, tmp_path):
    status, out, err = interp("-m", *SMALL, "metric=cosine,linear_cka", "position=mean,target")
    assert status == 1
    assert "2 of 4 jobs finished" in out
    for job in ("cosine · target", "linear_cka · target"):
        assert f"{job}: FAILED: position: no target is marked in '1 2 3 4'" in err
    assert "Traceback" not in err
    ((parent,), children) = runs_of(tmp_path / "outputs")
    assert parent.info.status == "FAILED"
    status_of = {child.info.run_name: child.info.status for child in children}
    assert status_of == {
        "cosine · mean": "FINISHED",
        "cosine · target": "FAILED",
        "linear_cka · mean": "FINISHED",
        "linear_cka · target": "FAILED",
    }
    assert out.strip().splitlines()[-1].startswith("page     http://127.0.0.1:5000/#/")


def test_a_job_that_cannot_begin_for_any_reason_is_a_failed_child(interp, tmp_path):
    kernels = "model.attention=auto,flash_attention_2"
    status, out, err = interp("-m", *SMALL, kernels)
    assert status == 1
    assert "1 of 2 jobs finished" in out
    assert "1  attention=flash_attention_2: FAILED: model: random gpt2 cannot be loaded" in err
    ((parent,), children) = runs_of(tmp_path / "outputs")
    assert parent.info.status == "FAILED"
    assert sorted(child.info.status for child in children) == ["FAILED", "FINISHED"]
    (folder,) = (tmp_path / re.search(r"^jobs +(\S+)$", out, re.M)[1]).glob("1")
    assert {p.name for p in folder.iterdir()} == {"config.yaml", "traceback.txt"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["outputs=o1,o2"], "outputs cannot be swept: one sweep is logged in one place"),
        (["seed=0,1", "tracking.uri=typo://x"], "tracking.uri: typo://x cannot be opened"),
        (
            ["tracking.uri=http://127.0.0.1:1", "seed=0,1"],
            "tracking.uri: no server answers at http",
        ),
        (["metric=glob(zz*)"], "metric=glob(zz*) stands for nothing"),
        (["seed=0,1", "outputs=${nope}"], "'nope' not found"),
    ],
)
def test_a_sweep_that_cannot_open_its_parent_runs_no_job(interp, tmp_path, arguments, said):
    status, out, err = interp("-m", *SMALL, *arguments)
    assert status == 1
    (line,) = err.strip().splitlines()
    assert said in line
    assert out == ""
    assert not list(tmp_path.glob("**/result.json"))


def test_jobs_in_other_processes_find_their_parent(tmp_path):
    command = [sys.executable, "-m", "interp", "-m", *SMALL, "metric=cosine,linear_cka"]
    options = ["hydra/launcher=joblib", "position=mean,target", f"outputs={tmp_path / 'outputs'}"]
    found = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert found.returncode == 1
    ((parent,), children) = runs_of(tmp_path / "outputs")
    assert parent.info.status == "FAILED"
    assert sorted(c.info.status for c in children) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    for job in ("cosine · target", "linear_cka · target"):
        assert f"{job}: FAILED: position: no target is marked" in found.stderr


def test_an_interrupted_run_says_so_in_one_line(interp, monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("interp.stats.permutation_tests.permutation_test", interrupted)
    status, _, err = interp(*SMALL)
    assert status == 130
    assert err == "interp: interrupted\n"
    ((run,), _) = runs_of(tmp_path / "outputs")
    assert run.info.status == "KILLED"
    assert run.data.tags["error"] == "KeyboardInterrupt"


def test_an_error_that_is_no_mistake_of_the_users_shows_where_it_happened(interp, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("interp.stats.permutation_tests.permutation_test", broken)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        interp(*SMALL)


def test_a_mode_that_hydra_is_given_is_heeded(interp):
    status, out, _ = interp(*SMALL, "hydra.mode=MULTIRUN", "seed=0,1")
    assert status == 0
    assert "2 of 2 jobs finished" in out


def test_help_names_ones_own_presets_too(interp, own_conf, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = interp("--config-dir", own_conf, "--help")
    assert status == 0
    count = len(list((CONF / "experiment").glob("*.yaml")))
    assert re.search(rf"^  experiment .* \({count + 6}, 6 of them your own\)$", out, re.M)


def test_help_names_what_can_be_chosen(interp):
    status, out, _ = interp("--help")
    assert status == 0
    for word in ("interp ui", "interp -m", "interp list GROUP", "minilm_untrained"):
        assert word in out
    assert re.search(r"^  metric  +how alike two sets of points are \(\d+\)$", out, re.M)


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_ui_serves_the_configured_store_on_loopback(tmp_path, free_port):
    arguments = ["ui", f"outputs={tmp_path}", f"tracking.port={free_port}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "interp", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert f"http://127.0.0.1:{free_port}" in server.stdout.readline()
        deadline = time.monotonic() + 60
        while True:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{free_port}/health", timeout=5)
                break
            except OSError:
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.3)
        assert page.status == 200
        assert (tmp_path / "mlflow.db").is_file()
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def test_the_ui_refuses_a_port_that_is_taken(interp):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = interp("ui", f"tracking.port={port}")
    assert status == 1
    assert err.startswith(f"interp: tracking.port: {port} is in use, perhaps by an interp ui")
    assert err.endswith(f"choose another: tracking.port={port + 1}\n")


def test_the_ui_of_a_server_is_the_servers_own(interp):
    status, _, err = interp("ui", "tracking.uri=http://127.0.0.1:9")
    assert status == 1
    assert err == (
        "interp: tracking.uri: http://127.0.0.1:9 is a server already: open it in a browser\n"
    )
    status, _, err = interp("ui", "tracking.prt=9")
    assert status == 1
    assert "there is no 'tracking.prt'; did you mean 'tracking.port'?" in err
