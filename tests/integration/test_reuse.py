"""What is read once, and what is read at all."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from interp.cache import ActivationStore, plan_record, requests
from interp.cache.request import Request
from interp.cache.requests import activations
from interp.data.activations import StoredLayers
from interp.data.positions import All, AttentionMean, Last, Mean, Target
from interp.data.prompts import from_marked
from interp.forward import engine, plan
from interp.forward.capture import capture
from interp.hooks.heads import Value
from interp.hooks.neurons import MlpPost
from interp.hooks.residual import HiddenStates, ResidPost, ResidPre
from interp.hooks.vocabulary import LogitLens


@pytest.fixture
def store(tmp_path):
    return ActivationStore(tmp_path / "activations", 10**9)


@pytest.fixture
def passes(monkeypatch):
    """The layers that each call of `engine.read` was asked for."""
    calls = []

    def counted(works, parts):
        calls.append([(work.hook.site, work.plan.layers) for work in works])
        return read(works, parts)

    read = engine.read
    monkeypatch.setattr(engine, "read", counted)
    return calls


HOOKS = [ResidPost(), HiddenStates(layers=[0, -1]), MlpPost(neurons=[3, 5]), LogitLens(layers=1)]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.site)
@pytest.mark.parametrize("position", [All(), Target(), Mean(), AttentionMean()])
def test_what_is_kept_is_what_is_captured(hook, position, store, passes, prompts, tiny):
    request = Request(tiny, prompts, hook, position)
    expected = capture(tiny, prompts, hook, position)
    for _ in range(2):
        found = activations(request, store)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.layers == expected.layers
        assert found.resolution == expected.resolution
        assert found.samples.to_dict("list") == expected.samples.to_dict("list")
        assert found.unembedding == expected.unembedding
    assert len(passes) == 1


def test_a_plan_is_recalled_as_it_was(store, prompts, tiny):
    request = Request(tiny, prompts, HiddenStates(layers=[2, 0]), All())
    expected = plan.plan(tiny, prompts, request.hook, request.position)
    requests.plan(request, store)
    found = requests.plan(request, store)
    for name, value in vars(expected).items():
        if name == "samples":
            assert found.samples.to_dict("list") == value.to_dict("list")
        else:
            np.testing.assert_array_equal(getattr(found, name), value)


def test_layers_that_are_missing_are_read_and_no_others(store, passes, prompts, tiny):
    for layers in ([1], [0, 1], "all", [2]):
        request = Request(tiny, prompts, ResidPost(layers=layers), Last())
        found = activations(request, store)
        expected = capture(tiny, prompts, request.hook, Last())
        np.testing.assert_array_equal(found.values, expected.values)
    assert passes == [[("resid_post", (1,))], [("resid_post", (0,))], [("resid_post", (2,))]]


def test_what_will_be_wanted_comes_out_of_the_same_pass(store, passes, prompts, tiny):
    first = Request(tiny, prompts, ResidPost(layers=[0]), Last())
    others = [
        replace(first, hook=ResidPost(layers=[2])),
        replace(first, hook=Value()),
        replace(first, position=Mean()),
        replace(first, position=AttentionMean()),
        replace(first, source=replace(tiny, seed=9)),
        replace(first, prompts=from_marked({"a": ["another {fox}"]})),
    ]
    activations(first, store, lambda _: others)
    assert [{site for site, _ in together} for together in passes] == [
        {"resid_post", "v"},
        {"resid_post"},
    ]
    for request in others[:4]:
        found = activations(request, store)
        expected = capture(tiny, prompts, request.hook, request.position)
        np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    assert len(passes) == 2
    activations(others[4], store)
    assert len(passes) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"seed": 1}},
        {"source": {"dtype": "bfloat16"}},
        {"source": {"attention": "eager"}},
        {"hook": ResidPre()},
        {"position": Mean()},
        {"prompts": from_marked({"a": ["an {owl}"]})},
    ],
    ids=str,
)
def test_whatever_decides_the_values_decides_where_they_are_kept(change, prompts, tiny):
    request = Request(tiny, prompts, ResidPost(), Last())
    changed = {k: replace(tiny, **v) if k == "source" else v for k, v in change.items()}
    other = replace(request, **changed)
    assert other.key != request.key
    assert other.values != request.values


def test_neither_the_device_nor_the_choice_of_layers_decides_values(prompts, tiny):
    request = Request(tiny, prompts, ResidPost(), Last())
    assert replace(request, source=replace(tiny, device="cpu")).values == request.values
    fewer = replace(request, hook=ResidPost(layers=[1]))
    assert fewer.values == request.values
    assert fewer.key != request.key


def test_chunks_are_put_together_in_order(store, monkeypatch, tiny):
    monkeypatch.setattr(plan_record, "_TOKENS_PER_BLOCK", 40)
    monkeypatch.setattr(plan_record, "_BYTES_PER_CHUNK", 1000)
    texts = [f"{'word ' * (i % 4)}number {i}" for i in range(30)]
    many = from_marked({"a": texts})
    for hook, position in ((ResidPost(), All()), (Value(layers=[0, 2]), Last())):
        request = Request(tiny, many, hook, position)
        found = activations(request, store)
        expected = capture(tiny, many, hook, position)
        np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
        entry = next(e for e in store.entries() if e.key == request.values)
        assert entry.samples == len(expected.samples)
    n_files = len(list((store.folder / request.values[:2] / request.values).glob("*.npy")))
    assert n_files > 2 * 3


def test_a_chunk_that_was_damaged_is_read_anew_and_no_other(store, monkeypatch, passes, tiny):
    monkeypatch.setattr(plan_record, "_TOKENS_PER_BLOCK", 40)
    monkeypatch.setattr(plan_record, "_BYTES_PER_CHUNK", 1000)
    many = from_marked({"a": [f"number {i}" for i in range(30)]})
    request = Request(tiny, many, ResidPost(), All())
    expected = np.array(activations(request, store).values)
    files = sorted((store.folder / request.values[:2] / request.values).glob("*.npy"))
    content = bytearray(files[4].read_bytes())
    content[-1] ^= 1
    files[4].unlink()
    files[4].write_bytes(content)
    np.testing.assert_allclose(activations(request, store).values, expected, atol=1e-6)
    assert [len(layers) for [(_, layers)] in passes] == [3, 1]


def test_values_too_large_to_hold_are_read_layer_by_layer(store, monkeypatch, prompts, tiny):
    request = Request(tiny, prompts, ResidPost(), All())
    held = activations(request, store)
    monkeypatch.setattr(requests, "_HELD_AT_ONCE", 1)
    lazy = activations(request, store)
    assert isinstance(lazy.values, StoredLayers)
    assert lazy.values.shape == held.values.shape
    rows = np.array([4, 0, 2])
    for i in range(3):
        np.testing.assert_array_equal(lazy.values[i], held.values[i])
        np.testing.assert_array_equal(lazy.points(i, rows), held.points(i, rows))
    np.testing.assert_array_equal(lazy.values[1, rows], held.values[1, rows])
    np.testing.assert_array_equal(np.asarray(lazy.values), held.values)
    assert [len(layer) for layer in lazy.values] == [held.values.shape[1]] * 3


@pytest.mark.parametrize(
    "index",
    [
        *(1, -1, (0, 5), (2, -1), (0, [5, 5, 0]), (1, slice(2, 7)), (0, slice(None), 3)),
        *((1, np.array([6, 0]), slice(1, 3)), (2, np.array([[1, 4], [7, 3]])), (0, [])),
        *((1, np.arange(8) % 3 == 0), (0, 4, 2)),
    ],
    ids=str,
)
def test_layers_in_files_are_indexed_as_an_array_is(index):
    array = np.random.default_rng(0).normal(size=(3, 8, 4)).astype(np.float32)
    stored = StoredLayers([np.split(layer, [3, 4]) for layer in array])
    if isinstance(index, tuple) and isinstance(index[1], list):
        index = (index[0], np.array(index[1], int))
    np.testing.assert_array_equal(stored[index], array[index])
    with pytest.raises(TypeError):
        stored[:2]


def test_a_few_samples_are_read_without_the_rest_of_their_layer():
    class Untouched(np.ndarray):
        def __getitem__(self, _):
            raise AssertionError

    array = np.arange(24, dtype=np.float32).reshape(1, 6, 4)
    first, last = array[0, :3].view(Untouched), array[0, 3:]
    np.testing.assert_array_equal(StoredLayers([[first, last]])[0, [5, 3]], array[0, [5, 3]])


def test_nobody_changes_what_is_kept(store, prompts, tiny):
    request = Request(tiny, prompts, ResidPost(), Last())
    once = activations(request, store)
    before = np.array(once.values)
    once.values[:] = 0
    np.testing.assert_array_equal(activations(request, store).values, before)


def test_what_is_kept_is_found_without_a_model(store, prompts, tiny):
    request = Request(tiny, prompts, ResidPost(), Last())
    activations(request, store)
    code = f"""
import sys
from pathlib import Path
from interp.hooks.residual import ResidPost
from interp.models import Random
from interp.data.positions import Last
from interp.data.prompts import PromptSet
from interp.cache.request import Request
from interp.cache.requests import activations
from interp.cache import ActivationStore
request = Request(
    Random(architecture="gpt2", settings={dict(tiny.settings)!r}),
    PromptSet({prompts.texts!r}, {prompts.groups!r}, {prompts.targets!r}), ResidPost(), Last()
)
store = ActivationStore(Path({str(store.folder)!r}), 10**9)
assert activations(request, store).values.shape[0] == 3
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    for heavy in ("torch", "transformers", "tokenizers", "sklearn", "scipy", "matplotlib"):
        assert heavy not in loaded
