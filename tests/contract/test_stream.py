"""The residual stream between attention and MLP, against sums of what each module gives by itself.

The tracing knows no architecture. What it finds is held to the tables below, which name for each
one the modules whose outputs its attention adds, and the norm that follows the sum, if any.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from interp.core.errors import ConfigError
from interp.data.positions import All, AttentionMean, Last, Mean
from interp.forward.capture import capture
from interp.forward.plan import plan
from interp.hooks import HOOKS
from interp.hooks.residual import Embed, ResidMid, ResidPost, ResidPre, Stream
from interp.models import Random
from interp.models.block_sites import block_sites
from interp.models.dataflow import UnclearStructure
from interp.models.residual_stream import BlockSites, Middle
from tests.architectures import ARCHITECTURES

EVERY_TOKEN = All(special=True)

_LLAMA = [("self_attn", "")]
_SANDWICH = [("post_attention_layernorm", "")]
_BERT = [("attention.output.dense", "attention.output.LayerNorm")]
_BART = [("self_attn", "self_attn_layer_norm")]

# Within a block: each module whose output is added before the MLP, and the norm after the sum.
STEPS = {
    "gpt2": [("attn", "")],
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "distilbert": [("attention", "sa_layer_norm")],
    "electra": _BERT,
    "deberta-v2": _BERT,
    "modernbert": [("attn", "")],
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _SANDWICH,
    "gemma3_text": _SANDWICH,
    "gpt_neo": [("attn", "")],
    "opt": _LLAMA,
    "bloom": [("self_attention.dense", "")],
    "phi3": _LLAMA,
    "olmo2": _SANDWICH,
    "mpt": [("attn", "")],
    "starcoder2": _LLAMA,
    "stablelm": _LLAMA,
    "granite": _LLAMA,
    "smollm3": _LLAMA,
    "mixtral": _LLAMA,
    "qwen3_moe": _LLAMA,
    "gpt_oss": _LLAMA,
    "t5": [("layer.0.SelfAttention", "")],
    "bart": _BART,
    "mbart": _LLAMA,
}
DECODER_STEPS = {
    "t5": [("layer.0.SelfAttention", ""), ("layer.1.EncDecAttention", "")],
    "bart": [*_BART, ("encoder_attn", "encoder_attn_layer_norm")],
    "mbart": [("self_attn", ""), ("encoder_attn", "")],
}
PARALLEL = ("gpt_neox", "gptj", "phi", "falcon", "cohere")
# The same architectures with a setting that changes where the stream runs.
SEQUENTIAL_VARIANTS = {
    "gpt_neox": ({"use_parallel_residual": False}, [("attention", "")]),
    "falcon": (
        {"parallel_attn": False, "new_decoder_architecture": False},
        [("self_attention", "")],
    ),
    "opt": ({"do_layer_norm_before": False}, [("self_attn", "self_attn_layer_norm")]),
    "granite": ({"residual_multiplier": 0.25}, _LLAMA),
    "qwen3_moe": ({"mlp_only_layers": [1]}, _LLAMA),
    "mixtral": ({"experts_implementation": "eager"}, _LLAMA),
    "t5": (
        {"feed_forward_proj": "gated-gelu", "dtype": "float16"},
        [("layer.0.SelfAttention", "")],
    ),
    "bart": ({"dtype": "float16"}, _BART),
    "llama": ({"dtype": "bfloat16"}, _LLAMA),
}
PARALLEL_VARIANTS = {
    "stablelm": {"use_parallel_residual": True},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
}
STACKS = [
    *((name, "auto") for name in ARCHITECTURES),
    *((name, "decoder") for name in DECODER_STEPS),
]


def source_of(architecture, **settings):
    return Random(architecture=architecture, settings={**ARCHITECTURES[architecture], **settings})


def padded_batch(model, prompts):
    """The prompts as the capture orders and pads them, and the row of each one's tokens."""
    rows = [model.tokenizer(text)["input_ids"] for text in prompts.texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    width = max(map(len, rows))
    ids = np.array([rows[i] + [model.pad_id] * (width - len(rows[i])) for i in order])
    mask = np.array([[1] * len(rows[i]) + [0] * (width - len(rows[i])) for i in order], bool)
    return ids, mask, [(order.index(i), len(row)) for i, row in enumerate(rows)]


def summed_by_hand(source, prompts, stack, steps):
    """Each block's input plus what its attention adds, [layer, token, width], by plain hooks."""
    model = source.load()
    ids, mask, rows = padded_batch(model, prompts)
    entering, given, handles = {}, {}, []

    def on_block(i, _module, args, kwargs):
        entering[i] = (args[0] if args else kwargs["hidden_states"]).clone()

    def on_module(i, path, _module, _args, output):
        given[i, path] = (output if isinstance(output, torch.Tensor) else output[0]).clone()

    blocks = [model.module.get_submodule(path) for path in model.stack(stack).blocks]
    try:
        for i, block in enumerate(blocks):
            handles.append(
                block.register_forward_pre_hook(
                    lambda m, a, k, i=i: on_block(i, m, a, k), with_kwargs=True
                )
            )
            for path, _ in steps:
                handles.append(
                    block.get_submodule(path).register_forward_hook(
                        lambda m, a, o, i=i, path=path: on_module(i, path, m, a, o)
                    )
                )
        with torch.inference_mode():
            model.entry(stack)(**model.inputs(stack, ids, mask))
    finally:
        for handle in handles:
            handle.remove()
    scale = getattr(model.module.config, "residual_multiplier", 1.0)
    found = []
    with torch.inference_mode():
        for i, block in enumerate(blocks):
            stream = entering[i]
            for path, norm in steps:
                stream = stream + (given[i, path] * scale).view_as(stream)
                stream = block.get_submodule(norm)(stream) if norm else stream
            found.append(np.concatenate([stream[row, :n].numpy() for row, n in rows]))
    return np.stack(found)


def test_the_tables_speak_of_every_architecture():
    assert {*STEPS, *PARALLEL} == set(ARCHITECTURES)
    assert not set(STEPS) & set(PARALLEL)


@pytest.mark.parametrize(("architecture", "stack"), [s for s in STACKS if s[0] not in PARALLEL])
def test_resid_mid_is_the_blocks_input_plus_attention_to_the_last_bit(architecture, stack, prompts):
    source = source_of(architecture)
    steps = (DECODER_STEPS if stack == "decoder" else STEPS)[architecture]
    ours = capture(source, prompts, ResidMid(stack=stack), EVERY_TOKEN)
    theirs = summed_by_hand(source, prompts, stack, steps)
    assert ours.layers == tuple(range(len(theirs)))
    np.testing.assert_array_equal(ours.values, theirs)


@pytest.mark.parametrize("architecture", SEQUENTIAL_VARIANTS)
def test_settings_that_move_the_middle_are_seen(architecture, prompts):
    settings, steps = SEQUENTIAL_VARIANTS[architecture]
    source = source_of(architecture, **settings)
    ours = capture(source, prompts, ResidMid(), EVERY_TOKEN).values
    np.testing.assert_array_equal(ours, summed_by_hand(source, prompts, "auto", steps))
    assert plan(source, prompts, Stream(), Last()).notice == ""


@pytest.mark.parametrize(("architecture", "stack"), STACKS)
def test_stream_goes_through_the_other_sites_to_the_last_bit(architecture, stack, prompts):
    source = source_of(architecture)

    def read(hook):
        return capture(source, prompts, replace(hook, stack=stack), EVERY_TOKEN)

    before = own_output(source, prompts, stack)
    stream, pre, post = read(Stream()), read(ResidPre()).values, read(ResidPost()).values
    names = plan(source, prompts, Stream(stack=stack), EVERY_TOKEN).layer_names
    np.testing.assert_array_equal(stream.values[0], pre[0])
    if architecture in PARALLEL:
        np.testing.assert_array_equal(stream.values[1:], post)
        assert names == ("embed", *(f"block {i}" for i in range(len(post))))
    else:
        np.testing.assert_array_equal(stream.values[2::2], post)
        np.testing.assert_array_equal(stream.values[1::2], read(ResidMid()).values)
        steps = [f"{part} {i}" for i in range(len(post)) for part in ("attn", "mlp")]
        assert names == ("embed", *steps)
        # Every step moves the token: no tap is a neighbour's.
        assert np.abs(np.diff(stream.values, axis=0)).max((1, 2)).min() > 1e-4
    np.testing.assert_array_equal(own_output(source, prompts, stack), before)


def own_output(source, prompts, stack):
    model = source.load()
    ids, mask, _ = padded_batch(model, prompts)
    with torch.inference_mode():
        return model.entry(stack)(**model.inputs(stack, ids, mask)).last_hidden_state.numpy()


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [*((name, {}) for name in PARALLEL), *PARALLEL_VARIANTS.items()],
)
def test_a_parallel_block_has_no_middle_and_the_stream_says_so(architecture, settings, prompts):
    source = source_of(architecture, **settings)
    said = f"random {architecture} has no resid_mid: each block adds to the residual stream in one"
    with pytest.raises(ConfigError, match=rf"^hook: {said} .*; there are .*resid_post.*stream"):
        plan(source, prompts, ResidMid(), Last())
    found = plan(source, prompts, Stream(layers=[0, -1]), Last())
    assert found.notice == f"{said} step"
    assert found.layer_names == ("embed", "block 2")
    assert found.n_layers == 4


def test_other_sites_have_numbers_and_nothing_to_say(prompts, tiny):
    for hook in (Embed(), ResidPost(layers=[0, 2]), ResidMid(layers=[0, 2])):
        found = plan(tiny, prompts, hook, Last())
        assert found.notice == ""
        assert found.layer_names == tuple(f"layer {layer}" for layer in found.layers)


def test_layers_choose_steps_by_their_number(prompts, tiny):
    found = plan(tiny, prompts, Stream(layers=[3, 0, -1]), Last())
    assert found.layers == (0, 3, 6)
    assert found.layer_names == ("embed", "attn 1", "mlp 2")
    with pytest.raises(ConfigError, match=r"no layer 7; stream has layers 0 to 6"):
        plan(tiny, prompts, HOOKS.build({"name": "stream", "layers": 7}), Last())


@pytest.mark.parametrize(
    ("architecture", "attention", "mlp"),
    [
        ("gpt2", "h.0.attn", "h.0.mlp"),
        ("bert", "encoder.layer.0.attention", "encoder.layer.0.intermediate"),
        ("olmo2", "layers.0.self_attn", "layers.0.mlp"),
        ("t5", "encoder.block.0.layer.0", "encoder.block.0.layer.1.DenseReluDense"),
        ("bloom", "h.0.self_attention", "h.0.mlp"),
    ],
)
def test_the_pass_ends_between_attention_and_mlp(architecture, attention, mlp, prompts):
    source = source_of(architecture, initializer_range=0.03)
    ran = []
    for name in (attention, mlp):
        module = source.load().module.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(f"into {name}"))
    capture(source, prompts, Stream(layers=[1]), Last())
    assert f"into {attention}" in ran
    assert mlp not in ran
    capture(source, prompts, Stream(layers=[2]), Last())
    assert mlp in ran


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "t5"])
def test_attention_mean_weighs_each_step_with_its_own_blocks_attention(architecture, prompts):
    source = source_of(architecture)
    stream = capture(source, prompts, Stream(), AttentionMean()).values
    post = capture(source, prompts, ResidPost(), AttentionMean()).values
    mid = capture(source, prompts, ResidMid(), AttentionMean()).values
    np.testing.assert_array_equal(stream[2::2], post)
    np.testing.assert_array_equal(stream[1::2], mid)
    assert np.abs(mid - capture(source, prompts, ResidMid(), Mean()).values).max() > 1e-5


def test_the_middle_is_found_without_weights_and_leaves_no_trace():
    for architecture in ("gpt2", "mixtral", "t5", "deberta-v2"):
        model = source_of(architecture).skeleton()
        assert {tensor.device.type for tensor in model.module.parameters()} == {"meta"}
        found = model.middles("auto")
        assert len(found) == len(model.stack("auto").blocks)
        assert model.sites("auto") is model.sites("auto")
        for module in model.module.modules():
            assert "forward" not in vars(module)
            assert not module._forward_hooks
            assert not module._forward_pre_hooks


def test_the_skeleton_and_the_loaded_model_tell_the_same():
    for architecture in ("gpt2", "bert", "gemma2", "opt"):
        source = source_of(architecture)
        assert source.load().middles("auto") == source.skeleton().middles("auto")


def test_models_without_attention_say_what_they_add(prompts):
    hybrid = Random(
        architecture="granitemoehybrid",
        settings={
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 64,
            "shared_intermediate_size": 64,
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "layer_types": ["mamba", "attention", "mamba"],
        },
    )
    names = plan(hybrid, prompts, Stream(), Last()).layer_names
    assert names == ("embed", "mixer 0", "mlp 0", "attn 1", "mlp 1", "mixer 2", "mlp 2")
    mamba = Random(
        architecture="mamba",
        settings={"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8},
    )
    found = plan(mamba, prompts, Stream(), Last())
    assert found.layer_names == ("embed", "block 0", "block 1", "block 2")
    assert "random mamba has no resid_mid" in found.notice


def test_an_architecture_that_cannot_be_told_is_refused_in_one_line(prompts):
    # Gemma 3n runs four streams side by side.
    for hook in (ResidMid(), Stream()):
        with pytest.raises(ConfigError, match="cannot be identified from its structure: ") as no:
            plan(Random(architecture="gemma3n_text"), prompts, hook, Last())
        assert "use hook=resid_post" in str(no.value)
        assert "\n" not in str(no.value)


def test_unmarked_blocks_keep_their_error(prompts):
    settings = {"n_embd": 32, "n_layer": 3, "n_head": 4, "dff": 64}
    source = Random(architecture="ctrl", settings=settings)
    for hook in (ResidMid(), Stream()):
        with pytest.raises(ConfigError, match=r"blocks cannot be found .* hook=module"):
            plan(source, prompts, hook, Last())


class Attend(nn.Module):
    """Tokens over tokens."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        return self.out((x @ x.mT).softmax(-1) @ x)


class Routed(nn.Module):
    """An MLP whose path depends on values, which the `meta` device has none of."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(x)[x.sum(-1) > 0].sum() + torch.zeros_like(x)


class Block(nn.Module):
    """A block that a function of the block and its input runs."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.norm_1, self.norm_2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attn, self.mlp, self.routed = Attend(), nn.Linear(8, 8), Routed()

    def forward(self, hidden_states):
        return self.run(self, hidden_states)


class Blocks(nn.Module):
    """A model of two blocks, of which all but the first may be another's kind."""

    def __init__(self, *runs):
        super().__init__()
        self.blocks = nn.ModuleList(Block(run) for run in runs)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def middles(model, blocks, x):
    found = block_sites(model, model, blocks, [], {"x": x})
    return {i: sites.middle for i, sites in enumerate(found) if sites.middle}


def found_in(run, device="meta"):
    with torch.device(device):
        model, x = Blocks(run, run).eval(), torch.ones(1, 5, 8)
    return middles(model, ["blocks.0", "blocks.1"], x)


def pre_norm(block, x):
    x = x + block.attn(block.norm_1(x))
    return x + block.mlp(block.norm_2(x))


def in_place(block, x):
    x = x.clone()
    x += block.attn(block.norm_1(x))
    rows = x.view(-1, 8)
    rows += block.mlp(block.norm_2(x)).view(-1, 8)
    return x


def by_slices(block, x):
    middle = torch.empty_like(x)
    middle[:, :2], middle[:, 2:] = (x + block.attn(block.norm_1(x))).split([2, 3], 1)
    return middle + block.mlp(block.norm_2(middle))


def in_rows(block, x):
    rows = (x + block.attn(block.norm_1(x))).reshape(-1, 8)
    return (rows + block.mlp(block.norm_2(rows))).view(x.shape)


def weighted(block, x):
    x = 0.9 * x + block.attn(block.norm_1(x))
    return x / 2 + block.mlp(block.norm_2(x))


def routed(block, x):
    x = x + block.attn(block.norm_1(x))
    return x + block.routed(block.norm_2(x))


def sandwiched(block, x):
    x = x + 0.5 * nn.functional.dropout(block.norm_1(block.attn(x)), 0.1, block.training)
    return x.double().to(x.dtype) + block.norm_1(block.mlp(block.norm_2(x)))


def rms_by_hand(block, x):
    def norm(v):
        return v * torch.rsqrt(v.pow(2).mean(-1, keepdim=True) + 1e-6) * (1 + block.norm_1.weight)

    x = x + block.attn(norm(x))
    x = block.norm_2(x)
    return norm(x + block.mlp(x))


@pytest.mark.parametrize(
    "run",
    [pre_norm, in_place, by_slices, in_rows, weighted, routed, sandwiched],
    ids=lambda run: run.__name__,
)
def test_the_middle_is_what_the_second_norm_is_given(run):
    expected = {i: Middle(f"blocks.{i}.norm_2", "input", "attn") for i in (0, 1)}
    assert found_in(run) == expected
    if run is not routed:
        assert found_in(run, "cpu") == expected


def test_the_middle_of_a_post_norm_block_is_what_its_first_norm_gives():
    assert found_in(rms_by_hand)[1] == Middle("blocks.1.norm_2", "output", "attn")


def test_a_block_of_one_step_has_no_middle():
    def gptj(block, x):
        normed = block.norm_1(x)
        return block.attn(normed) + block.mlp(normed) + x

    def falcon(block, x):
        added = block.mlp(block.norm_1(x))
        added += block.attn(block.norm_2(x))
        return x + added

    def added_one_by_one(block, x):
        return (x + block.attn(block.norm_1(x))) + block.mlp(block.norm_2(x))

    def mixer_alone(block, x):
        return x + block.mlp(block.norm_1(x))

    for run in (gptj, falcon, added_one_by_one, mixer_alone):
        assert found_in(run) == {}


def test_blocks_that_differ_are_told_apart_and_the_others_do_not_run():
    ran = []

    def run(block, x):
        ran.append(block.number)
        return pre_norm(block, x) if block.sequential else x + block.mlp(block.norm_1(x))

    with torch.device("meta"):
        model, x = Blocks(*[run] * 5).eval(), torch.ones(1, 5, 8)
    for i, block in enumerate(model.blocks):
        block.number, block.sequential = i, i in (2, 4)
    found = middles(model, [f"blocks.{i}" for i in range(5)], x)
    assert found == {i: Middle(f"blocks.{i}.norm_2", "input", "attn") for i in (2, 4)}
    assert ran == [0, 2]


def test_blocks_that_only_some_have_a_middle_say_which(tiny):
    model = tiny.skeleton()
    middle = BlockSites(Middle("h.1.ln_2", "input", "attn"))
    vars(model)["_sites"] = {model.stack("auto"): (BlockSites(), middle, BlockSites())}
    names = [tap.name for tap in Stream().taps(model).values()]
    assert names == ["embed", "block 0", "attn 1", "mlp 1", "block 2"]
    assert list(ResidMid().taps(model)) == [1]
    said = "random gpt2 has no resid_mid in blocks 0, 2: each of them adds to the residual stream"
    assert ResidMid().notice(model) == Stream().notice(model) == f"{said} in one step"


def test_the_first_blocks_input_is_told_from_the_embedding_that_all_blocks_are_given():
    class Given(Block):
        def forward(self, hidden_states, embedded):
            x = hidden_states + self.attn(self.norm_1(hidden_states))
            return x + self.mlp(self.norm_2(x) + embedded)

    class Zamba(Blocks):
        def forward(self, x):
            start = x
            for block in self.blocks:
                x = block(x, start)
            return x

    with torch.device("meta"):
        model, x = Zamba(), torch.ones(1, 5, 8)
        model.blocks.extend([Given(None), Given(None)])
    found = middles(model, ["blocks.0", "blocks.1"], x)
    assert found[0] == Middle("blocks.0.norm_2", "input", "attn")


def test_what_is_no_sequence_of_residual_steps_is_refused():
    def without_skip(block, x):
        x = x + block.attn(block.norm_1(x))
        return block.mlp(block.norm_2(x))

    def gated(block, x):
        gate = block.mlp(x).sigmoid()
        x = x * gate + block.attn(block.norm_1(x)) * (1 - gate)
        return x + block.mlp(block.norm_2(x))

    def hidden_by_values(block, x):
        x = x + block.attn(block.norm_1(x))
        return block.routed(x)

    def attention_last(block, x):
        x = x + block.mlp(block.norm_1(x))
        return x + block.attn(block.norm_2(x))

    def three_steps(block, x):
        x = x + block.attn(block.norm_1(x))
        x = x + block.mlp(block.norm_1(x))
        return x + block.mlp(block.norm_2(x))

    def never_given_whole(block, x):
        x = x + block.attn(block.norm_1(x))
        return x + block.mlp(block.norm_2(x * 2))

    def one_norm_for_both(block, x):
        x = x + block.attn(block.norm_1(x))
        return x + block.mlp(block.norm_1(x))

    said = {
        one_norm_for_both: "no module reads or returns the stream between",
        without_skip: "change the stream in another way than by adding",
        gated: "change the stream in another way than by adding",
        hidden_by_values: "change the stream in another way than by adding",
        attention_last: "2 steps of its blocks are not attention first and an MLP last",
        three_steps: "3 steps of its blocks are not attention first and an MLP last",
        never_given_whole: "no module reads or returns the stream between",
        lambda block, x: x: "add nothing to the stream",
        lambda block, x: {"x": x}: "do not return a residual stream",
        lambda block, x: x[x > 0]: "depends on values|nonzero",
    }
    for run, reason in said.items():
        with pytest.raises(UnclearStructure, match=reason):
            found_in(run)


def test_a_block_that_does_not_run_is_refused():
    with torch.device("meta"):
        model, x = Blocks(pre_norm), torch.ones(1, 5, 8)
        model.spare = Block(pre_norm)
    model.spare.kind = "another"
    with pytest.raises(UnclearStructure, match="spare does not run"):
        middles(model, ["blocks.0", "spare"], x)
