"""`dry=true` says what would be done, and does none of it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from interp import compose
from interp.cache import ActivationStore
from interp.cache.files import format_bytes
from interp.forward.throughput import products_per_second
from interp.models import MODELS
from interp.runner.forecast import forecast, passes
from interp.runner.run import run
from interp.tracking import Store, read_run_history

ROOT = Path(__file__).parents[2]
TINY = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")


def interp(outputs, *arguments):
    command = [sys.executable, "-m", "interp", f"outputs={outputs}", *TINY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_lists_its_jobs_and_runs_none(launcher, tmp_path):
    sweep = ("-m", "metric=cosine,linear_cka", f"hydra/launcher={launcher}")
    done = interp(tmp_path, *sweep, "dry=true")
    assert done.returncode == 0, done.stderr
    assert "2 jobs: 2 to do, 0 done; nothing was run" in done.stdout
    assert re.search(r"^0  cosine +to do\n1  linear_cka +to do$", done.stdout, re.M)
    assert "no run of it has finished yet" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["activations"]
    assert not list(tmp_path.rglob("layer*.npy"))


def test_what_is_done_and_what_cannot_run_is_told(tmp_path):
    assert interp(tmp_path, "metric=cosine").returncode == 0
    sweep = ("-m", "metric=cosine,linear_cka", "hook.layers=all,99", "dry=true")
    done = interp(tmp_path, *sweep)
    assert done.returncode == 1
    assert "4 jobs: 1 to do, 1 done, 2 that cannot run; nothing was run" in done.stdout
    assert re.search(r"cosine · layers=all +done on \d{4}-\d\d-\d\d \d\d:\d\d$", done.stdout, re.M)
    assert done.stdout.count("cannot run: hook.layers: no layer 99") == 2
    assert "read   nothing: the store has all" in done.stdout
    assert "1 × " in done.stdout
    assert "median of 1 of layer_similarity" in done.stdout


def test_a_sweep_over_presets_is_looked_for_where_it_is_logged(tmp_path):
    presets = tmp_path / "own" / "experiment"
    presets.mkdir(parents=True)
    for name, metric in (("one", "cosine"), ("other", "rsa")):
        text = f"# @package _global_\n# One.\ndefaults:\n  - override /metric: {metric}\n"
        (presets / f"{name}.yaml").write_text(f"{text}tracking: {{experiment: of_{name}}}\n")
    given = ("-m", "--config-dir", str(tmp_path / "own"), "experiment=one,other")
    assert interp(tmp_path / "outputs", *given).returncode == 0
    done = interp(tmp_path / "outputs", *given, "dry=true")
    assert "2 jobs: 0 to do, 2 done; nothing was run" in done.stdout


def test_a_server_that_does_not_answer_is_a_mistake(tmp_path):
    for mode in ((), ("-m", "metric=cosine,rsa")):
        done = interp(tmp_path, *mode, "dry=true", "tracking.uri=http://127.0.0.1:9")
        assert done.returncode == 1
        assert done.stderr.startswith("interp: tracking.uri: no server answers at")
        assert done.stderr.count("\n") == 1


def test_what_it_says_is_read_is_what_is_read(tmp_path):
    given = (*TINY, f"outputs={tmp_path}")
    both = [compose(*given, "hook.layers=[0,1]"), compose(*given, "hook.layers=[1,2]")]
    ((request, one),) = passes(map(forecast, both))
    assert one.sites == ("hidden_states 0 to 2, mean",)
    texts = [len(ids) for ids in request.source.tokenizer()(list(request.prompts.texts)).input_ids]
    assert (one.prompts, one.tokens) == (len(texts), sum(texts))
    with torch.device("meta"):
        model = AutoModel.from_config(request.source.config())
    # What enters the third block has gone through two.
    weights = sum(p.numel() for block in model.h[:2] for p in block.parameters())
    assert one.products == sum(texts) * weights
    for number, config in enumerate(both):
        run(config, tmp_path / "runs" / str(number))
    values = [np.load(path, mmap_mode="r").nbytes for path in tmp_path.rglob("layer*.npy")]
    assert one.bytes == sum(values)
    assert list(passes(map(forecast, both))) == []
    assert all(forecast(config).known for config in both)
    store = ActivationStore.of(str(tmp_path), 50)
    assert sum(entry.bytes for entry in store.entries() if entry.layers) >= one.bytes


def test_a_reference_is_read_once_a_draw(tmp_path):
    given = (*TINY, "model@reference=tiny", "reference.seed=5", "reference_draws=3")
    found = forecast(compose(*given, f"outputs={tmp_path}"))
    seeds = [request.source.seed for request, _ in found.requests]
    assert seeds == [0, 5, 6, 7]
    assert len(list(passes([found]))) == 4


def test_the_past_is_what_mlflow_has(tmp_path):
    store = Store.of(str(tmp_path), None, 5000)
    assert read_run_history(store, "layer_similarity", "layer_similarity").count == 0
    assert not list(tmp_path.iterdir())
    folder = tmp_path / "run"
    outcome = run(compose(*TINY, f"outputs={tmp_path}"), folder)
    found = read_run_history(store, "layer_similarity", "layer_similarity")
    ran = store.client.get_run(outcome.url.rpartition("/")[2])
    assert found.count == 1
    assert found.seconds == (ran.info.end_time - ran.info.start_time) / 1000
    artifacts = Path(ran.info.artifact_uri.removeprefix("file://"))
    assert found.bytes == sum(p.stat().st_size for p in artifacts.rglob("*") if p.is_file())


def test_a_speed_is_measured_where_the_model_is_computed():
    source = MODELS.build({"name": "random", "architecture": "gpt2", "device": "cpu"})
    assert products_per_second(source) > 1e8


def test_sizes_are_told_in_words():
    assert format_bytes(1_030_000) == "1.03 MB"
