"""Heads, neurons and sublayers, against the model's own outputs, each other, and TransformerLens.

What a site means is held to identities that need no names: what attention adds makes the middle of
the block, heads' results make what it adds, patterns weigh values into what heads give.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers.modeling_utils import AttentionInterface
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from interp.core.errors import ConfigError
from interp.data.positions import All, Last, Mean, Target
from interp.data.prompts import from_marked
from interp.forward.capture import capture
from interp.forward.layout import padded
from interp.forward.passes import forward
from interp.forward.plan import plan, plan_capture
from interp.hooks import HOOKS
from interp.hooks.heads import (
    AttentionScores,
    HeadOutput,
    HeadResult,
    Key,
    Pattern,
    Query,
    RotatedKey,
    RotatedQuery,
    Value,
)
from interp.hooks.neurons import MlpPost, MlpPre, MlpPreLinear
from interp.hooks.residual import HiddenStates, ResidMid, ResidPost, ResidPre
from interp.hooks.sublayers import AttentionNorm, AttentionOut, MlpNorm, MlpOut
from interp.models import Random
from interp.models.attention import AttentionCall
from interp.models.projections import matrix_of
from tests.architectures import ARCHITECTURES
from tests.references import transformer_lens

EVERY_TOKEN = All(special=True)
# Attention that is not called through transformers' interface.
WITHOUT_INTERFACE = ("deberta-v2", "gpt_neo", "gptj", "bloom", "falcon", "mpt")
WITH_INTERFACE = [name for name in ARCHITECTURES if name not in WITHOUT_INTERFACE]
POST_NORM = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "deberta-v2", "bart")
PARALLEL = ("gpt_neox", "gptj", "phi", "falcon", "cohere")
# A norm of what attention and MLP give, before it is added.
NORM_OF_OUTPUT = ("gemma2", "gemma3_text", "olmo2")
EXPERTS = ("mixtral", "qwen3_moe", "gpt_oss")
# Attention probabilities that leave a share to sinks.
SINKS = ("gpt_oss",)


def source_of(architecture, **fields):
    return Random(architecture=architecture, settings=ARCHITECTURES[architecture], **fields)


def read(source, prompts, hook, position=EVERY_TOKEN):
    return capture(source, prompts, hook, position).values


def close(ours, theirs, tolerance=2e-5):
    scale = max(np.abs(theirs).max(), 1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_parts_of_a_block_make_its_stream_to_the_last_bit(architecture, prompts):
    source = source_of(architecture)
    before, after, attention, mlp = (
        read(source, prompts, hook) for hook in (ResidPre(), ResidPost(), AttentionOut(), MlpOut())
    )
    if architecture in PARALLEL:
        close(before + attention + mlp, after)
        return
    middle = read(source, prompts, ResidMid())
    if architecture in POST_NORM:
        np.testing.assert_array_equal(read(source, prompts, AttentionNorm()), middle)
        np.testing.assert_array_equal(read(source, prompts, MlpNorm()), after)
        return
    np.testing.assert_array_equal(before + attention, middle)
    np.testing.assert_array_equal(middle + mlp, after)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gpt_neox", "phi", "cohere", "gptj"])
def test_norms_in_front_are_those_of_the_stream(architecture, prompts):
    source = source_of(architecture)
    model = source.load()
    before = read(source, prompts, ResidPre())
    norms = {
        "gpt2": ("h.{}.ln_1", "h.{}.ln_2"),
        "gptj": ("h.{}.ln_1", "h.{}.ln_1"),
        "gpt_neox": ("layers.{}.input_layernorm", "layers.{}.post_attention_layernorm"),
        "llama": ("layers.{}.input_layernorm", "layers.{}.post_attention_layernorm"),
    }.get(architecture, ("layers.{}.input_layernorm",) * 2)
    middle = before if architecture in PARALLEL else read(source, prompts, ResidMid())
    for hook, path, given in ((AttentionNorm(), norms[0], before), (MlpNorm(), norms[1], middle)):
        for i, ours in enumerate(read(source, prompts, hook)):
            with torch.inference_mode():
                norm = model.module.get_submodule(path.format(i))
                theirs = norm(torch.tensor(given[i])[None])[0].numpy()
            close(ours, theirs, 1e-6)


def own_attentions(source, prompts, stack="auto"):
    """What the model returns with output_attentions, [layer, token of all prompts, head, key]."""
    model = source.load()
    rows = []
    longest = max(len(model.tokenizer(text)["input_ids"]) for text in prompts.texts)
    for text in prompts.texts:
        ids = np.array([model.tokenizer(text)["input_ids"]])
        inputs = model.inputs(stack, ids, np.ones_like(ids, bool))
        with torch.inference_mode():
            output = model.entry(stack)(**inputs, output_attentions=True)
        name = "decoder_attentions" if stack == "decoder" else "attentions"
        pattern = torch.stack([layer[0] for layer in getattr(output, name)])
        missing = (0, longest - pattern.shape[-1])
        rows.append(torch.nn.functional.pad(pattern.transpose(1, 2), missing))
    return torch.cat(rows, 1).numpy()


@pytest.mark.parametrize(
    ("architecture", "stack"),
    [*((name, "auto") for name in WITH_INTERFACE), ("t5", "decoder"), ("bart", "decoder")],
)
def test_the_pattern_is_the_models_own_whatever_the_kernel(architecture, stack, prompts):
    theirs = own_attentions(source_of(architecture, attention="eager"), prompts, stack)
    hook = Pattern(stack=stack)
    close(read(source_of(architecture, attention="eager"), prompts, hook), theirs)
    close(read(source_of(architecture), prompts, hook), theirs)


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "gemma2", "gpt_oss"])
def test_what_the_eager_kernel_returns_is_read_to_the_last_bit(architecture):
    # One prompt, so that both passes have one shape.
    one = from_marked({"a": ["the heron waits"]})
    source = source_of(architecture, attention="eager")
    np.testing.assert_array_equal(read(source, one, Pattern()), own_attentions(source, one))


@pytest.mark.parametrize("architecture", WITH_INTERFACE)
def test_patterns_weigh_values_into_what_heads_give(architecture, prompts):
    source = source_of(architecture)
    pattern, value, z = (read(source, prompts, hook) for hook in (Pattern(), Value(), HeadOutput()))
    shared = np.repeat(value, z.shape[2] // value.shape[2], axis=2)
    of_prompt = capture(source, prompts, Value(), EVERY_TOKEN).samples["prompt"].to_numpy()
    for prompt in range(len(prompts)):
        rows = of_prompt == prompt
        weights = pattern[:, rows][..., : rows.sum()]
        close(np.einsum("lqhk,lkhd->lqhd", weights, shared[:, rows]), z[:, rows])
        assert not pattern[:, rows][..., rows.sum() :].any()
    seen = pattern.sum(-1)
    if architecture in SINKS:
        assert (seen < 1).all()
    else:
        close(seen, np.ones_like(seen))


@pytest.mark.parametrize("architecture", WITH_INTERFACE)
def test_the_softmax_of_scores_is_the_pattern(architecture, prompts):
    source = source_of(architecture)
    pattern, scores = (read(source, prompts, hook) for hook in (Pattern(), AttentionScores()))
    np.testing.assert_array_equal(scores == -np.inf, pattern == 0)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    share = pattern.sum(-1, keepdims=True)
    close(weights / weights.sum(-1, keepdims=True) * share, pattern)


def test_scores_are_scaled_products_of_queries_and_keys(prompts):
    for architecture, settings in (("gpt2", {}), ("gemma2", {"attn_logit_softcapping": 0.05})):
        source = Random(
            architecture=architecture, settings={**ARCHITECTURES[architecture], **settings}
        )
        one = from_marked({"a": [prompts.texts[0]]})
        query, key, scores = (
            read(source, one, hook) for hook in (RotatedQuery(), RotatedKey(), AttentionScores())
        )
        key = np.repeat(key, query.shape[2] // key.shape[2], axis=2)
        config = source.config()
        scale = getattr(config, "query_pre_attn_scalar", query.shape[-1]) ** -0.5
        expected = np.einsum("lqhd,lkhd->lqhk", query, key) * scale
        if settings:
            expected = np.tanh(expected / 0.05) * 0.05
        seen = np.isfinite(scores)
        close(scores[seen], expected[seen])


@pytest.mark.parametrize("architecture", WITH_INTERFACE)
def test_the_results_of_heads_make_what_attention_adds(architecture, prompts):
    source = source_of(architecture)
    model = source.load()
    result = read(source, prompts, HeadResult())
    what = plan_capture(source, prompts, HeadResult(), EVERY_TOKEN)
    for i, tap in enumerate(what.taps):
        projection = model.module.get_submodule(tap.path)
        bias = 0 if projection.bias is None else projection.bias.detach().numpy()
        added = result[i].sum(1) + bias
        if architecture in NORM_OF_OUTPUT:
            norm = model.module.get_submodule(f"layers.{i}.post_attention_layernorm")
            with torch.inference_mode():
                added = norm(torch.tensor(added)).numpy()
        close(added, read(source, prompts, AttentionOut())[i])


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a not in EXPERTS])
def test_neurons_are_what_the_output_projection_is_given(architecture, prompts):
    source = source_of(architecture)
    model = source.load()
    post, out = read(source, prompts, MlpPost()), read(source, prompts, MlpOut())
    what = plan_capture(source, prompts, MlpPost(), EVERY_TOKEN)
    for i, tap in enumerate(what.taps):
        projection = model.module.get_submodule(tap.path)
        bias = 0 if projection.bias is None else projection.bias.detach().numpy()
        given = post[i] @ matrix_of(projection).numpy() + bias
        if architecture in NORM_OF_OUTPUT:
            norm = model.module.get_submodule(f"layers.{i}.post_feedforward_layernorm")
            with torch.inference_mode():
                given = norm(torch.tensor(given)).numpy()
        close(given, out[i])


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama", "phi3", "modernbert", "opt"])
def test_the_activation_function_stands_between_pre_and_post(architecture, prompts):
    source = source_of(architecture)
    names = ("activation_function", "hidden_act", "hidden_activation")
    config = source.config()
    name = next(getattr(config, n) for n in names if hasattr(config, n))
    act = torch.nn.functional.relu
    if architecture != "opt":
        from transformers.activations import ACT2FN

        act = ACT2FN[name]
    pre, post = (read(source, prompts, hook) for hook in (MlpPre(), MlpPost()))
    expected = act(torch.tensor(pre)).numpy()
    if architecture in ("llama", "phi3", "modernbert"):
        expected = expected * read(source, prompts, MlpPreLinear())
    close(post, expected, 1e-6)


def test_rotated_queries_are_the_models_rotation_of_queries(prompts):
    source = source_of("llama")
    model, one = source.load(), from_marked({"a": [prompts.texts[0]]})
    q, k, rot_q, rot_k = (
        read(source, one, hook) for hook in (Query(), Key(), RotatedQuery(), RotatedKey())
    )
    places = torch.arange(q.shape[1])[None]
    cos, sin = model.module.rotary_emb(torch.zeros(1, 1, 1), places)
    for i in range(len(q)):
        heads = [torch.tensor(x[i]).transpose(0, 1)[None] for x in (q, k)]
        turned = [x[0].transpose(0, 1).numpy() for x in apply_rotary_pos_emb(*heads, cos, sin)]
        close(rot_q[i], turned[0], 1e-6)
        close(rot_k[i], turned[1], 1e-6)


@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "olmo2"])
def test_queries_are_read_before_they_are_normed(architecture, prompts):
    source = source_of(architecture)
    model, one = source.load(), from_marked({"a": [prompts.texts[0]]})
    given = {}
    projections = [model.module.layers[i].self_attn.q_proj for i in range(3)]
    handles = [
        p.register_forward_hook(lambda m, a, out, i=i: given.update({i: out[0].numpy().copy()}))
        for i, p in enumerate(projections)
    ]
    ids = np.array([model.tokenizer(one.texts[0])["input_ids"]])
    with torch.inference_mode():
        model.module(**model.inputs("auto", ids, np.ones_like(ids, bool)))
    for handle in handles:
        handle.remove()
    ours = read(source, one, Query())
    for i, theirs in given.items():
        np.testing.assert_array_equal(ours[i].reshape(len(theirs), -1), theirs)


def test_shared_keys_and_values_are_those_of_their_own_channels(prompts):
    source = source_of("llama")
    model, one = source.load(), from_marked({"a": [prompts.texts[0]]})
    normed = torch.tensor(read(source, one, AttentionNorm())[1])
    attention = model.module.layers[1].self_attn
    with torch.inference_mode():
        for hook, projection in ((Key(), attention.k_proj), (Value(), attention.v_proj)):
            expected = projection(normed).view(len(normed), 2, 8).numpy()
            close(read(source, one, hook)[1], expected, 1e-6)


def test_heads_of_fused_and_interleaved_projections_are_told_apart(prompts):
    # GPT-NeoX has query, key and value of one head side by side, GPT-2 all heads' queries first.
    for architecture, path in (("gpt_neox", "layers.1.attention.query_key_value"), ("gpt2", "")):
        source = source_of(architecture)
        one = from_marked({"a": [prompts.texts[0]]})
        query, key, value = (read(source, one, hook)[1] for hook in (Query(), Key(), Value()))
        module = source.load().module.get_submodule(path or "h.1.attn.c_attn")
        given = torch.tensor(read(source, one, AttentionNorm())[1])
        with torch.inference_mode():
            fused = module(given).numpy()
        if path:
            parts = np.split(fused.reshape(len(given), 4, 24), 3, axis=-1)
        else:
            parts = [part.reshape(len(given), 4, 8) for part in np.split(fused, 3, axis=-1)]
        for ours, theirs in zip((query, key, value), parts, strict=True):
            close(ours, theirs, 1e-6)


def test_heads_and_neurons_are_chosen_by_number(prompts, tiny):
    for hook in (Query, Value, HeadOutput, RotatedKey, Pattern, HeadResult):
        every = read(tiny, prompts, hook(), Target())
        np.testing.assert_array_equal(
            read(tiny, prompts, hook(heads=[3, 0]), Target()), every[:, :, [3, 0]]
        )
        np.testing.assert_array_equal(
            read(tiny, prompts, hook(heads=-1), Target()), every[:, :, [3]]
        )
    for hook in (MlpPre, MlpPost):
        every = read(tiny, prompts, hook(), Target())
        assert every.shape == (3, 4, 128)
        chosen = read(tiny, prompts, hook(neurons=[7, -1], layers=1), Target())
        np.testing.assert_array_equal(chosen, every[1:2, :, [7, 127]])


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (lambda: Query(heads=4), r"hook.heads: no 4; there are 4 heads in q, 0 to 3"),
        (lambda: MlpPost(neurons=[0, 128]), r"hook.neurons: no 128; there are 128 neurons in mlp_"),
        (lambda: Pattern(heads=[1, -3]), r"hook.heads: \[1,1\] names one of them twice"),
        (lambda: Value(heads="two"), r"heads must be all, 3, or \[0,3,-1\], not 'two'"),
        (lambda: MlpPre(neurons=[]), r"neurons must be all, 3, or \[0,3,-1\], not \[\]"),
        (lambda: Query(heads=True), r"heads must be all, 3, or \[0,3,-1\], not True"),
    ],
)
def test_a_head_or_neuron_that_there_is_not_is_refused(hook, said, prompts, tiny):
    with pytest.raises(ConfigError, match=said):
        plan(tiny, prompts, hook(), Target())


def test_shared_keys_are_counted_as_those_there_are(prompts):
    with pytest.raises(ConfigError, match="no 3; there are 2 heads in k, 0 to 1"):
        plan(source_of("llama"), prompts, Key(heads=3), Target())


@pytest.mark.parametrize(
    ("architecture", "hook", "said", "has"),
    [
        ("gpt2", MlpPreLinear(), "has no gate", {"mlp_pre", "q", "pattern", "ln2"}),
        ("gptj", Query(), "not called through transformers' attention", {"attn_out", "mlp_post"}),
        ("gptj", ResidMid(), "in parallel", {"resid_post", "stream", "mlp_out"}),
        ("mixtral", MlpPost(), "mixture of experts", {"mlp_out", "z", "rot_k"}),
    ],
)
def test_a_site_that_is_missing_is_answered_with_those_that_are_not(
    architecture, hook, said, has, prompts, monkeypatch
):
    def no_weights(*_, **__):
        raise AssertionError("weights were read")

    monkeypatch.setattr(Random, "weights", no_weights)
    with pytest.raises(ConfigError, match=said) as error:
        plan(source_of(architecture), prompts, hook, Target())
    listed = set(str(error.value).rpartition("; there are ")[2].split(", "))
    assert has <= listed <= set(HOOKS) - {hook.site}
    for site in sorted(listed - {"logits", "logit_lens"})[::4]:
        HOOKS[site]().taps(source_of(architecture).skeleton())


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
@pytest.mark.parametrize("hook", [Query(), AttentionScores(), Pattern(), HeadResult(), MlpPost()])
def test_the_models_own_computation_is_the_same_while_it_is_read(kernel, hook, prompts, tiny):
    source = Random(architecture="gpt2", settings=tiny.settings, attention=kernel)
    model = source.load()
    what = plan_capture(source, prompts, hook, EVERY_TOKEN)
    layout = padded([what.selected.prompt(0)], model.pad_id)
    inputs = model.inputs("auto", layout.ids, layout.mask)
    samples = [(0, np.array([i])) for i in range(layout.ids.size)]
    with torch.inference_mode():
        alone = model.module(**inputs).last_hidden_state
    [read], watched = forward(model, [what], [samples], layout, to_the_end=True)
    assert torch.equal(alone, watched.last_hidden_state)
    assert all(torch.isfinite(layer).any() for layer in read)


def test_attention_is_given_back_when_the_pass_is_over(prompts, tiny):
    own = AttentionInterface.get_interface
    read(tiny, prompts, Value(layers=0))
    assert AttentionInterface.get_interface is own
    bad = Random(architecture="gpt2", settings={**tiny.settings, "n_layer": 2}, seed=41)
    with torch.no_grad():
        bad.load().module.h[0].attn.c_attn.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError):
        read(bad, prompts, Value())
    assert AttentionInterface.get_interface is own
    for module in bad.load().module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_the_pass_ends_at_the_highest_layer(prompts, tiny):
    ran = []
    model = tiny.load()
    handles = [
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(model.module.h)
    ]
    read(tiny, prompts, HeadOutput(layers=[1]), Last())
    for handle in handles:
        handle.remove()
    assert ran == [0]


def test_prompts_of_unequal_length_have_as_many_keys_as_the_longest(prompts, tiny):
    what = plan(tiny, prompts, Pattern(), Last())
    lengths = [len(tokens.ids) for tokens in tiny.load().tokenize(prompts.texts)]
    pattern = read(tiny, prompts, Pattern(), Last())
    scores = capture(tiny, prompts, AttentionScores(), Last())
    assert pattern.shape == (3, 4, 4, max(lengths))
    for i, last in enumerate(what.samples["position"]):
        assert (pattern[:, i, :, : last + 1] > 0).all()
        assert not pattern[:, i, :, last + 1 :].any()
        assert (scores.values[:, i, :, last + 1 :] == -np.inf).all()
    np.testing.assert_array_equal(pattern, capture(tiny, prompts, Pattern(), Last()).values)
    with pytest.raises(ConfigError, match=r"attn_scores are −∞ .*; use hook=pattern"):
        scores.points(0, np.arange(4))
    assert not scores.is_degenerate(0, np.arange(4))


def test_heads_pool_over_tokens_as_any_vector_does(prompts, tiny):
    every = capture(tiny, prompts, HeadOutput(), All())
    first = (every.samples["prompt"] == 0).to_numpy()
    pooled = read(tiny, prompts, HeadOutput(), Mean())
    close(pooled[:, 0], every.values[:, first].mean(1))


def test_a_kernel_without_masks_gives_no_pattern(prompts, tiny, monkeypatch):
    source = Random(architecture="gpt2", settings=tiny.settings)
    skeleton = source.skeleton()
    skeleton.module.config._attn_implementation = "flex_attention"
    with pytest.raises(
        ConfigError, match="computed with the kernels eager and sdpa, not flex_attention"
    ):
        Pattern().taps(skeleton)


def test_hidden_states_before_the_final_norm_are_the_last_blocks_own(prompts, tiny):
    before = read(tiny, prompts, HiddenStates(final_norm=False))
    np.testing.assert_array_equal(before[:-1], read(tiny, prompts, HiddenStates())[:-1])
    np.testing.assert_array_equal(before[-1], read(tiny, prompts, ResidPost())[-1])
    said = [
        plan(source, prompts, HiddenStates(final_norm=side), EVERY_TOKEN).notice
        for source in (tiny, source_of("bert"), source_of("deberta-v2"))
        for side in (True, False)
    ]
    last = [f"last layer {side} the final norm" for side in ("after", "before")]
    assert said == [*last, "", "", "", ""]


def test_layers_of_different_shapes_are_refused_together(prompts):
    settings = {**ARCHITECTURES["qwen3_moe"], "mlp_only_layers": [0, 1, 2]}
    source = Random(architecture="qwen3_moe", settings=settings)
    assert read(source, prompts, MlpPost()).shape[-1] == 64
    what = plan_capture(source, prompts, MlpPost(), EVERY_TOKEN)
    fewer = replace(what.taps[2], channels=what.taps[2].channels[:5])
    what = replace(what, taps=(*what.taps[:2], fewer, *what.taps[3:]))
    model = source.load()
    layout = padded([what.selected.prompt(0)], model.pad_id)
    with pytest.raises(ConfigError, match=r"different shapes, \[64\] and \[5\]; choose layers"):
        forward(model, [what], [[(0, np.array([0]))]], layout)


# Structures that a model without weights must run through as the model itself does.
PECULIAR = {
    # Ids of one type alone.
    "roberta": {**ARCHITECTURES["roberta"], "type_vocab_size": 1},
    # A router that is a linear map by its class.
    "llama4_text": {
        **ARCHITECTURES["llama"],
        "num_local_experts": 2,
        "intermediate_size_mlp": 64,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 16,
    },
    # A mask without an axis of queries.
    "layoutlm": ARCHITECTURES["bert"],
}


@pytest.mark.parametrize("architecture", PECULIAR)
def test_peculiar_structures_are_read_as_they_are(architecture, prompts):
    source = Random(architecture=architecture, settings=PECULIAR[architecture])
    theirs = own_attentions(
        Random(architecture=architecture, settings=PECULIAR[architecture], attention="eager"),
        prompts,
    )
    close(read(source, prompts, Pattern()), theirs)
    assert np.isfinite(read(source, prompts, HiddenStates())).all()
    scores = read(source, prompts, AttentionScores())
    np.testing.assert_array_equal(scores == -np.inf, theirs == 0)


def test_blocks_without_attention_have_no_heads_and_the_others_have(prompts):
    hybrid = Random(
        architecture="granitemoehybrid",
        settings={
            **ARCHITECTURES["granite"],
            "layer_types": ["mamba", "attention", "mamba"],
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "num_local_experts": 0,
            "shared_intermediate_size": 64,
        },
    )
    assert plan(hybrid, prompts, Value(), EVERY_TOKEN).layers == (1,)
    pattern, value, z = (read(hybrid, prompts, hook) for hook in (Pattern(), Value(), HeadOutput()))
    own = capture(hybrid, prompts, Value(), EVERY_TOKEN).samples["prompt"].to_numpy() == 0
    shared = np.repeat(value[0, own], 2, axis=1)
    given = np.einsum("qhk,khd->qhd", pattern[0, own][..., : own.sum()], shared)
    close(given, z[0, own])


def test_what_more_than_a_projection_makes_of_attention_is_not_what_attention_adds():
    # MobileBERT's last step adds what all of its block gives.
    source = Random(
        architecture="mobilebert",
        settings={
            **ARCHITECTURES["bert"],
            "embedding_size": 16,
            "intra_bottleneck_size": 16,
            "num_feedforward_networks": 2,
        },
    )
    with pytest.raises(ConfigError, match=r"no attn_out: no block of random mobilebert has one"):
        plan(source, from_marked({"a": ["a {fox}"]}), AttentionOut(), Target())


def test_scores_that_are_not_the_patterns_are_refused():
    torch.manual_seed(0)
    call = AttentionCall(torch.nn.Identity(), *torch.randn(3, 1, 2, 200, 8), is_causal=False)
    queries = torch.arange(200)[None]
    products = call.query @ call.key.transpose(2, 3) * call.scale
    close(call.scores(products.softmax(-1), queries).numpy(), products.numpy(), 1e-6)
    with pytest.raises(ConfigError, match="its pattern is not their softmax; use hook=pattern"):
        call.scores((1.1 * products).softmax(-1), queries)


def test_threads_do_not_read_each_others_pass(prompts, tiny):
    one, other = (from_marked({"a": [text]}) for text in prompts.texts[:2])
    works = [plan_capture(tiny, each, Value(), EVERY_TOKEN) for each in (one, other)]
    model = tiny.load()

    def passes(which):
        ids = works[which].selected.prompt(0)
        samples = [(0, np.array([i])) for i in range(len(ids))]
        layout = padded([ids], model.pad_id)
        given = [forward(model, [works[which]], [samples], layout)[0][0] for _ in range(20)]
        return [torch.stack(layers).numpy() for layers in given]

    expected = [passes(which)[0] for which in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        for found, theirs in zip(pool.map(passes, (0, 1)), expected, strict=True):
            for values in found:
                np.testing.assert_array_equal(values, theirs)


REFERENCE = np.load(transformer_lens.FILE)
# The largest difference relative to the largest value, in float32.
TOLERANCE = {"embed": 0.0, **dict.fromkeys(set(transformer_lens.NAMES) - {"embed"}, 5e-6)}
# Of BERT the bridge reads what attention adds behind its norm, the middle as the MLP's sum, and as
# scores its pattern; and its norm before the unembedding is the head's.
OTHERWISE = ("bert.attn_out", "bert.resid_mid", "bert.attn_scores", "bert.final_norm", "bert.embed")


@pytest.mark.parametrize("name", [name for name in REFERENCE.files if name not in OTHERWISE])
def test_sites_are_those_of_transformer_lens(name):
    architecture, _, site = name.partition(".")
    source = Random(
        architecture=architecture, settings=transformer_lens.SETTINGS[architecture], seed=97
    )
    transformer_lens.fill(source.load().module)
    one = from_marked({"a": [transformer_lens.TEXT]})
    in_blocks = site not in ("embed", "final_norm")
    hook = HOOKS[site](**({"layers": transformer_lens.BLOCK} if in_blocks else {}))
    ours, theirs = read(source, one, hook)[0], REFERENCE[name]
    if site in ("pattern", "attn_scores"):
        theirs = theirs.swapaxes(0, 1)
        # What it masks it gives the lowest number.
        theirs = np.where(theirs < -1e30, -np.inf, theirs)
    assert ours.shape == theirs.shape
    seen = np.isfinite(theirs)
    np.testing.assert_array_equal(np.isfinite(ours), seen)
    close(ours[seen], theirs[seen], TOLERANCE[site])
