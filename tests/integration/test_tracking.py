"""What a run leaves in MLflow, read back through MLflow's own client."""

import json
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from interp.cli.main import CONF
from interp.core.errors import ConfigError, TrackingError
from interp.results.result import Animation, Result
from interp.runner.analysis import ANALYSES
from interp.runner.run import run
from interp.tracking import CURRENT_JOB, Job, Store, Sweep, recorded_run


def composed(outputs, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=["model=tiny", f"outputs={outputs}", *overrides])


def only_run(store, experiment="layer_similarity"):
    (found,) = store.client.search_runs([store.experiment_id(experiment)])
    return found


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """One run of the default question on the tiny model, and its MLflow record."""
    outputs = tmp_path_factory.mktemp("outputs")
    config = composed(outputs, "metric=linear_cka", "analysis.permutations=30", "prompts.count=12")
    outcome = run(config, outputs / "runs" / "one")
    return outcome, only_run(outcome.store)


def test_a_run_ends_finished_with_its_finding_as_description(logged):
    outcome, record = logged
    assert record.info.status == "FINISHED"
    assert record.info.run_name == "random gpt2 · linear CKA"
    assert record.data.tags["mlflow.note.content"] == outcome.result.finding


def test_series_are_metrics_with_the_layer_as_step(logged):
    outcome, record = logged
    (similarity,) = outcome.result.tested
    assert "layer/value_p_corrected" in similarity.metrics
    for key, values in similarity.metrics.items():
        history = outcome.store.client.get_metric_history(record.info.run_id, key)
        found = {metric.step: metric.value for metric in history}
        assert found == dict(zip(similarity.steps, values.tolist(), strict=True))
    for name, value in outcome.result.scalars.items():
        assert record.data.metrics[name] == value


def test_the_flattened_configuration_is_the_parameters(logged):
    _, record = logged
    params = record.data.params
    assert params["metric.name"] == "linear_cka"
    assert params["metric.debiased"] == "true"
    assert params["prompts.count"] == "12"
    assert params["model.settings.n_layer"] == "3"
    assert params["tracking.experiment"] == "layer_similarity"


def test_tags_name_the_analysis_the_model_and_the_site(logged):
    _, record = logged
    tags = record.data.tags
    assert tags["analysis"] == "layer_similarity"
    assert tags["model"] == "random gpt2"
    assert tags["revision"].endswith("seed 0")
    assert tags["hook"] == "hidden_states"
    assert (tags["n"], tags["units"]) == ("24", "prompts")
    assert tags["attention_kernel"] == "sdpa"
    assert tags["dtype"] == "float32"
    assert tags["version.torch"].startswith("2.")
    assert len(tags["fingerprint"]) == 64
    assert tags["git_commit"]


def test_tags_name_the_unembedding_and_the_reference(tmp_path):
    more = ("metric=kl_divergence", "model@reference=tiny", "reference.seed=5", "reference_draws=2")
    outcome = run(
        composed(tmp_path, "prompts.count=4", "analysis.permutations=9", *more), tmp_path / "run"
    )
    tags = only_run(outcome.store).data.tags
    assert tags["hook"] == "logit_lens"
    assert tags["unembedding"] == "lm_head (GPT2LMHeadModel)"
    assert tags["reference"] == "random gpt2"
    assert tags["reference_revision"].endswith("seed 5")
    assert tags["null"] == "pairs of prompts permuted; above 0: closer than chance"
    assert outcome.name == "random gpt2 · KL(first ‖ second) in nats"
    subtitle = outcome.result.figures["similarity"].axes[0].texts[0].get_text()
    assert "read through the lm_head (GPT2LMHeadModel)" in subtitle.replace("\n", " ")


def test_artifacts_hold_the_folder_the_tables_and_the_images(logged):
    outcome, record = logged
    client, run_id = outcome.store.client, record.info.run_id

    def names(path=None):
        return {item.path for item in client.list_artifacts(run_id, path)}

    assert names() >= {"config.yaml", "result.json", "figures", "images", "tables"}
    assert names("figures") == {"figures/similarity.png", "figures/similarity.svg"}
    kept = ("layers", "prompts", "summary")
    tables = {f"tables/{n}.{e}" for n in kept for e in ("csv", "json")}
    assert names("tables") == tables
    steps = {name.split("+")[2] for name in names("images") if name.endswith(".png")}
    assert steps == {"0", "1", "2", "3"}
    local = Path(client.download_artifacts(run_id, "result.json"))
    assert json.loads(local.read_text()) == json.loads((outcome.folder / "result.json").read_text())


def test_tables_are_those_that_mlflow_shows_side_by_side(logged, monkeypatch):
    outcome, record = logged
    # MLflow looks for the runs where this points.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", outcome.store.uri)
    for name in ("layers", "prompts", "summary"):
        shown = outcome.store.client.load_table(
            record.info.experiment_id, f"tables/{name}.json", [record.info.run_id]
        )
        kept = pd.read_csv(outcome.folder / "tables" / f"{name}.csv", keep_default_na=False)
        pd.testing.assert_frame_equal(shown, kept, check_dtype=False)
    told = json.loads(record.data.tags["mlflow.loggedArtifacts"])
    assert {entry["path"] for entry in told} == {
        f"tables/{name}.json" for name in ("layers", "prompts", "summary")
    }


def test_images_are_named_and_tagged_as_mlflow_itself_would(logged, tmp_path):
    outcome, record = logged
    client = outcome.store.client
    own = client.create_run(record.info.experiment_id).info.run_id
    client.log_image(own, np.zeros((520, 600, 3), dtype=np.uint8), key="pairs", step=3)

    def pattern(run_id):
        names = [item.path for item in client.list_artifacts(run_id, "images")]
        parts = [name.split("+") for name in names if name.split("+")[2] == "3"]
        return sorted((p[1], p[3], "+".join(p[5:]).partition(".")[2]) for p in parts)

    assert pattern(record.info.run_id) == pattern(own)
    tag = "mlflow.loggedImages"
    assert record.data.tags[tag] == client.get_run(own).data.tags[tag]
    client.delete_run(own)


def test_mlflow_gets_the_first_rows_of_a_long_table_and_a_name_with_their_number(
    tmp_path, monkeypatch
):
    table = pd.DataFrame({"text": [f"prompt {i}" for i in range(10_001)], "n": range(10_001)})
    result = Result(tables={"prompts": table, "fits": table.head(10_000)})
    store = Store.of(str(tmp_path), None, 5000)
    with recorded_run(store, "trial", "one", tmp_path / "run") as record:
        result.save(tmp_path / "run")
        record.log_result(result, tmp_path / "run")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    names = {item.path for item in store.client.list_artifacts(record.run_id, "tables")}
    cut = "tables/prompts (first 10000 rows).json"
    assert names == {"tables/prompts.csv", "tables/fits.csv", "tables/fits.json", cut}
    shown = store.client.load_table(record.experiment_id, cut, [record.run_id])
    pd.testing.assert_frame_equal(shown, table.head(10_000))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "run" / "tables" / "prompts.csv"), table)


def test_a_run_has_its_tags_from_the_start(tmp_path, prompts):
    store = Store.of(str(tmp_path), None, 5000)
    params = {"seed": 3, "many": {f"field_{i}": i for i in range(250)}}
    with recorded_run(store, "trial", "one", tmp_path, {"analysis": "trial", "long": "x" * 9000}):
        begun = only_run(store, "trial")
    assert begun.info.status == "RUNNING"
    assert begun.data.tags["analysis"] == "trial"
    assert begun.data.tags["long"] == "x" * 5000
    with recorded_run(store, "other", "two", tmp_path) as record:
        record.log_setup(params, prompts)
        working = store.client.get_run(record.run_id)
    assert working.info.status == "RUNNING"
    assert len(working.data.params) == 251
    assert (working.data.params["seed"], working.data.params["many.field_249"]) == ("3", "249")


def test_any_number_of_metrics_is_logged(tmp_path):
    values = np.arange(2500, dtype=np.float64)
    result = Result(spectra={"value": values}, scalars={f"s{i}": float(i) for i in range(40)})
    store = Store.of(str(tmp_path), None, 5000)
    with recorded_run(store, "trial", "one", tmp_path / "run") as record:
        result.save(tmp_path / "run")
        record.log_result(result, tmp_path / "run")
    history = store.client.get_metric_history(record.run_id, "component/value")
    found = sorted((metric.step, metric.value) for metric in history)
    assert found == [(i + 1, float(i)) for i in range(2500)]
    assert store.client.get_run(record.run_id).data.metrics["s39"] == 39


def test_an_animation_is_logged_frame_by_frame_and_as_its_files(tmp_path, monkeypatch):
    rendered = []

    def pixels(figure):
        rendered.append(figure)
        return np.full((8, 12, 3), 40 * figure, dtype=np.uint8)

    monkeypatch.setattr("interp.plotting.pixels", pixels)
    animation = Animation("What moves", {2: 1, 5: 2}, ("layer 2", "layer 5"))
    result, store = Result(animations={"points": animation}), Store.of(str(tmp_path), None, 5000)
    with recorded_run(store, "trial", "one", tmp_path / "run") as record:
        result.save(tmp_path / "run")
        record.log_result(result, tmp_path / "run")
    assert rendered == [1, 2]
    client = store.client
    paths = [item.path for item in client.list_artifacts(record.run_id, "animations")]
    assert paths == ["animations/points.gif", "animations/points.html"]
    logged = {}
    for item in client.list_artifacts(record.run_id, "images"):
        if item.path.endswith(".png"):
            key, _, step, *_ = item.path.split("+")
            with Image.open(client.download_artifacts(record.run_id, item.path)) as image:
                logged[key, step] = image.getpixel((0, 0))
    assert logged == {("images/points", "2"): (40, 40, 40), ("images/points", "5"): (80, 80, 80)}


def test_the_prompt_set_is_a_dataset(logged):
    _, record = logged
    (given,) = record.inputs.dataset_inputs
    assert given.dataset.name == "digits / words"
    assert json.loads(given.dataset.profile) == {"num_rows": 24}
    assert given.tags[0].value == "prompts"


def test_everything_lies_in_the_outputs_folder(logged):
    outcome, record = logged
    outputs = outcome.folder.parents[1]
    assert outcome.store.uri == f"sqlite:///{outputs / 'mlflow.db'}"
    assert record.info.artifact_uri.startswith((outputs / "artifacts").as_uri())


def test_the_fingerprint_follows_all_that_decides_the_result(tmp_path):
    def fingerprint(*overrides):
        small = ("analysis.permutations=5", "prompts.count=4", "hook.layers=0")
        config = composed(tmp_path, *small, *overrides)
        outcome = run(config, tmp_path / str(len(list(tmp_path.iterdir()))))
        record = outcome.store.client.get_run(outcome.url.rpartition("/")[2])
        return record.data.tags["fingerprint"]

    same = fingerprint()
    assert fingerprint("tracking.port=5001") == same
    assert fingerprint("activations.limit_gb=7") == same
    assert fingerprint("reference_draws=3") == same
    changed = [fingerprint(o) for o in ("seed=1", "prompts.start=2", "model.seed=1")]
    twin = ("model@reference=tiny", "reference_draws=1")
    changed += [fingerprint(*twin), fingerprint(*twin, "reference.seed=1")]
    changed += [fingerprint(twin[0], "reference_draws=2")]
    assert len({same, *changed}) == 7


def test_the_fingerprint_follows_files_behind_equal_settings(tmp_path, tiny):
    weights, texts = tmp_path / "weights", tmp_path / "texts.csv"
    tiny.load().module.save_pretrained(weights)
    tiny.load().tokenizer.save_pretrained(weights)
    texts.write_text("text,group\none,a\ntwo,a\nthree,b\nfour,b\n")
    chosen = ["model=path", f"model.path={weights}", "prompts=file", f"prompts.path={texts}"]
    found = []

    def fingerprint():
        config = composed(tmp_path / "outputs", *chosen, "analysis.permutations=5", "hook.layers=0")
        outcome = run(config, tmp_path / f"run {len(found)}")
        record = outcome.store.client.get_run(outcome.url.rpartition("/")[2])
        found.append(record.data.tags["fingerprint"])

    fingerprint()
    fingerprint()
    assert found[1] == found[0]
    texts.write_text("text,group\none,a\ntwo,a\nthree,b\nfive,b\n")
    fingerprint()
    replace(tiny, seed=5).load().module.save_pretrained(weights)
    fingerprint()
    assert len(set(found)) == 3


def test_any_group_name_is_logged(tmp_path):
    config = composed(tmp_path, "prompts=inline", "prompts.groups={}", "analysis.permutations=5")
    config.prompts.groups = {"cats (fed)": ["a", "b", "c"], 'don\'t "x"': ["d", "e", "f"]}
    params = only_run(run(config, tmp_path / "run").store).data.params
    assert params["prompts.groups.cats _fed_"] == '["a", "b", "c"]'


def test_artifacts_of_any_database_lie_in_the_outputs_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    config = composed(
        tmp_path / "outputs", f"tracking.uri={uri}", "analysis.permutations=5", "prompts.count=4"
    )
    record = only_run(run(config, tmp_path / "outputs" / "run").store)
    assert record.info.artifact_uri.startswith((tmp_path / "outputs" / "artifacts").as_uri())
    assert not (tmp_path / "mlruns").exists()


def test_a_run_that_raises_is_failed_with_its_traceback(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("interp.stats.permutation_tests.permutation_test", broken)
    with pytest.raises(ZeroDivisionError):
        run(composed(tmp_path, "prompts.count=4"), tmp_path / "run")
    store = Store.of(str(tmp_path), None, 5000)
    record = only_run(store)
    assert record.info.status == "FAILED"
    assert record.data.tags["error"] == "ZeroDivisionError: on purpose"
    local = store.client.download_artifacts(record.info.run_id, "traceback.txt")
    assert "permutation_test(observed" in Path(local).read_text()
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_an_interrupted_run_is_killed(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)

    def interrupted():
        with recorded_run(store, "trial", "one", tmp_path / "run"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert only_run(store, "trial").info.status == "KILLED"


def test_a_refused_configuration_leaves_no_run_behind(tmp_path):
    with pytest.raises(ConfigError):
        run(composed(tmp_path, "position=target"), tmp_path / "run")
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "run").exists()


def test_a_sweep_ends_after_all_its_jobs(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    sweep = Sweep.begin(store, "trial", ["metric=cosine,linear_cka"], "", rerun=True)
    token = CURRENT_JOB.set(Job(store, sweep.run_id, 0, "cosine"))
    try:
        elsewhere = Store.of(str(tmp_path / "elsewhere"), None, 5000)
        with recorded_run(elsewhere, "elsewhere", "unnamed", tmp_path):
            pass
        lost = store.client.create_run(
            store.experiment_id("trial"), tags={"mlflow.parentRunId": sweep.run_id}, run_name="lost"
        )
    finally:
        CURRENT_JOB.reset(token)
    children = {child.name: child for child in sweep.end(completed=True)}
    assert children["cosine"].status == "FINISHED"
    assert children["lost"].status == "KILLED"
    assert store.client.get_run(lost.info.run_id).info.status == "KILLED"
    assert store.client.get_run(sweep.run_id).info.status == "FAILED"
    assert sweep.run_id in sweep.url()
    assert sweep.url().startswith("http://127.0.0.1:5000/#/experiments/")


def test_a_sweep_without_a_job_is_removed(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    sweep = Sweep.begin(store, "trial", ["metric=cosine"], "", rerun=True)
    assert sweep.end(completed=False) == []
    assert store.client.get_run(sweep.run_id).info.lifecycle_stage == "deleted"


def test_long_values_and_many_parameters_are_kept_as_far_as_mlflow_can(tmp_path):
    texts = ", ".join(f'"text number {i}"' for i in range(900))
    config = composed(
        tmp_path,
        "prompts=inline",
        f"prompts.groups={{a: [{texts}], b: [{texts}]}}",
        "analysis.permutations=5",
    )
    outcome = run(config, tmp_path / "run")
    params = only_run(outcome.store).data.params
    assert len(params["prompts.groups.a"]) == 6000
    assert params["prompts.groups.a"].endswith("…")
    assert "text number 899" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_deleted_experiment_and_an_unknown_store_are_refused(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    store.client.delete_experiment(store.experiment_id("gone"))
    with pytest.raises(ConfigError, match="'gone' was deleted in MLflow"):
        store.experiment_id("gone")
    nowhere = Store.of(str(tmp_path), "postgres-typo://x", 5000)
    with pytest.raises(TrackingError, match=r"tracking\.uri: postgres-typo://x cannot be opened"):
        nowhere.experiment_id("any")


def _touch(outputs):
    Store.of(outputs, None, 5000).experiment_id("together")


def test_runs_that_log_one_prompt_set_at_once_do_not_collide(tmp_path, prompts):
    store = Store.of(str(tmp_path), None, 5000)
    store.experiment_id("together")
    begun = threading.Barrier(8)

    def log(i):
        # A client of its own, as another process has.
        own = replace(store, port=6000 + i)
        with recorded_run(own, "together", f"run {i}", tmp_path / str(i)) as record:
            begun.wait()
            record.log_setup({}, prompts)
        return record.run_id

    with ThreadPoolExecutor(8) as pool:
        logged = list(pool.map(log, range(8)))
    runs = [store.client.get_run(run_id) for run_id in logged]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in runs}) == 1


def test_processes_that_create_the_store_at_once_do_not_break_it(tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_touch, [str(tmp_path)] * 4, chunksize=1)
    rows = sqlite3.connect(tmp_path / "mlflow.db").execute("select name from experiments")
    assert sorted(name for (name,) in rows) == ["Default", "together"]


def test_an_analysis_that_asks_for_an_unknown_input_is_refused(tmp_path):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Curious:
        def __call__(self, weather):
            raise AssertionError(weather)

    ANALYSES._classes["curious"] = Curious
    try:
        config = composed(tmp_path, "prompts.count=4")
        config.analysis = {"name": "curious"}
        with pytest.raises(TypeError, match=r"no input 'weather' .*'activations'"):
            run(config, tmp_path / "run")
    finally:
        del ANALYSES._classes["curious"]
