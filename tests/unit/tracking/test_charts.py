"""The saved view of a sweep: which charts of which runs MLflow's page opens with."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import mlflow
import numpy as np
import pytest
from mlflow.entities import Metric, Param

from interp.stats.tested_series import TestedSeries
from interp.tracking import Store, Sweep
from interp.tracking import charts as views
from interp.tracking.charts import job_colour, save_view
from interp.tracking.series_tags import to_tags


@pytest.fixture
def store(tmp_path):
    return Store.of(str(tmp_path), None, 5000)


def begin(store, fingerprint="f"):
    return Sweep.begin(store, "asked", ["metric=a,b"], fingerprint, rerun=False)


def add(store, sweep, name, params, metrics, **tags):
    """Log a job: metrics are values by step."""
    experiment = store.experiment_id("asked")
    tags = {"mlflow.parentRunId": sweep.run_id, "job": "0", **tags}
    run = store.client.create_run(experiment, tags=tags, run_name=name).info.run_id
    store.client.log_batch(
        run,
        metrics=[
            Metric(key, value, 0, step)
            for key, curve in metrics.items()
            for step, value in curve.items()
        ],
        params=[Param(*item) for item in params.items()],
    )
    return run


def read(store, sweep):
    experiment = store.client.get_experiment(store.experiment_id("asked"))
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{sweep.run_id}"])
    return view, json.loads(view["state"])


CURVE = {0: 0.5, 1: 0.7}
FOUND = {
    f"layer/{key}": CURVE
    for key in ("value", *(f"value_{name}" for name in ("score", "null_low", "p_corrected", "z")))
}


VALUE = TestedSeries("value", "mean cosine", (0, 1), np.zeros(2), score=np.zeros(2))
# What a run records of the series that it is compared by, and of the order of its numbers.
TAGS = {**to_tags([VALUE]), "scalars": '["peak_value"]'}


def test_the_address_names_the_view_and_little_else(store):
    sweep = begin(store)
    address = urlsplit(save_view(store, sweep.run_id))
    assert address.netloc == "127.0.0.1:5000"
    path, _, query = address.fragment.partition("?")
    assert path == f"/experiments/{store.experiment_id('asked')}/runs"
    # Any search in an address makes MLflow leave the view out.
    assert parse_qs(query) == {
        "viewStateShareKey": [sweep.run_id],
        "compareRunsMode": ["CHART"],
        "workflowType": ["machine_learning"],
    }


def test_the_view_shows_the_jobs_what_differs_and_the_main_curves_first(store):
    sweep = begin(store)
    for name in ("cosine", "rsa"):
        params = {"metric.name": name, "seed": "0"} | ({"k": "3"} if name == "rsa" else {})
        numbers = {"peak_value": {0: 0.7}, "extra": {0: 1.0}}
        add(store, sweep, name, params, {**FOUND, **numbers}, **TAGS)
    save_view(store, sweep.run_id)
    view, state = read(store, sweep)
    assert view["name"] == "sweep metric=a,b"
    assert state["searchFilter"] == f"tags.mlflow.parentRunId = '{sweep.run_id}'"
    columns = ["params.`metric.name`", "params.`k`", "metrics.`peak_value`", "metrics.`extra`"]
    assert state["selectedColumns"] == state["columnOrder"] == columns
    charts = [(c["type"], c["metricKey"], c["metricSectionId"]) for c in state["compareRunCharts"]]
    assert charts == [
        ("LINE", "layer/value_score", "over layers"),
        ("LINE", "layer/value", "over layers"),
        ("BAR", "peak_value", "numbers"),
        ("BAR", "extra", "numbers"),
    ]
    sections = {s["name"]: s["display"] for s in state["compareRunSections"]}
    assert list(sections.items()) == [
        ("over layers", True),
        ("numbers", True),
        ("layer", False),
        ("Model metrics", False),
    ]


def test_runs_are_charted_by_their_tested_series(store):
    sweep = begin(store)
    purity = TestedSeries("purity", "purity", (0, 1), np.zeros(2), null_mean=np.zeros(2))
    metrics = {"layer/angle": CURVE, "layer/purity": CURVE, "layer/purity_null_mean": CURVE}
    add(store, sweep, "one", {}, metrics, **to_tags([purity]))
    save_view(store, sweep.run_id)
    _, state = read(store, sweep)
    assert [chart["metricKey"] for chart in state["compareRunCharts"]] == ["layer/purity"]


def test_one_image_per_layer_is_charted_as_a_grid(store, tmp_path):
    sweep = begin(store)
    run = add(store, sweep, "one", {}, FOUND)
    for step in (0, 1):
        file = tmp_path / f"null+step+{step}+timestamp+1+x.png"
        file.write_bytes(b"")
        store.client.log_artifact(run, str(file), "images")
    save_view(store, sweep.run_id)
    _, state = read(store, sweep)
    (grid,) = (chart for chart in state["compareRunCharts"] if chart["type"] == "IMAGE")
    assert grid["imageKeys"] == ["null"]
    assert grid["metricSectionId"] in [s["uuid"] for s in state["compareRunSections"]]


def test_a_sweep_of_which_no_job_has_begun_has_a_view_too(store):
    sweep = begin(store)
    save_view(store, sweep.run_id)
    assert read(store, sweep)[1]["compareRunCharts"] == []


def test_a_view_saved_in_the_browser_is_kept(store):
    sweep = begin(store)
    first = save_view(store, sweep.run_id)
    own = {"name": "mine", "createdAt": 1, "updatedAt": 2, "state": '{"compareRunCharts":[]}'}
    key = f"mlflow.sharedViewState.{sweep.run_id}"
    for kept in (json.dumps(own), "deflate;eJyrrgUAAXUA+Q=="):
        store.client.set_experiment_tag(store.experiment_id("asked"), key, kept)
        assert save_view(store, sweep.run_id) == first
        assert store.client.get_experiment(store.experiment_id("asked")).tags[key] == kept


def test_old_sweeps_leave_the_menu_and_keep_their_view(store, monkeypatch):
    monkeypatch.setattr(views, "_LISTED", 2)
    clock = iter(range(1, 100))
    monkeypatch.setattr(views, "time", SimpleNamespace(time=lambda: next(clock)))
    sweeps = []
    for fingerprint in "abcd":
        sweeps.append(begin(store, fingerprint))
        save_view(store, sweeps[-1].run_id)
    tags = store.client.get_experiment(store.experiment_id("asked")).tags
    kept = [json.loads(tags[f"mlflow.sharedViewState.{sweep.run_id}"]) for sweep in sweeps]
    assert ["name" in view for view in kept] == [False, False, True, True]
    # Without the envelope the tag is the state itself, which MLflow reads as well.
    assert sweeps[0].run_id in kept[0]["searchFilter"]


def test_jobs_differ_in_their_colours():
    colours = [job_colour(number) for number in range(60)]
    assert all(re.fullmatch("#[0-9A-F]{6}", code) for code in colours)
    assert len(set(colours)) == 60


def terms_of(state):
    """The names of all fields of a view, and the values that are MLflow's own words."""
    if isinstance(state, dict):
        return {*state, *(term for value in state.values() for term in terms_of(value))}
    if isinstance(state, list):
        return {term for value in state for term in terms_of(value)}
    return set()


def test_mlflows_user_interface_still_has_the_terms_of_the_view(store, tmp_path):
    sweep = begin(store)
    run = add(store, sweep, "one", {}, {**FOUND, "peak_value": {0: 0.7}}, **TAGS)
    file = tmp_path / "null+step+0+timestamp+1+x.png"
    file.write_bytes(b"")
    store.client.log_artifact(run, str(file), "images")
    address = urlsplit(save_view(store, sweep.run_id))
    view, state = read(store, sweep)
    words = {"mlflow.sharedViewState", "Model metrics", "SHOW_ALL", "FIRST_20_RUNS", "CHART"}
    words |= {"LINE", "BAR", "IMAGE", "All Runs", "Active", "mlflow.runColor"}
    terms = words | terms_of(state) | (view.keys() - {"interp"})
    terms |= parse_qs(address.fragment.partition("?")[2]).keys()
    scripts = Path(mlflow.__file__).parent.glob("server/js/build/static/js/**/*.js")
    interface = "".join(script.read_text(encoding="utf-8") for script in scripts)
    assert interface, f"MLflow {mlflow.__version__} keeps its user interface elsewhere"
    missing = sorted(term for term in terms if term not in interface)
    assert not missing, f"MLflow {mlflow.__version__} lacks {missing}: see tracking/charts.py"
