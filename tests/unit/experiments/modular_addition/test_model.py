"""Transformers of modular arithmetic, against TransformerLens and against their whole forward."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interp.core.errors import ConfigError
from interp.data.positions import All, Last
from interp.data.prompts import from_marked
from interp.experiments.modular_addition.model import ModularArithmetic, ModularCheckpoint
from interp.experiments.modular_addition.model.effective_weights import effective_weights
from interp.experiments.modular_addition.model.last_position import all_pairs, last_position
from interp.experiments.modular_addition.model.transformer import (
    ModularArithmeticConfig,
    ModularArithmeticForCausalLM,
)
from interp.forward.capture import capture
from interp.hooks import HOOKS
from interp.hooks.heads import Pattern
from interp.hooks.neurons import MlpPost
from interp.hooks.vocabulary import Logits
from interp.models import Folder, Random
from interp.models.weights import mlp_weights, value_output_weights
from tests.references import hooked_transformer

REFERENCE = np.load(hooked_transformer.FILE)
PAIRS = [f"{a} {b} =" for a in range(7) for b in range(7)]
EVERY_PAIR = from_marked({"all": PAIRS})
SMALL = ModularArithmetic(modulus=7, hidden_size=16, heads=4, head_dim=4, neurons=24, seed=5)

# TransformerLens's names of what our hook points read.
SITES = {
    "hook_embed": "embed",
    "hook_pos_embed": "pos_embed",
    "blocks.0.hook_resid_pre": "resid_pre",
    "blocks.0.attn.hook_q": "q",
    "blocks.0.attn.hook_k": "k",
    "blocks.0.attn.hook_v": "v",
    "blocks.0.attn.hook_attn_scores": "attn_scores",
    "blocks.0.attn.hook_pattern": "pattern",
    "blocks.0.attn.hook_z": "z",
    "blocks.0.hook_attn_out": "attn_out",
    "blocks.0.hook_resid_mid": "resid_mid",
    "blocks.0.mlp.hook_pre": "mlp_pre",
    "blocks.0.mlp.hook_post": "mlp_post",
    "blocks.0.hook_mlp_out": "mlp_out",
    "blocks.0.hook_resid_post": "resid_post",
}


def test_the_sites_are_all_that_transformer_lens_caches():
    cached = [name for name in REFERENCE.files if "logits" not in name]
    assert sorted(cached) == sorted(SITES)
    assert len(SITES) == 15


@pytest.mark.parametrize("name", SITES)
def test_a_site_is_transformer_lens_own(name):
    expected = REFERENCE[name]
    source = ModularCheckpoint(path=str(hooked_transformer.CURRENT))
    hook = HOOKS.build({"name": SITES[name]})
    found = capture(source, EVERY_PAIR, hook, All()).values[0]
    # A token a row, and of patterns and scores the heads within: [prompt, query, head, key].
    found = found.reshape(len(PAIRS), 3, *found.shape[1:])
    if name.endswith(("scores", "pattern")):
        found = found.swapaxes(1, 2)
    assert found.shape == expected.shape
    visible = np.isfinite(found)
    # Where a token may not look TransformerLens has -inf too.
    assert np.array_equal(visible, np.isfinite(expected))
    scale = np.abs(expected[visible]).max()
    np.testing.assert_allclose(found[visible], expected[visible], atol=5e-6 * scale, rtol=0)


@pytest.mark.parametrize(
    ("file", "name"),
    [(hooked_transformer.CURRENT, "logits"), (hooked_transformer.OLDER, "older.logits")],
)
def test_logits_of_a_state_dict_are_transformer_lens_own(file, name):
    model = ModularCheckpoint(path=str(file)).load(head=True)
    ids = torch.tensor([model.tokenizer(text)["input_ids"] for text in PAIRS])
    with torch.inference_mode():
        found = model.head(ids).logits.numpy()
    np.testing.assert_allclose(found, REFERENCE[name], atol=5e-6 * np.abs(REFERENCE[name]).max())


def test_numbers_are_their_own_ids_and_equals_comes_after_them():
    assert SMALL.tokenizer()("3 0 =")["input_ids"] == [3, 0, 7]


def test_what_is_no_number_is_refused_by_its_text():
    with pytest.raises(ConfigError, match="no token for some word of 'one 2 ='"):
        SMALL.skeleton().tokenize(["1 2 =", "one 2 ="])


def drawn(bias=False, **sizes):
    """A model in float64 whose biases, where it has any, are not 0."""
    torch.manual_seed(3)
    config = ModularArithmeticConfig(
        **{
            "modulus": 11,
            "hidden_size": 12,
            "num_attention_heads": 3,
            "head_dim": 5,
            "intermediate_size": 20,
            **sizes,
        },
        bias=bias,
    )
    model = ModularArithmeticForCausalLM(config).double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("output_size", [11, 12])
def test_the_last_position_alone_has_logits_and_gradients_of_the_whole_forward(bias, output_size):
    model = drawn(bias, output_size=output_size)
    a, b = torch.randint(11, (2, 40), generator=torch.Generator().manual_seed(0))
    answers = (a + b) % 11
    ids = torch.stack([a, b, torch.full_like(a, 11)], dim=1)
    whole, short = model(ids).logits[:, -1], last_position(model, a, b).logits
    torch.testing.assert_close(short, whole, rtol=1e-12, atol=1e-12)
    for name, weight in model.named_parameters():
        expected, found = (
            torch.autograd.grad(
                torch.nn.functional.cross_entropy(logits, answers), weight, retain_graph=True
            )[0]
            for logits in (whole, short)
        )
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13, msg=name)


@pytest.mark.parametrize(
    ("hook", "field"), [(Pattern(), "pattern"), (MlpPost(), "mlp_post"), (Logits(), "logits")]
)
def test_what_is_computed_of_all_pairs_is_what_is_captured(hook, field):
    model = SMALL.load(head=True)
    found = getattr(all_pairs(model.head), field)
    read = capture(SMALL, EVERY_PAIR, hook, Last())
    expected = read.points(0, np.arange(49)).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_effective_weights_are_products_of_the_weights_found_in_any_model():
    model = SMALL.load(head=True)
    found = effective_weights(model.head)
    (attention,), (mlp,) = value_output_weights(model), mlp_weights(model)
    embedding, unembedding = model.token_embedding[:7], model.unembedding_matrix[:7]
    np.testing.assert_array_equal(found.embedding, embedding)
    (inputs,) = mlp.inputs.values()
    for head in range(4):
        expected = embedding @ attention.value[head] @ attention.output[head] @ inputs
        np.testing.assert_allclose(found.neurons[head], expected, atol=1e-6)
    np.testing.assert_allclose(found.logits, mlp.output @ unembedding.T, atol=1e-6)


def test_kernels_agree_and_the_pattern_adds_up():
    ids = torch.tensor([[1, 2, 7], [6, 0, 7]])
    found = {}
    for kernel in ("eager", "sdpa"):
        source = ModularArithmetic(
            modulus=7, hidden_size=16, heads=4, head_dim=4, neurons=24, seed=5, attention=kernel
        )
        with torch.inference_mode():
            found[kernel] = source.load(head=True).head(ids, output_attentions=True)
    torch.testing.assert_close(found["eager"].logits, found["sdpa"].logits)
    pattern = found["eager"].attentions[0]
    torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 4, 3))
    assert not pattern.triu(1).any()


def test_padding_changes_nothing():
    model = SMALL.load(head=True).head
    with torch.inference_mode():
        alone = model(torch.tensor([[1, 2]])).logits
        padded = model(torch.tensor([[1, 2, 0]]), attention_mask=torch.tensor([[1, 1, 0]])).logits[
            :, :2
        ]
    torch.testing.assert_close(padded, alone)


def test_the_same_seed_draws_the_same_weights():
    again = ModularArithmetic(modulus=7, hidden_size=16, heads=4, head_dim=4, neurons=24, seed=5)
    other = ModularArithmetic(modulus=7, hidden_size=16, heads=4, head_dim=4, neurons=24, seed=6)
    weights = [s.load(head=True).head.lm_head.weight.clone() for s in (SMALL, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_saved_model_is_read_back_as_any_folder_and_as_a_checkpoint(tmp_path):
    model = SMALL.load(head=True)
    model.head.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    for source in (ModularCheckpoint(path=str(tmp_path)), Folder(path=str(tmp_path))):
        read = source.load(head=True)
        assert read.tokenizer("3 0 =")["input_ids"] == [3, 0, 7]
        for name, weight in model.head.state_dict().items():
            assert torch.equal(read.head.state_dict()[name], weight)


def test_an_untrained_twin_has_the_architecture_and_other_weights():
    trained = ModularCheckpoint(path=str(hooked_transformer.CURRENT))
    twin = ModularCheckpoint(path=str(hooked_transformer.CURRENT), untrained=True)
    assert twin.is_drawn
    assert twin.config().to_diff_dict() == trained.config().to_diff_dict()
    assert not torch.equal(
        twin.load(head=True).head.lm_head.weight, trained.load(head=True).head.lm_head.weight
    )


def test_the_bundled_model_is_small_and_records_how_it_was_made():
    source = ModularCheckpoint()
    folder = source.where()[0]
    weights = load_file(f"{folder}/model.safetensors")
    assert sum(w.numel() * w.element_size() for w in weights.values()) < 1e6
    trained_on = source.config().trained_on
    assert trained_on["train_fraction"] == 0.3
    assert {"modulus", "operation", "seed", "weight_decay", "learning_rate"} <= set(trained_on)
    history = source.training()
    assert history["test_accuracy"].iloc[0] < 0.02
    assert history["test_accuracy"].iloc[-1] == 1


def test_the_bundled_model_answers_every_pair():
    found = all_pairs(ModularCheckpoint().load(head=True).head).logits.argmax(-1)
    a, b = np.indices((113, 113))
    assert np.array_equal(found, (a + b) % 113)
    assert found.size == 12769


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: "nowhere", "no folder, and no .pt or .pth file"),
        (lambda folder: folder, "no config.json in"),
    ],
)
def test_a_path_without_a_model_is_refused(make, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        ModularCheckpoint(path=str(make(tmp_path))).skeleton()


def test_another_kind_of_model_is_refused(tmp_path, tiny):
    tiny.load().module.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="holds a gpt2, no transformer of modular arithmetic"):
        ModularCheckpoint(path=str(tmp_path)).skeleton()


@pytest.mark.parametrize("name", ["modulus", "hidden_size", "heads", "head_dim", "neurons"])
def test_sizes_that_cannot_be_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} must be at least"):
        ModularArithmetic(**{name: 0})


def test_a_missing_final_norm_is_reported():
    with pytest.raises(ConfigError, match="not at all"):
        capture(SMALL, EVERY_PAIR, HOOKS.build({"name": "final_norm"}), Last())


@pytest.mark.parametrize(
    ("architecture", "settings", "path"),
    [
        ("gpt2", {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 32}, "wpe"),
        (
            "bert",
            {
                "hidden_size": 16,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "intermediate_size": 32,
            },
            "embeddings.position_embeddings",
        ),
        (
            "opt",
            {
                "hidden_size": 16,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "ffn_dim": 32,
                "word_embed_proj_dim": 16,
            },
            "decoder.embed_positions",
        ),
    ],
)
def test_positions_are_rows_of_their_table_one_after_the_other(architecture, settings, path):
    source = Random(architecture=architecture, settings=settings)
    prompts = from_marked({"all": ["ab", "abcd"]})
    read = capture(source, prompts, HOOKS.build({"name": "pos_embed"}), All(special=True))
    table = source.load().module.get_submodule(path).weight.detach().numpy()
    offset = 2 if architecture == "opt" else 0
    rows = read.samples["position"].to_numpy() + offset
    np.testing.assert_array_equal(read.values[0], table[rows])


def test_gpt2_enters_its_blocks_with_tokens_and_positions(tiny, prompts):
    read = {
        name: capture(tiny, prompts, HOOKS.build({"name": name}), All(special=True)).values[0]
        for name in ("embed", "pos_embed", "resid_pre")
    }
    np.testing.assert_array_equal(read["embed"] + read["pos_embed"], read["resid_pre"])


def test_rotary_models_have_no_embedding_of_positions(prompts):
    source = Random(
        architecture="llama",
        settings={
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "intermediate_size": 32,
        },
    )
    with pytest.raises(ConfigError, match=r"has no pos_embed.*there are .*embed"):
        capture(source, prompts, HOOKS.build({"name": "pos_embed"}), Last())


def test_weights_of_another_size_than_the_configuration_are_named(tmp_path):
    SMALL.load(head=True).head.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 25}))
    with pytest.raises(ConfigError, match=r"up_proj.weight of .* is \[24, 16\].*\[25, 16\]"):
        ModularCheckpoint(path=str(tmp_path)).load(head=True)
