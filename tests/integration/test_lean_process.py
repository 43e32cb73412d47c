"""What a process that has its activations imports: neither torch nor transformers."""

import builtins
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from interp.cache import ActivationStore
from interp.cli.main import CONF
from interp.runner.analysis import ANALYSES, asks_for
from interp.runner.build import build
from interp.runner.inputs import Inputs

ROOT = Path(__file__).parents[2]

# Of every analysis that asks for activations, but for the one that reads both models' vocabularies.
SMALL = {
    "layer_similarity": "prompts.count=6 analysis.permutations=20",
    "layer_matrix": "prompts.count=6 analysis.permutations=20",
    "layer_geometry": "prompts.count=6 hook.layers=0 analysis.permutations=20 reduction=pca",
    "token_similarity": "prompts=red_cat_blue_cat position=target hook=resid_post",
    "rotation": (
        "prompts=him_her prompts.fillers.subject=[He] position=target_and_before hook=resid_post"
    ),
    "neuron_clusters": (
        "prompts=him_her prompts.fillers.subject=[He] position=target hook=mlp_post hook.layers=0 "
        "reduction=pca analysis.permutations=19"
    ),
    "context_clustering": (
        "prompts=names_and_objects prompts.doses=[0,1] position=target hook=resid_post "
        "hook.layers=0 analysis.permutations=19 analysis.resamples=100"
    ),
}
READS_WORDS = {"activation_alignment"}


def test_every_analysis_of_activations_is_looked_at():
    analyses = {name for name in ANALYSES if asks_for(ANALYSES[name], "activations")}
    assert analyses == set(SMALL) | READS_WORDS


@pytest.mark.parametrize("name", SMALL)
def test_an_analysis_of_activations_imports_no_torch(name, tmp_path, monkeypatch):
    overrides = ["model=tiny", f"analysis={name}", *SMALL[name].split()]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        experiment = build(compose("config", overrides=overrides))
    inputs = Inputs(experiment, tmp_path, ActivationStore(tmp_path, 10**9))
    # These two read the model.
    assert inputs.plan is not None
    assert inputs.activations is not None
    imported = {type(experiment.analysis).__module__}
    load = builtins.__import__

    def recorded(module, namespace=None, own=None, names=(), level=0):
        importer = str((namespace or {}).get("__name__"))
        if importer.startswith(("interp.", "experiments.")) and importer != "interp.runner.run":
            package = (namespace or {}).get("__package__")
            absolute = importlib.util.resolve_name("." * level + module, package)
            parts = [f"{absolute}.{part}" for part in names or ()]
            imported.update([absolute, *(part for part in parts if part in sys.modules)])
        return load(module, namespace, own, names, level)

    monkeypatch.setattr(builtins, "__import__", recorded)
    inputs.call(experiment.analysis.check)
    inputs.call(experiment.analysis)
    monkeypatch.undo()

    # Here torch has been there all along; a fresh process tells what brings it in.
    code = f"import sys, {', '.join(sorted(imported))}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "numpy" in loaded
    assert not {"torch", "transformers", "mlflow"} & set(loaded)


def test_the_revision_of_a_model_in_the_hub_s_cache_imports_no_torch(tmp_path):
    commit, cache = "a" * 40, tmp_path / "models--someone--small"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    snapshot = cache / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "gpt2"}')
    code = (
        "import sys; from interp.models import Hub; "
        "print(Hub(repo='someone/small').revision, *sys.modules)"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    revision, *loaded = said.stdout.split()
    assert revision == f"someone/small@{commit}"
    assert not {"torch", "transformers"} & set(loaded)
