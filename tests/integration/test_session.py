"""From Python: what the command line does, and what a notebook shows of it."""

import base64
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from interp import activations, compose, load, run
from interp.cache import ActivationStore
from interp.core.errors import ConfigError, StorageError
from interp.models import ModelSource

TINY = ("model=tiny", "model.device=cpu", "prompts.count=6", "analysis.permutations=19")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    return run(compose(*TINY, "metric=linear_cka", f"outputs={outputs}"))


def test_it_is_the_configuration_that_the_command_line_prints():
    given = [*TINY, "hook=module", "hook.path=h.{layer}.mlp"]
    command = [sys.executable, "-m", "interp", "--cfg", "job", "--resolve", *given]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    from omegaconf import OmegaConf

    assert OmegaConf.to_container(compose(*given), resolve=True) == OmegaConf.to_container(
        OmegaConf.create(said)
    )


def test_what_it_returns_is_what_the_run_left(outcome):
    left = json.loads((outcome.folder / "result.json").read_text())
    assert outcome.result.scalars == left["scalars"]
    (similarity,) = outcome.result.tested
    recorded = left["tested"]["metrics"]["layer/value_score"]
    assert dict(zip(map(str, similarity.steps), similarity.score, strict=True)) == recorded
    assert "linear CKA" in repr(outcome)


def test_a_notebook_shows_finding_table_and_figures(outcome):
    shown = outcome._repr_html_()
    assert outcome.result.finding.split(" (")[0] in shown
    for column in outcome.result.tables["summary"].columns:
        assert f"<th>{column}</th>" in shown
    images = re.findall(r'src="data:image/png;base64,(.+?)"', shown)
    pngs = sorted(outcome.folder.glob("figures/*.png"))
    assert [base64.b64decode(image) for image in images] == [path.read_bytes() for path in pngs]
    (width,) = {Image.open(io.BytesIO(base64.b64decode(image))).width for image in images}
    assert f"width: {width // 2}px" in shown


def test_an_equal_run_is_shown_with_its_figures(outcome):
    outputs = outcome.folder.parents[2]
    again = run(compose(*TINY, "metric=linear_cka", f"outputs={outputs}"))
    assert again.reused
    assert again._repr_html_().count("<img") == outcome._repr_html_().count("<img") > 0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["metric=cosin"], "did you mean 'cosine'"),
        (["seeds=1"], "there is no 'seeds'"),
        (["model=tiny,minilm"], "takes one value"),
        (["metric=[cosine,linear_cka]"], "takes one choice"),
    ],
)
def test_a_mistake_is_one_line(overrides, said):
    with pytest.raises(ConfigError, match=said) as error:
        compose(*overrides)
    assert "\n" not in str(error.value)


def test_a_value_that_was_changed_by_hand_is_checked(tmp_path):
    config = compose(*TINY, f"outputs={tmp_path}")
    config.metric.name = "cosin"
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        run(config)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_run_is_told():
    with pytest.raises(ConfigError, match=r"run\(compose\('experiment=rotation'\)\)"):
        run("experiment=rotation")
    with pytest.raises(ConfigError, match="dry"):
        run(compose("dry=true"))


def test_ones_own_choices_stand_beside_the_projects(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults:\n  - override /metric: trace\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    assert compose("experiment=mine", config_dir=tmp_path).metric.name == "trace"
    with pytest.raises(ConfigError, match="no folder"):
        compose(config_dir=tmp_path / "nowhere")


def test_activations_are_what_a_run_reads_and_are_read_once(tmp_path, monkeypatch):
    config = compose(*TINY, "hook.layers=[0,3]", "position=last", f"outputs={tmp_path}")
    captured = activations(config)
    assert captured.values.dtype == np.float32
    assert captured.values.shape[:2] == (2, len(captured.samples)) == (2, 12)
    assert captured.layers == (0, 3)
    assert list(captured.samples.group.unique()) == ["digits", "words"]
    # Nothing is logged, and the activations are kept where a run finds them.
    assert {path.name for path in tmp_path.iterdir()} == {"activations"}
    assert ActivationStore.of(str(tmp_path), 50).entries()

    def load_weights(_, **__):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(ModelSource, "load", load_weights)
    assert np.array_equal(activations(config).values, captured.values)
    assert run(config).result.tested[0].steps == (0, 3)


def test_a_result_is_loaded_from_its_folder_or_its_outcome(outcome, tmp_path):
    for given in (outcome, outcome.folder, str(outcome.folder)):
        result = load(given)
        assert result.finding == outcome.result.finding
        assert result.scalars == outcome.result.scalars
        ((found,), (expected,)) = (one.tested[:1] for one in (result, outcome.result))
        assert found.name == expected.name
        assert np.allclose(found.values, expected.values, equal_nan=True)
    with pytest.raises(StorageError, match=r"load: there is no result\.json in "):
        load(tmp_path)


@pytest.mark.parametrize("call", [run, activations])
def test_only_a_configuration_is_taken(call):
    with pytest.raises(ConfigError, match=rf"{call.__name__} takes what compose returns"):
        call("experiment=rotation")


def test_the_surface_is_what_is_documented():
    import interp

    assert interp.__all__ == ["activations", "compose", "load", "run"]
    for name in interp.__all__:
        assert f" {name}" in interp.__doc__.splitlines()[2]
        assert ">>> " in getattr(interp, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = interp.nothing
