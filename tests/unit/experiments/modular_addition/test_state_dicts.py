"""State dicts of modular arithmetic that TransformerLens and the first grokking notebook wrote.

What is read of them must compute what TransformerLens computes.
"""

import argparse
import math
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save

from interp.core.errors import ConfigError
from interp.experiments.modular_addition.model.state_dicts import convert
from tests.references import hooked_transformer
from tests.references.hooked_transformer import CURRENT, OLDER, prompts

SIZES = {
    "modulus": 7,
    "vocab_size": 8,
    "max_position_embeddings": 3,
    "hidden_size": 16,
    "num_attention_heads": 4,
    "head_dim": 4,
    "intermediate_size": 24,
    "bias": True,
}
FILES = [
    pytest.param(CURRENT, 7, "logits", id="current"),
    pytest.param(OLDER, 8, "older.logits", id="older"),
]
BOTH = pytest.mark.parametrize("file", [CURRENT, OLDER], ids=["current", "older"])


def weights_of(file):
    return torch.load(file, weights_only=True)


@pytest.fixture
def saved(tmp_path):
    def save_as(content):
        torch.save(content, tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return save_as


def logits_of(found, tokens):
    """Compute the logits [prompt, position, output] with heads one after the other in q, k, v."""
    weights = {name.removeprefix("model.layers.0."): w for name, w in found.state_dict.items()}

    def linear(name, x):
        return torch.nn.functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def of_heads(name):
        split = linear(f"self_attn.{name}_proj", x).unflatten(-1, (-1, found.config.head_dim))
        return split.transpose(1, 2)

    x = weights["model.embed_tokens.weight"][tokens] + weights["model.embed_positions.weight"]
    q, k, v = of_heads("q"), of_heads("k"), of_heads("v")
    later = torch.ones(3, 3, dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(found.config.head_dim)).masked_fill(later, -torch.inf)
    x = x + linear("self_attn.o_proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
    x = x + linear("mlp.down_proj", linear("mlp.up_proj", x).relu())
    return linear("lm_head", x)


@pytest.mark.parametrize(("file", "outputs", "name"), FILES)
def test_it_computes_what_transformer_lens_computes(file, outputs, name):
    expected = np.load(hooked_transformer.FILE)[name]
    found = logits_of(convert(file), prompts())
    assert expected.shape == (49, 3, outputs)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("file", "outputs", "name"), FILES)
def test_the_tensors_have_the_names_and_shapes_of_the_model(file, outputs, name):
    found = convert(file)
    block = "model.layers.0"
    projections = {
        **{f"{block}.self_attn.{part}_proj": (16, 16) for part in "qkvo"},
        f"{block}.mlp.up_proj": (24, 16),
        f"{block}.mlp.down_proj": (16, 24),
        "lm_head": (outputs, 16),
    }
    sizes = {**SIZES, "output_size": outputs}
    assert {field: getattr(found.config, field) for field in sizes} == sizes
    assert {name: tuple(w.shape) for name, w in found.state_dict.items()} == {
        "model.embed_tokens.weight": (8, 16),
        "model.embed_positions.weight": (3, 16),
        **{f"{name}.weight": shape for name, shape in projections.items()},
        **{f"{name}.bias": shape[:1] for name, shape in projections.items()},
    }
    # safetensors takes no tensor that is a view of another, or out of order.
    assert save(found.state_dict)


@BOTH
@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_a_state_dict_is_found_among_other_entries(file, key, saved):
    found = convert(saved({"epoch": 3, "train_losses": [0.1], key: weights_of(file)}))
    plain = convert(file)
    assert found.config.to_dict() == plain.config.to_dict()
    assert found.state_dict.keys() == plain.state_dict.keys()
    for name, weight in plain.state_dict.items():
        assert torch.equal(found.state_dict[name], weight)


def test_a_configuration_of_transformer_lens_with_the_weights_is_ignored(saved, monkeypatch):
    module = types.ModuleType("transformer_lens.HookedTransformerConfig")

    class HookedTransformerConfig:
        def __init__(self):
            self.d_model, self.dtype, self.device = 16, torch.float32, torch.device("cpu")

    HookedTransformerConfig.__module__ = module.__name__
    HookedTransformerConfig.__qualname__ = "HookedTransformerConfig"
    module.HookedTransformerConfig = HookedTransformerConfig
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "transformer_lens", types.ModuleType("transformer_lens"))
        patch.setitem(sys.modules, module.__name__, module)
        # As the grokking demos save their checkpoints.
        content = {"model": weights_of(CURRENT), "config": HookedTransformerConfig(), "losses": []}
        path = saved(content)
    # Without TransformerLens.
    found, expected = convert(path).state_dict, convert(CURRENT).state_dict
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("older", [False, True], ids=["current", "older"])
def test_layouts_are_distinguished_where_every_size_is_the_same(older, saved):
    # One head as wide as the stream, as many tokens and neurons as dimensions.
    size = 6
    names = ("embed.W_E", "pos_embed.W_pos", "blocks.0.mlp.W_in", "blocks.0.mlp.W_out")
    weights = {name: torch.randn(size, size) for name in (*names, "unembed.W_U")}
    for name in ("W_Q", "W_K", "W_V"):
        weights[f"blocks.0.attn.{name}"] = torch.randn(1, size, size)
    weights["blocks.0.attn.W_O"] = torch.randn(size, size) if older else torch.randn(1, size, size)
    found = convert(saved(weights))
    # Whether the file's matrix is ours turned over.
    turned = {
        "model.embed_tokens": ("embed.W_E", older),
        "model.layers.0.self_attn.q_proj": ("blocks.0.attn.W_Q", not older),
        "model.layers.0.self_attn.k_proj": ("blocks.0.attn.W_K", not older),
        "model.layers.0.self_attn.v_proj": ("blocks.0.attn.W_V", not older),
        "model.layers.0.self_attn.o_proj": ("blocks.0.attn.W_O", not older),
        "model.layers.0.mlp.up_proj": ("blocks.0.mlp.W_in", not older),
        "model.layers.0.mlp.down_proj": ("blocks.0.mlp.W_out", not older),
        "lm_head": ("unembed.W_U", True),
    }
    for ours, (theirs, is_turned) in turned.items():
        weight = found.state_dict[f"{ours}.weight"]
        assert torch.equal(weight.T if is_turned else weight, weights[theirs].reshape(size, size))


@BOTH
def test_biases_that_are_all_zero_are_none(file, saved):
    weights = weights_of(file)
    for name, weight in weights.items():
        if ".b_" in name:
            weight.zero_()
    found = convert(saved(weights))
    assert found.config.bias is False
    assert not any(name.endswith("bias") for name in found.state_dict)
    without = {name: weight for name, weight in weights.items() if ".b_" not in name}
    assert convert(saved(without)).state_dict.keys() == found.state_dict.keys()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("blocks.0.attn.b_Q", "model.layers.0.self_attn.q_proj"),
        ("blocks.0.attn.b_K", "model.layers.0.self_attn.k_proj"),
        ("blocks.0.attn.b_V", "model.layers.0.self_attn.v_proj"),
        ("blocks.0.attn.b_O", "model.layers.0.self_attn.o_proj"),
        ("blocks.0.mlp.b_in", "model.layers.0.mlp.up_proj"),
        ("blocks.0.mlp.b_out", "model.layers.0.mlp.down_proj"),
        ("unembed.b_U", "lm_head"),
    ],
)
def test_where_one_bias_is_given_missing_ones_are_zero(name, ours, saved):
    weights = weights_of(CURRENT)
    kept = {key: weight for key, weight in weights.items() if ".b_" not in key or key == name}
    found = convert(saved(kept))
    biases = {key: bias for key, bias in found.state_dict.items() if key.endswith(".bias")}
    assert found.config.bias is True
    assert len(biases) == 7
    assert torch.equal(biases.pop(f"{ours}.bias"), weights[name].flatten())
    assert not any(bias.any() for bias in biases.values())


@BOTH
def test_of_a_longer_context_the_first_three_positions_are_kept(file, saved):
    weights = weights_of(file)
    longer = torch.cat([weights["pos_embed.W_pos"], torch.randn(2, 16)])
    found = convert(saved({**weights, "pos_embed.W_pos": longer}))
    assert found.config.max_position_embeddings == 3
    assert torch.equal(found.state_dict["model.embed_positions.weight"], weights["pos_embed.W_pos"])


ADDED = {
    "blocks.0.ln1.w": "layer norm with learned weights is not supported",
    "ln_final.b": "layer norm with learned weights is not supported",
    "blocks.0.mlp.ln.w": "layer norm with learned weights is not supported",
    "blocks.0.attn.q_norm.w": "layer norm with learned weights is not supported",
    "blocks.0.attn.rotary_sin": "rotary position embedding is not supported",
    "blocks.1.attn.W_Q": "more than one block is not supported",
    "blocks.10.attn.mask": "more than one block is not supported",
    "blocks.0.mlp.W_gate": "a gated MLP is not supported",
    "blocks.0.attn._W_K": "grouped-query attention is not supported",
    "blocks.0.mlp.b_ins": r"has no 'blocks\.0\.mlp\.b_ins'; did you mean 'blocks\.0\.mlp\.b_in'",
}


@pytest.mark.parametrize(("name", "words"), ADDED.items())
def test_a_model_with_other_parts_is_refused(name, words, saved):
    refused({**weights_of(CURRENT), name: torch.ones(16)}, words, saved)


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        "embed.W_E",
        "pos_embed.W_pos",
        *(f"blocks.0.attn.W_{part}" for part in "QKVO"),
        "blocks.0.mlp.W_in",
        "blocks.0.mlp.W_out",
        "unembed.W_U",
    ],
)
def test_every_weight_is_needed(file, name, saved):
    weights = weights_of(file)
    del weights[name]
    refused(weights, f"expected '{name}'", saved)


SHAPES = {
    "embed.W_E": [(16, 8), (8, 12), (8,)],
    "pos_embed.W_pos": [(16,), (1, 3, 16)],
    "blocks.0.attn.W_Q": [(4, 4, 16), (16, 16)],
    "blocks.0.attn.W_K": [(4, 16, 3), (3, 16, 4)],
    "blocks.0.attn.W_V": [(4, 12, 4)],
    "blocks.0.attn.W_O": [(4, 16, 4), (16,), (1, 4, 4, 16)],
    "blocks.0.mlp.W_in": [(24, 16)],
    "blocks.0.mlp.W_out": [(16, 24), (20, 16)],
    "unembed.W_U": [(7, 16)],
    "blocks.0.attn.b_Q": [(16,), (4, 3)],
    "blocks.0.mlp.b_in": [(16,)],
    "unembed.b_U": [(8,)],
}


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
)
def test_a_shape_that_fits_no_layout_is_named(name, shape, saved):
    weights = {**weights_of(CURRENT), name: torch.ones(shape)}
    message = ", ".join(map(str, shape))
    refused(weights, rf"{name} has shape \[{message}\]; expected \[", saved)


def test_an_older_output_projection_must_take_all_heads(saved):
    weights = {**weights_of(OLDER), "blocks.0.attn.W_O": torch.ones(16, 12)}
    refused(
        weights, r"W_O has shape \[16, 12\]; expected \[d_model 16, n_heads\*d_head 16\]", saved
    )


def test_one_layout_with_a_tensor_of_the_other_is_refused(saved):
    weights = weights_of(CURRENT)
    theirs = {**weights_of(OLDER), "embed.W_E": weights["embed.W_E"]}
    refused(theirs, r"embed.W_E has shape \[8, 16\]; expected \[d_model 16, vocab\]", saved)


def test_two_positions_are_too_few(saved):
    weights = weights_of(CURRENT)
    refused({**weights, "pos_embed.W_pos": torch.ones(2, 16)}, "n_ctx 2 is not supported", saved)


@pytest.mark.parametrize("outputs", [6, 9])
def test_the_unembedding_is_of_the_numbers_or_of_all_tokens(outputs, saved):
    weights = {**weights_of(OLDER), "unembed.W_U": torch.ones(16, outputs)}
    refused(weights, f"{outputs} columns; expected 8, one per token, or 7, one per number", saved)


@pytest.mark.parametrize("tensor", [torch.ones(8, 16, dtype=torch.int64), "W_E"])
def test_weights_are_real_numbers(tensor, saved):
    refused({**weights_of(CURRENT), "embed.W_E": tensor}, "expected real numbers in embed", saved)


@pytest.mark.parametrize(
    "content", [[torch.ones(2)], {}, {"model": {}}, {"model": "gpt2", "epoch": 3}, 4, torch.ones(2)]
)
def test_what_holds_no_state_dict_is_refused(content, saved):
    refused(content, "expected a state dict, or a dict that holds one under model or", saved)


def test_a_misspelt_tensor_is_shown_with_the_one_expected(saved):
    weights = weights_of(CURRENT)
    weights["embed.WE"] = weights.pop("embed.W_E")
    refused(weights, r"expected 'embed\.W_E', not 'embed\.WE'", saved)


def test_code_is_not_run_but_named(saved):
    refused(
        {"model": weights_of(CURRENT), "config": argparse.Namespace(d_model=16)},
        "also holds argparse.Namespace: save its state dict alone",
        saved,
    )


@pytest.mark.parametrize("content", [b"", b"weights\n", b"PK\x03\x04"])
def test_what_torch_did_not_save_is_refused(content, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected a state dict that") as refusal:
        convert(path)
    assert_one_line(refusal, path)


@pytest.mark.parametrize("name", ["", "missing.pt"])
def test_what_is_no_file_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="expected a state dict that") as refusal:
        convert(tmp_path / name)
    assert_one_line(refusal, tmp_path / name)


def refused(content, words, saved):
    path = saved(content)
    with pytest.raises(ConfigError, match=words) as refusal:
        convert(path)
    assert_one_line(refusal, path)


def assert_one_line(refusal, path):
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
