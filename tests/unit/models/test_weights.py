"""Weights per head and per neuron, against what the model's own modules give in a forward pass.

The tracing knows no architecture. What it finds is held to the table below, which names for each
one the norms, the projection of what attention gives, and the MLP's projections.
"""

import copy
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interp.core.errors import ConfigError
from interp.models import Random
from interp.models.final_norm import final_norm
from interp.models.weights import (
    mlp_weights,
    query_key_weights,
    value_output_weights,
)
from tests.architectures import ARCHITECTURES

Parts = namedtuple("Parts", "attn_norm attn_out mlp_norm mlp_in mlp_out")
_IN, _MID = "input_layernorm", "post_attention_layernorm"
_GATED = ("mlp.gate_proj", "mlp.up_proj")
_LLAMA = Parts(_IN, "self_attn.o_proj", _MID, _GATED, "mlp.down_proj")
_GEMMA2 = _LLAMA._replace(mlp_norm="pre_feedforward_layernorm")
_BERT = Parts("", "attention.output.dense", "", ("intermediate.dense",), "output.dense")
_BART = Parts("", "self_attn.out_proj", "", ("fc1",), "fc2")
_OPT = _BART._replace(attn_norm="self_attn_layer_norm", mlp_norm="final_layer_norm")
_GPT2 = Parts("ln_1", "attn.c_proj", "ln_2", ("mlp.c_fc",), "mlp.c_proj")
_NEOX = Parts(_IN, "attention.dense", _MID, ("mlp.dense_h_to_4h",), "mlp.dense_4h_to_h")
_T5 = Parts(
    "layer.0.layer_norm",
    "layer.0.SelfAttention.o",
    "layer.1.layer_norm",
    ("layer.1.DenseReluDense.wi",),
    "layer.1.DenseReluDense.wo",
)
PARTS = {
    "gpt2": _GPT2,
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "distilbert": Parts("", "attention.out_lin", "", ("ffn.lin1",), "ffn.lin2"),
    "electra": _BERT,
    "deberta-v2": _BERT,
    "modernbert": Parts("attn_norm", "attn.Wo", "mlp_norm", ("mlp.Wi",), "mlp.Wo"),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2,
    "gpt_neox": _NEOX,
    "gpt_neo": _GPT2,
    "gptj": Parts("ln_1", "attn.out_proj", "ln_1", ("mlp.fc_in",), "mlp.fc_out"),
    "opt": _OPT,
    "bloom": _NEOX,
    "phi": Parts(_IN, "self_attn.dense", _IN, ("mlp.fc1",), "mlp.fc2"),
    "phi3": _LLAMA._replace(mlp_in=("mlp.gate_up_proj",)),
    "olmo2": _LLAMA._replace(attn_norm="", mlp_norm=""),
    "falcon": _NEOX._replace(mlp_norm=_IN),
    "mpt": Parts("norm_1", "attn.out_proj", "norm_2", ("ffn.up_proj",), "ffn.down_proj"),
    "starcoder2": _LLAMA._replace(mlp_in=("mlp.c_fc",), mlp_out="mlp.c_proj"),
    "cohere": _LLAMA._replace(mlp_norm=_IN),
    "stablelm": _LLAMA,
    "granite": _LLAMA,
    "smollm3": _LLAMA,
    "mixtral": _LLAMA,
    "qwen3_moe": _LLAMA,
    "gpt_oss": _LLAMA,
    "t5": _T5,
    "bart": _BART,
    "mbart": _OPT,
}
DECODER_PARTS = {
    "t5": _T5._replace(
        mlp_norm="layer.2.layer_norm",
        mlp_in=("layer.2.DenseReluDense.wi",),
        mlp_out="layer.2.DenseReluDense.wo",
    ),
    "bart": _BART,
    "mbart": _OPT,
}
WITHOUT_INTERFACE = ("deberta-v2", "gpt_neo", "gptj", "bloom", "falcon", "mpt")
NORMED_QUERIES = ("qwen3", "gemma3_text", "olmo2", "qwen3_moe")
EXPERTS = ("mixtral", "qwen3_moe", "gpt_oss")
FUSED = ("phi3", "modernbert")
WITHOUT_ROTATION = (
    *("gpt2", "bert", "roberta", "xlm-roberta", "distilbert"),
    *("electra", "opt", "t5", "bart", "mbart"),
)
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}
# The same architectures with a setting that changes what is where.
VARIANTS = {
    "opt": ({"do_layer_norm_before": False}, _BART),
    "gpt_neox": ({"use_parallel_residual": False, "attention_bias": False}, _NEOX),
    "gpt2": ({"scale_attn_by_inverse_layer_idx": True, "n_inner": 32}, _GPT2),
    "t5": (
        {"feed_forward_proj": "gated-gelu"},
        _T5._replace(mlp_in=("layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1")),
    ),
    "llama": ({"rope_parameters": YARN, "attention_bias": True, "mlp_bias": True}, _LLAMA),
    "stablelm": ({"use_parallel_residual": True}, _LLAMA._replace(mlp_norm=_IN)),
    "falcon": (
        {"new_decoder_architecture": True, "num_kv_heads": 2},
        _NEOX._replace(mlp_norm="ln_mlp"),
    ),
    "bart": ({"attn_implementation": "eager"}, _BART),
}
CASES = [
    *((name, "auto", {}, parts) for name, parts in PARTS.items()),
    *((name, "decoder", {}, parts) for name, parts in DECODER_PARTS.items()),
    *((name, "auto", *variant) for name, variant in VARIANTS.items()),
]
IDS = [f"{name}{'-decoder' * (s == 'decoder')}{'-variant' * bool(v)}" for name, s, v, _ in CASES]
CASES = [pytest.param(*case, id=name) for case, name in zip(CASES, IDS, strict=True)]
WITH_INTERFACE = [case for case in CASES if case.values[0] not in WITHOUT_INTERFACE]
N_TOKENS = 5


def loaded(architecture, **settings):
    """A copy of the model, whose vectors (biases, gains) are drawn anew: at first they are 0 or 1.

    Matrices are drawn larger, so that no head and no neuron is lost in round-off.
    """
    settings = {**ARCHITECTURES.get(architecture, {}), **settings}
    model = Random(architecture=architecture, settings=settings).load()
    model = replace(model, module=copy.deepcopy(model.module), head=None)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.module.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(weight + noise * (0.4 if weight.ndim < 2 else 0.1))
    return model


def normalised(norm, x):
    """What a norm gives before it multiplies by its gain and adds its shift."""
    if isinstance(norm, nn.Identity):
        return x
    if "RMS" not in type(norm).__name__ and not type(norm).__name__.startswith("T5"):
        x = x - x.mean(-1, keepdim=True)
    eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def run(model, stack, paths, attend=None):
    """Run the stack on a prompt; return what modules within each block are given and give.

    By block and path, "" being the block itself, and what its first attention is handed under
    "handed", where another function attends.
    """
    blocks = [model.module.get_submodule(path) for path in model.stack(stack).blocks]
    seen, now, handles = [{} for _ in blocks], [], []

    def first(args, kwargs):
        return (args[0] if args else next(iter(kwargs.values()))).clone()

    def begin(i, module, args, kwargs):
        now[:] = [i]
        seen[i]["", "given"] = first(args, kwargs)

    def note(i, path, module, args, kwargs, output):
        seen[i][path, "given"] = first(args, kwargs)
        seen[i][path, "gives"] = output.clone()

    def handed(module, query, key, value, *_args, scaling=None, **_kwargs):
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        if now:
            seen[now[0]].setdefault("handed", (query.clone(), key.clone(), scaling))
        repeats = query.shape[1] // value.shape[1]
        return attend(value.repeat_interleave(repeats, 1)), None

    ids = np.arange(40, 40 + N_TOKENS)[None]
    inputs = model.inputs(stack, ids, np.ones_like(ids, bool))
    for i, block in enumerate(blocks):
        handles.append(
            block.register_forward_pre_hook(lambda *a, i=i: begin(i, *a), with_kwargs=True)
        )
        handles.append(block.register_forward_hook(lambda *_: now.clear()))
        for path in set(paths) - {""}:
            handles.append(
                block.get_submodule(path).register_forward_hook(
                    lambda *a, i=i, path=path: note(i, path, *a), with_kwargs=True
                )
            )
    try:
        with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
            for kernel in ("sdpa", "eager") if attend else ():
                patch.setitem(ALL_ATTENTION_FUNCTIONS, kernel, handed)
            model.entry(stack)(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return blocks, seen


def close(ours, theirs, tolerance=2e-5):
    theirs = np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_the_table_speaks_of_every_architecture():
    assert set(PARTS) == set(ARCHITECTURES)


@pytest.mark.parametrize(("architecture", "stack", "settings", "parts"), WITH_INTERFACE)
def test_values_and_outputs_write_what_a_head_writes(architecture, stack, settings, parts):
    model = loaded(architecture, **settings)
    found = value_output_weights(model, stack)
    n_heads = len(found[0].value)
    everyone = list(range(n_heads))
    for heads in (everyone, *([head] for head in everyone)):

        def attend(value, heads=heads):
            # Every token attends to the second one alone, and the other heads give nothing.
            kept = torch.zeros_like(value)
            kept[:, heads] = value[:, heads, 1:2]
            return kept.transpose(1, 2)[:, :1].expand(-1, N_TOKENS, -1, -1)

        blocks, seen = run(model, stack, (parts.attn_norm, parts.attn_out), attend)
        for block, at, w in zip(blocks, seen, found, strict=True):
            norm = block.get_submodule(parts.attn_norm) if parts.attn_norm else nn.Identity()
            x = normalised(norm, at[parts.attn_norm, "given"])[0, 1].numpy()
            z = np.einsum("d,hde->he", x, w.value) + w.value_bias
            written = np.einsum("he,hed->d", z[heads], w.output[heads]) + w.output_bias
            close(written, at[parts.attn_out, "gives"][0, -1])
            assert len(np.unique(w.value, axis=0)) == w.groups


@pytest.mark.parametrize(("architecture", "stack", "settings", "parts"), WITH_INTERFACE)
def test_queries_and_keys_are_what_attention_is_handed(architecture, stack, settings, parts):
    model = loaded(architecture, **settings)
    if architecture in NORMED_QUERIES:
        with pytest.raises(ConfigError, match=r"block 0: the queries .* not a linear map .* norm"):
            query_key_weights(model, stack)
        return
    found = query_key_weights(model, stack)
    blocks, seen = run(model, stack, [parts.attn_norm], lambda value: value.transpose(1, 2))
    for block, at, w in zip(blocks, seen, found, strict=True):
        norm = block.get_submodule(parts.attn_norm) if parts.attn_norm else nn.Identity()
        x = normalised(norm, at[parts.attn_norm, "given"])[0].numpy()
        query, key, scaling = at["handed"]
        assert w.groups == key.shape[1]
        assert w.scale == scaling
        key = key.repeat_interleave(len(w.query) // w.groups, 1)
        ours = [
            np.einsum("td,hde->hte", x, matrix) + bias[:, None]
            for matrix, bias in ((w.query, w.query_bias), (w.key, w.key_bias))
        ]
        close(ours[0][:, 0], query[0, :, 0])
        close(ours[1][:, 0], key[0, :, 0])
        scores, theirs = ours[0] @ ours[1].swapaxes(1, 2), (query @ key.mT)[0].numpy()
        if architecture in WITHOUT_ROTATION:
            close(scores, theirs)
        # A rotation turns queries and keys of the same position alike.
        close(np.diagonal(scores, 0, 1, 2), np.diagonal(theirs, 0, 1, 2))


@pytest.mark.parametrize(("architecture", "stack", "settings", "parts"), CASES)
def test_neurons_read_and_write_what_the_mlp_does(architecture, stack, settings, parts):
    model = loaded(architecture, **settings)
    if architecture in EXPERTS:
        with pytest.raises(ConfigError, match=rf"random {architecture}, block 0: .* of experts"):
            mlp_weights(model, stack)
        return
    found = mlp_weights(model, stack)
    blocks, seen = run(model, stack, (parts.mlp_norm, *parts.mlp_in, parts.mlp_out))
    for block, at, w in zip(blocks, seen, found, strict=True):
        names = [path.rpartition(".")[2] for path in parts.mlp_in]
        assert (
            list(w.inputs)
            == list(w.biases)
            == (["gate", "up"] if len(w.inputs) > len(names) else names)
        )
        assert (len(w.inputs) > len(names)) == (architecture in FUSED)
        x = at[parts.mlp_in[0], "given"]
        if parts.mlp_norm:
            x = normalised(block.get_submodule(parts.mlp_norm), at[parts.mlp_norm, "given"])
        read = torch.cat([at[path, "gives"] for path in parts.mlp_in], -1)
        matrix, bias = (np.concatenate([*d.values()], -1) for d in (w.inputs, w.biases))
        read = read.reshape(N_TOKENS, -1)
        close(x.reshape(N_TOKENS, -1).numpy() @ matrix + bias, read)
        post = at[parts.mlp_out, "given"].reshape(N_TOKENS, -1).numpy()
        close(post @ w.output + w.output_bias, at[parts.mlp_out, "gives"].reshape(N_TOKENS, -1))


def test_heads_that_are_sorted_and_scaled_before_the_output_are_found():
    model = loaded("gpt2")
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    for block in model.module.h:
        block.attn.c_proj.register_forward_pre_hook(lambda _, args: 0.5 * args[0][..., order])
    for block, w in zip(model.module.h, value_output_weights(model), strict=True):
        theirs = torch.empty(32, 32)
        theirs[order] = 0.5 * block.attn.c_proj.weight.detach()
        close(w.output.reshape(32, 32), theirs, 1e-7)


@pytest.mark.parametrize("architecture", WITHOUT_INTERFACE)
def test_heads_need_the_attention_interface(architecture):
    model = loaded(architecture)
    for weights in (query_key_weights, value_output_weights):
        said = f"random {architecture}, .* its heads cannot be distinguished"
        with pytest.raises(ConfigError, match=said):
            weights(model)


@pytest.mark.parametrize(
    ("architecture", "gain"),
    [
        ("gpt2", lambda module: module.ln_f.weight),
        ("llama", lambda module: module.norm.weight),
        ("gemma", lambda module: 1 + module.norm.weight),
        ("gemma3_text", lambda module: 1 + module.norm.weight),
        ("modernbert", lambda module: module.final_norm.weight),
        ("cohere", lambda module: module.norm.weight),
        ("olmo2", lambda module: module.norm.weight),
        ("olmo", lambda module: torch.ones(32)),
        ("mbart", lambda module: module.encoder.layer_norm.weight),
        ("bert", lambda module: torch.ones(32)),
        ("deberta-v2", lambda module: torch.ones(32)),
        ("bart", lambda module: torch.ones(32)),
    ],
)
def test_the_final_gain_is_the_final_norms(architecture, gain):
    settings = ARCHITECTURES["llama"] if architecture == "olmo" else {}
    model = loaded(architecture, **settings)
    ours = final_norm(model).gain
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, gain(model.module).detach().numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "centres"),
    [("gpt2", True), ("gpt_neox", True), ("llama", False), ("gemma", False), ("bert", False)],
)
def test_layer_norm_centres_and_rms_norm_does_not(architecture, centres):
    model = loaded(architecture)
    norm = final_norm(model)
    assert norm.centres == centres
    rows = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32) + 1
    assert (np.abs(norm.folded(rows).mean(1)).max() < 1e-6) == centres
    reads = [weights.query for weights in query_key_weights(model)]
    assert (max(np.abs(query.mean(1)).max() for query in reads) < 1e-6) == centres


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma", "bert", "deberta-v2"])
def test_vectors_pass_the_final_norm_where_there_is_one(architecture):
    # As it is drawn, the embedding of the first token, which is padding, is 0.
    model = Random(architecture=architecture, settings=ARCHITECTURES[architecture]).load()
    own = {"gpt2": "ln_f", "llama": "norm", "gemma": "norm"}.get(architecture)
    vectors = np.random.default_rng(0).normal(size=(2, 3, 32)).astype(np.float32) + 1
    with torch.no_grad():
        given = torch.from_numpy(vectors)
        theirs = model.module.get_submodule(own)(given).numpy() if own else vectors
    np.testing.assert_array_equal(final_norm(model).applied(vectors), theirs)


def test_the_decoders_final_gain_is_its_own():
    model = loaded("t5")
    ours = [final_norm(model, stack).gain for stack in ("encoder", "decoder")]
    theirs = [part.final_layer_norm.weight for part in (model.module.encoder, model.module.decoder)]
    np.testing.assert_allclose(ours, torch.stack(theirs).detach().numpy(), rtol=1e-6)
    assert np.abs(ours[0] - ours[1]).max() > 0.1


DEEPSEEK = {
    **ARCHITECTURES["bert"],
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "first_k_dense_replace": 3,
}
LATENT = "random deepseek_v3, block 0: the {} of its attention are not a linear map .* projects"


def test_latent_attention_is_refused_and_its_mlp_is_not():
    # The latents are as wide as the stream, and are still no stream.
    model = loaded("deepseek_v3", **DEEPSEEK)
    with pytest.raises(ConfigError, match=LATENT.format("queries")):
        query_key_weights(model)
    with pytest.raises(ConfigError, match=LATENT.format("values")):
        value_output_weights(model)
    assert [list(w.inputs) for w in mlp_weights(model)] == [["gate_proj", "up_proj"]] * 3


def test_what_is_no_copy_of_channels_is_refused():
    clipped = loaded("olmo", **ARCHITECTURES["llama"], clip_qkv=2.0)
    with pytest.raises(ConfigError, match="the queries of its attention are not a linear map"):
        query_key_weights(clipped)
    with pytest.raises(ConfigError, match="the values of its attention are not a linear map"):
        value_output_weights(clipped)
    # BitNet norms what its heads give, and its neurons.
    bitnet = loaded("bitnet", **ARCHITECTURES["llama"])
    with pytest.raises(ConfigError, match="is changed before it is projected"):
        value_output_weights(bitnet)
    with pytest.raises(
        ConfigError, match="its MLP cannot be identified from its structure: 0 of its"
    ):
        mlp_weights(bitnet)
    assert len(query_key_weights(bitnet)) == 3


def test_experts_in_some_blocks_or_beside_a_shared_one_are_refused():
    with pytest.raises(ConfigError, match="block 0: its MLP is a mixture of experts"):
        mlp_weights(loaded("qwen3_moe", mlp_only_layers=[1]))
    with pytest.raises(ConfigError, match="block 1: its MLP is a mixture of experts"):
        mlp_weights(loaded("qwen3_moe", mlp_only_layers=[0]))
    shared = {**DEEPSEEK, "first_k_dense_replace": 1, "n_routed_experts": 4, "n_group": 1}
    settings = {"topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    with pytest.raises(ConfigError, match="block 1: its MLP is a mixture of experts"):
        mlp_weights(loaded("deepseek_v3", **shared, **settings))
    # Experts that are modules, each run on the tokens that are sent to it.
    switch = loaded("switch_transformers", **ARCHITECTURES["t5"], num_experts=4)
    with pytest.raises(ConfigError, match="block 0: its MLP is a mixture of experts"):
        mlp_weights(switch)
    assert len(value_output_weights(switch)) == 3


def test_half_precision_and_many_channels_are_read_as_they_are():
    settings = {"n_embd": 384, "n_head": 6, "n_layer": 1, "dtype": "bfloat16"}
    source = Random(architecture="gpt2", settings={**ARCHITECTURES["gpt2"], **settings})
    for dtype in ("bfloat16", "float16"):
        model = replace(source, dtype=dtype).load()
        (block,) = model.module.h
        (qk,), (ov,), (mlp,) = (
            weights(model) for weights in (query_key_weights, value_output_weights, mlp_weights)
        )
        fused = block.attn.c_attn.weight.detach().float().view(384, 3, 6, 64).permute(1, 2, 0, 3)
        for ours, theirs in zip((qk.query, qk.key, ov.value), fused.numpy(), strict=True):
            # LayerNorm lets no mean through; the weights are float32 before it is taken off.
            np.testing.assert_allclose(ours, theirs - theirs.mean(1, keepdims=True), atol=1e-8)
        theirs = block.attn.c_proj.weight.detach().float().view(6, 64, 384).numpy()
        np.testing.assert_array_equal(ov.output, theirs)
        theirs = block.mlp.c_fc.weight.detach().float().numpy()
        np.testing.assert_allclose(mlp.inputs["c_fc"], theirs - theirs.mean(0), atol=1e-8)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "t5", "mpt", "qwen3", "mixtral"])
def test_the_model_stays_as_it_was(architecture):
    model = loaded(architecture)
    kernels = [
        m.config._attn_implementation for m in model.module.modules() if hasattr(m, "config")
    ]
    state = copy.deepcopy(model.module.state_dict())
    functions = dict(ALL_ATTENTION_FUNCTIONS)

    def output():
        ids = np.arange(N_TOKENS)[None]
        inputs = model.inputs("auto", ids, np.ones_like(ids, bool))
        with torch.inference_mode():
            return model.entry("auto")(**inputs).last_hidden_state

    before = output()
    refused = 0
    for weights in (query_key_weights, value_output_weights, mlp_weights, final_norm):
        try:
            found = weights(model)
        except ConfigError:
            refused += 1
        else:
            # What is returned is nobody else's.
            for array in vars(found[0] if isinstance(found, tuple) else found).values():
                if isinstance(array, np.ndarray):
                    array[:] = 0
    assert refused == {"mpt": 2, "qwen3": 1, "mixtral": 1}.get(architecture, 0)
    assert torch.equal(output(), before)
    assert dict(ALL_ATTENTION_FUNCTIONS) == functions
    assert kernels == [
        m.config._attn_implementation for m in model.module.modules() if hasattr(m, "config")
    ]
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, state[name])
    for module in model.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_weights_that_are_not_there_cannot_be_read(tiny):
    for weights in (query_key_weights, value_output_weights, mlp_weights, final_norm):
        with pytest.raises(ConfigError, match="random gpt2: its weights are not in memory"):
            weights(tiny.skeleton())
