"""Captured values against Hugging Face's own outputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.core.errors import ConfigError
from interp.data.positions import All, AttentionMean, First, Index, Last, Max, Mean, Target
from interp.data.prompts import from_marked
from interp.forward import engine
from interp.forward.capture import capture
from interp.forward.plan import plan
from interp.hooks import HOOKS
from interp.hooks.module import Module
from interp.hooks.residual import Embed, FinalNorm, HiddenStates, ResidPost, ResidPre
from interp.models import Random
from tests.architectures import ARCHITECTURES

EVERY_TOKEN = All(special=True)
ENCODER_DECODERS = ("t5", "bart", "mbart")
# What leaves the last block is what leaves the model.
POST_NORM = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "deberta-v2", "bart")


def source_of(architecture, **fields):
    return Random(architecture=architecture, settings=ARCHITECTURES[architecture], **fields)


def own_hidden_states(source, prompts, stack):
    """What the model itself returns for all prompts in one right-padded batch."""
    model = source.load()
    rows = [model.tokenizer(text)["input_ids"] for text in prompts.texts]
    width = max(map(len, rows))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    ids = torch.tensor([rows[i] + [model.pad_id] * (width - len(rows[i])) for i in order])
    mask = torch.tensor([[1] * len(rows[i]) + [0] * (width - len(rows[i])) for i in order])
    with torch.inference_mode():
        if stack == "decoder":
            hidden = model.module(
                input_ids=ids,
                attention_mask=mask,
                decoder_input_ids=ids,
                decoder_attention_mask=mask,
                output_hidden_states=True,
            ).decoder_hidden_states
        else:
            whole = model.module
            encoder = whole.get_encoder() if whole.config.is_encoder_decoder else whole
            hidden = encoder(
                input_ids=ids, attention_mask=mask, output_hidden_states=True
            ).hidden_states
    at = {prompt: row for row, prompt in enumerate(order)}
    return [
        np.concatenate([layer[at[i], : len(rows[i])].numpy() for i in range(len(rows))])
        for layer in hidden
    ]


@pytest.mark.parametrize(
    ("architecture", "stack"),
    [
        *((architecture, "auto") for architecture in ARCHITECTURES),
        *((architecture, "decoder") for architecture in ENCODER_DECODERS),
    ],
)
def test_hidden_states_are_hugging_faces_to_the_last_bit(architecture, stack, prompts):
    source = source_of(architecture)
    ours = capture(source, prompts, HiddenStates(stack=stack), EVERY_TOKEN)
    theirs = own_hidden_states(source, prompts, stack)
    assert len(ours.layers) == len(theirs)
    for layer, expected in enumerate(theirs):
        np.testing.assert_array_equal(ours.values[layer], expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sites_agree_with_each_other_and_with_the_model(architecture, prompts):
    source = source_of(architecture)

    def read(hook):
        return capture(source, prompts, hook, EVERY_TOKEN).values

    pre, post, hidden = read(ResidPre()), read(ResidPost()), read(HiddenStates())
    np.testing.assert_array_equal(pre, hidden[:-1])
    np.testing.assert_array_equal(pre[1:], post[:-1])
    model = source.load()
    stack = model.stack("auto")
    table = model.module.get_submodule(model.embedding(stack))
    ids = np.concatenate([model.tokenizer(text)["input_ids"] for text in prompts.texts])
    with torch.inference_mode():
        np.testing.assert_array_equal(read(Embed())[0], table(torch.from_numpy(ids)).numpy())
    if architecture in POST_NORM:
        with pytest.raises(ConfigError, match=r"no final norm|gives a tensor of shape"):
            read(FinalNorm())
        np.testing.assert_array_equal(post[-1], hidden[-1])
    else:
        norm = read(FinalNorm())
        np.testing.assert_array_equal(norm[0], hidden[-1])
        assert np.abs(post[-1] - hidden[-1]).max() > 1e-3


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama", "t5", "gemma3_text", "bloom"])
@pytest.mark.parametrize("position", [EVERY_TOKEN, Target(), Mean(), Max(), Last()])
def test_values_do_not_depend_on_batches_or_padding_side(
    architecture, position, prompts, monkeypatch
):
    source = source_of(architecture)
    whole = capture(source, prompts, ResidPost(), position).values
    source.load().tokenizer.padding_side = "left"
    for tokens in (1, 100):
        monkeypatch.setitem(engine._TOKENS_PER_BATCH, "cpu", tokens)
        parts = capture(source, prompts, ResidPost(), position).values
        np.testing.assert_allclose(parts, whole, atol=2e-5, rtol=1e-5)


def test_a_text_that_spells_the_padding_token_is_read_as_text():
    prompts = from_marked({"a": ["<pad> one", "a much longer prompt than that"]})
    source = source_of("gpt2")
    alone = from_marked({"a": ["<pad> one"]})
    together = capture(source, prompts, ResidPost(), First()).values[:, 0]
    by_itself = capture(source, alone, ResidPost(), First()).values[:, 0]
    np.testing.assert_allclose(together, by_itself, atol=1e-5)


def test_pooling_pools_the_text_tokens_alone(prompts):
    source = source_of("bert")
    each = capture(source, prompts, ResidPost(), All())
    groups = each.samples["prompt"].to_numpy()
    for position, pool in ((Mean(), np.mean), (Max(), np.max)):
        pooled = capture(source, prompts, ResidPost(), position)
        for prompt in range(len(prompts)):
            expected = pool(each.values[:, groups == prompt], axis=1)
            np.testing.assert_allclose(pooled.values[:, prompt], expected, atol=1e-6)
    assert pooled.samples["n_tokens"].tolist() == np.bincount(groups).tolist()


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama", "gemma2", "t5", "gptj", "bloom"])
def test_attention_mean_weighs_with_the_models_own_attention(architecture, prompts):
    source = source_of(architecture)
    pooled = capture(source, prompts, ResidPost(), AttentionMean()).values
    eager = replace(source, attention="eager")
    each = capture(eager, prompts, ResidPost(), All())
    of_prompt = each.samples["prompt"].to_numpy()
    model = eager.load()
    encoder = model.entry("auto")
    for i, text in enumerate(prompts.texts):
        tokens = model.tokenize([text])[0]
        with torch.inference_mode():
            output = encoder(
                input_ids=torch.from_numpy(tokens.ids)[None], output_attentions=True
            ).attentions
        for layer, attention in enumerate(output):
            received = attention[0].mean(0).sum(0).numpy()[~tokens.special]
            expected = np.average(each.values[layer, of_prompt == i], axis=0, weights=received)
            np.testing.assert_allclose(pooled[layer, i], expected, atol=2e-5)


def test_attention_mean_refuses_a_kernel_that_keeps_its_probabilities(prompts):
    with pytest.raises(ConfigError, match="only the eager kernel returns, not sdpa"):
        plan(source_of("gpt2", attention="sdpa"), prompts, ResidPost(), AttentionMean())


def test_a_module_is_read_by_its_path(prompts, tiny):
    hook = Module(path="h.{layer}.mlp.c_fc", layers=[0, -1])
    found = capture(tiny, prompts, hook, EVERY_TOKEN)
    assert found.layers == (0, 2)
    model = tiny.load()
    inputs = capture(tiny, prompts, Module(path="h.{layer}.ln_2"), EVERY_TOKEN).values
    with torch.inference_mode():
        for layer, read in zip(found.layers, found.values, strict=True):
            expected = model.module.h[layer].mlp.c_fc(torch.from_numpy(inputs[layer].copy()))
            np.testing.assert_allclose(read, expected.numpy(), atol=1e-6)
    single = capture(tiny, prompts, Module(path="drop"), EVERY_TOKEN)
    assert single.layers == (0,)
    first = capture(tiny, prompts, ResidPre(layers=0), EVERY_TOKEN)
    np.testing.assert_array_equal(single.values, first.values)


def test_blocks_above_the_highest_layer_do_not_run(prompts):
    source = source_of("llama", seed=5)
    ran = []
    for i, block in enumerate(source.load().module.layers):
        block.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
    capture(source, prompts, ResidPost(layers=[0, 1]), Last())
    assert ran == [0, 1]
    ran.clear()
    capture(source, prompts, ResidPre(layers=1), Last())
    assert set(ran) <= {0, 1}
    assert source.load().module.layers[2]._forward_hooks == {}
    ran.clear()
    capture(source, prompts, Embed(), Last())
    assert ran == []


def test_no_hook_stays_behind(prompts, tiny):
    def hooks():
        modules = tiny.load().module.modules()
        return [(*m._forward_hooks, *m._forward_pre_hooks) for m in modules]

    before = hooks()
    capture(tiny, prompts, ResidPost(layers=[0, 1]), Index(0))
    capture(tiny, prompts, Module(path="h.{layer}.mlp"), Index(0))
    assert hooks() == before
    bert = source_of("bert", seed=3)
    with pytest.raises(ConfigError):
        capture(bert, prompts, Module(path="pooler.dense"), Last())
    assert not any(module._forward_hooks for module in bert.load().module.modules())


def test_nobody_can_change_what_was_read(prompts, tiny):
    once = capture(tiny, prompts, ResidPost(), Mean())
    once.samples["group"] = "changed"
    again = capture(replace(tiny), replace(prompts), ResidPost(), Mean())
    assert set(again.samples["group"]) == {"animals", "tools"}
    with pytest.raises(ValueError, match="read-only"):
        once.values[0, 0] = 0


def test_samples_say_what_was_read(prompts, tiny):
    found = capture(tiny, prompts, ResidPost(layers=0), Target(several="mean"))
    assert found.samples["token"].tolist() == ["heron", "fox", "hammer", "saw"]
    assert found.samples["group"].tolist() == ["animals", "animals", "tools", "tools"]
    assert found.samples["n_tokens"].tolist() == [5, 3, 6, 3]
    assert found.samples["position"].tolist() == [len("<the heron") - 1, 5, 10, 7]


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (ResidPost(layers=[0, 9]), "no layer 9; resid_post has layers 0 to 2"),
        (ResidPost(layers=-4), "no layer -4"),
        (ResidPost(stack="decoder"), "hook.stack cannot be 'decoder'"),
        (Module(path="h.{layer}.mlp.cfc"), "no module 'h.0.mlp.cfc'; did you mean 'h.0.mlp.c_fc'"),
    ],
)
def test_what_the_model_lacks_is_refused_before_weights_are_loaded(hook, said, prompts, tiny):
    with pytest.raises(ConfigError) as caught:
        plan(tiny, prompts, hook, Last())
    assert said in str(caught.value)


@pytest.mark.parametrize("layers", ["some", [], [0, "x"], True, 1.5, None])
def test_layers_that_are_no_layers_are_refused(layers):
    with pytest.raises(ConfigError, match=r"hook.layers must be all, 3, or \[0,3,-1\]"):
        HOOKS.build({"name": "resid_post", "layers": layers})


def test_a_prompt_longer_than_the_context_is_refused(tiny):
    prompts = from_marked({"a": ["x" * 255, "x" * 256]})
    with pytest.raises(ConfigError, match="is 257 tokens long; random gpt2 reads at most 256"):
        plan(tiny, prompts, ResidPost(), Last())


def test_blocks_that_are_not_marked_are_read_by_path(prompts):
    for architecture, path in (("ctrl", "h.{layer}"), ("albert", "encoder")):
        settings = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
        if architecture == "ctrl":
            settings = {"n_embd": 32, "n_layer": 3, "n_head": 4, "dff": 64}
        source = Random(architecture=architecture, settings=settings)
        with pytest.raises(ConfigError, match=r"blocks cannot be found .* hook=module"):
            plan(source, prompts, ResidPost(), Last())
        found = capture(source, prompts, Module(path=path), Last())
        assert len(found.layers) == (3 if architecture == "ctrl" else 1)


def test_a_module_that_gives_no_vector_a_token_is_refused(prompts):
    bert = source_of("bert")
    with pytest.raises(ConfigError, match=r"gives a tensor of shape \[1, 32\], not \[1 prompts"):
        capture(bert, prompts, Module(path="pooler.dense"), Last())
    albert = Random(
        architecture="albert",
        settings={"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64},
    )
    shared = Module(path="encoder.albert_layer_groups.0.albert_layers.0")
    with pytest.raises(ConfigError, match="runs several times in one pass"):
        capture(albert, prompts, shared, Last())
    decoder = Module(path="decoder.block.{layer}")
    with pytest.raises(ConfigError, match=r"does not run in this pass; see hook.stack"):
        capture(source_of("t5"), prompts, decoder, Last())


def test_hidden_states_that_mean_something_else_are_refused(prompts):
    settings = {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8}
    mamba = Random(architecture="mamba", settings=settings)
    with pytest.raises(ConfigError, match="hidden_states of random mamba cannot be identified"):
        capture(mamba, prompts, HiddenStates(), Last())
    assert capture(mamba, prompts, ResidPost(), Last()).layers == (0, 1, 2)


def test_a_norm_of_something_else_is_not_taken_for_the_final_one():
    # DeBERTa's one norm outside of its blocks is that of 16 relative positions.
    prompts = from_marked({"a": ["fifteen letters", "a longer prompt than that"]})
    with pytest.raises(ConfigError, match="random deberta-v2 has no final norm"):
        capture(source_of("deberta-v2"), prompts, FinalNorm(), EVERY_TOKEN)


def test_layers_keep_their_numbers_where_a_path_has_gaps(prompts):
    settings = {**ARCHITECTURES["qwen3_moe"], "num_hidden_layers": 5, "mlp_only_layers": [2]}
    source = Random(architecture="qwen3_moe", settings=settings)
    dense = capture(source, prompts, Module(path="layers.{layer}.mlp.gate_proj"), Last())
    assert dense.layers == (2,)
    hook = Module(path="layers.{layer}.mlp.gate")
    assert plan(source, prompts, hook, Last()).layers == (0, 1, 3, 4)
    assert plan(source, prompts, replace(hook, layers=[3, -1]), Last()).layers == (3, 4)
    with pytest.raises(ConfigError, match=r"no layer 2; .* has layers 0, 1, 3, 4"):
        plan(source, prompts, replace(hook, layers=2), Last())


def test_attention_mean_takes_the_attention_of_the_modules_own_block(prompts, tiny):
    by_path = capture(tiny, prompts, Module(path="h.2"), AttentionMean()).values
    by_site = capture(tiny, prompts, ResidPost(layers=2), AttentionMean()).values
    np.testing.assert_array_equal(by_path, by_site)
    with pytest.raises(ConfigError, match="wte belongs to no block"):
        plan(tiny, prompts, Module(path="wte"), AttentionMean())


def test_values_that_are_not_finite_are_an_error(prompts):
    source = source_of("gpt2", seed=9)
    with torch.no_grad():
        source.load().module.h[1].mlp.c_proj.bias.fill_(torch.inf)
    capture(source, prompts, ResidPost(layers=0), Last())
    with pytest.raises(FloatingPointError, match="not finite at resid_post 1 in float32"):
        capture(source, prompts, ResidPost(), Last())
    with pytest.raises(FloatingPointError, match="not finite at hidden_states 2 in float32"):
        capture(source, prompts, HiddenStates(), Last())


def test_half_precision_comes_out_as_float32(prompts):
    exact = capture(source_of("gpt2"), prompts, ResidPost(), Mean()).values
    half = capture(source_of("gpt2", dtype="bfloat16"), prompts, ResidPost(), Mean()).values
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, exact, atol=0.05)
    assert np.abs(half - exact).max() > 0
