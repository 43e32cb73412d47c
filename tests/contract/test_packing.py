"""What is left out of a pass against plain padded passes of Hugging Face's own models."""

import numpy as np
import pytest
import torch

from interp.core.errors import OutOfMemoryError
from interp.data.positions import All, AttentionMean, First, Index, Last, Max, Mean, Target
from interp.data.prompts import from_marked
from interp.forward import engine, exactness
from interp.forward.capture import capture
from interp.forward.engine import read
from interp.forward.layout import batches, packed, padded
from interp.forward.plan import plan_capture
from interp.hooks.heads import AttentionScores, HeadOutput, HeadResult, Key, Pattern, Query, Value
from interp.hooks.module import Module
from interp.hooks.neurons import MlpPost
from interp.hooks.residual import PosEmbed, ResidMid, ResidPost
from interp.models import Random
from tests.architectures import ARCHITECTURES

WORDS = "the heron waits by some water hammer is heavy one saw of three foxes".split()
# Those that look at a window of eight tokens, have biases by distance, or attend by themselves.
# The padding of the two RoBERTas here is a token of each text, which has no position of its own.
PLAIN = """roberta xlm-roberta deberta-v2 modernbert gemma2 gemma3_text gpt_neo gptj bloom falcon
    mpt gpt_oss t5 bart mbart""".split()


@pytest.fixture(scope="module")
def many():
    """Fifty prompts of 8 to 60 tokens, many of which begin alike, each with a target."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS[:4], rng.integers(1, 6))) for _ in range(50)]
    return from_marked(
        {"all": [f"{text} {{fox}}{' runs' * (i % 5)}" for i, text in enumerate(texts)]}
    )


def source_of(architecture, **fields):
    return Random(architecture=architecture, settings=ARCHITECTURES[architecture], **fields)


def plainly(source, prompts):
    """Every prompt's own output, [token, d], from one padded batch of Hugging Face's model."""
    model = source.load()
    rows = [torch.tensor(model.tokenizer(text)["input_ids"]) for text in prompts.texts]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.pad_id)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    whole = model.module
    encoder = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    with torch.inference_mode():
        output = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    # What enters the last block is no norm's output in any of them.
    return [output.hidden_states[-2][i, : len(row)].numpy() for i, row in enumerate(rows)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("position", [Target(), All(special=True)], ids=["target", "all"])
def test_every_model_gives_what_it_gives_plainly(architecture, position, many):
    source = source_of(architecture)
    last = len(source.load().stack("auto").blocks) - 2
    found = capture(source, many, ResidPost(layers=last), position)
    expected = plainly(source, many)
    at = zip(found.samples["prompt"], found.samples["position"], strict=True)
    theirs = np.stack([expected[prompt][token] for prompt, token in at])
    np.testing.assert_allclose(found.values[0], theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_short_cuts_are_taken_where_they_are_exact_and_nowhere_else(architecture, many):
    source = source_of(architecture)
    model = source.load()
    found = exactness.exactness(model, [plan_capture(source, many, ResidPost(), First())])
    assert found.packs == (architecture not in PLAIN)
    bidirectional = """bert roberta xlm-roberta distilbert electra deberta-v2 modernbert t5 bart
        mbart""".split()
    assert found.is_causal == (architecture not in bidirectional)


def test_positions_that_begin_after_the_paddings_are_counted_from_there(many):
    settings = {**ARCHITECTURES["roberta"], "pad_token_id": 0}
    source = Random(architecture="roberta", settings=settings)
    work = plan_capture(source, many, ResidPost(layers=1), First())
    assert exactness.exactness(source.load(), [work]).packs
    found = capture(source, many, ResidPost(layers=1), All(special=True)).values[0]
    expected = np.concatenate(plainly(source, many))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama", "gpt_neox"])
@pytest.mark.parametrize(
    "hook",
    [ResidMid(), Query(), Key(), Value(), HeadOutput(), HeadResult(), MlpPost(), Pattern()],
    ids=lambda hook: hook.site,
)
def test_every_site_is_what_it_is_one_prompt_at_a_time(
    architecture, kernel, hook, many, monkeypatch
):
    if architecture == "gpt_neox" and isinstance(hook, ResidMid):
        pytest.skip("its attention and MLP run side by side")
    source = source_of(architecture, attention=kernel)
    together = capture(source, many, hook, Target()).values
    monkeypatch.setattr(engine, "exactness", lambda *_: exactness.PLAIN)
    monkeypatch.setitem(engine._TOKENS_PER_BATCH, "cpu", 1)
    alone = capture(source, many, hook, Target()).values
    np.testing.assert_allclose(together, alone, atol=2e-6, rtol=1e-4)


def test_scores_are_minus_infinity_where_a_packed_prompt_has_ended(many, monkeypatch):
    source = source_of("gpt2")
    together = capture(source, many, AttentionScores(), Target()).values
    monkeypatch.setattr(engine, "exactness", lambda *_: exactness.PLAIN)
    alone = capture(source, many, AttentionScores(), Target()).values
    np.testing.assert_array_equal(np.isfinite(together), np.isfinite(alone))
    seen = np.isfinite(alone)
    np.testing.assert_allclose(together[seen], alone[seen], atol=1e-5)


@pytest.mark.parametrize("position", [Mean(), Max(), Last(), AttentionMean()])
def test_pooling_does_not_depend_on_how_prompts_run(position, many, monkeypatch):
    for architecture in ("gpt2", "bert"):
        source = source_of(architecture)
        together = capture(source, many, ResidPost(), position).values
        monkeypatch.setattr(engine, "exactness", lambda *_: exactness.PLAIN)
        alone = capture(source, many, ResidPost(), position).values
        monkeypatch.undo()
        np.testing.assert_allclose(together, alone, atol=2e-6)


def test_no_token_runs_that_nobody_reads(many):
    source = source_of("gpt2", seed=3)
    model, ran = source.load(), []
    handle = model.module.h[0].register_forward_hook(lambda _m, args, _o: ran.append(args[0].shape))
    what = plan_capture(source, many, ResidPost(), Target())
    capture(source, many, ResidPost(), Target())
    handle.remove()
    ids = [model.tokenizer(text)["input_ids"] for text in many.texts]
    ends = what.plan.samples["position"] + 1
    needed = {tuple(own[:n]) for own, end in zip(ids, ends, strict=True) for n in range(1, end + 1)}
    # Three small passes find out what may be left out.
    row = [shape for shape in ran[3:] if shape[0] == 1]
    assert len(ran) == 3 + len(row)
    # Prompts of unlike lengths run in batches of their own, which may begin alike.
    assert len(needed) <= sum(shape[1] for shape in row) <= 1.3 * len(needed)
    assert sum(shape[1] for shape in row) < 0.6 * ends.sum()


def test_several_hook_points_come_out_of_one_pass(many):
    source = source_of("llama", seed=4)
    hooks = (ResidPost(layers=1), MlpPost(), Pattern(layers=[0]), Value())
    positions = (Target(), Mean(), First(), All())
    works = [plan_capture(source, many, h, p) for h, p in zip(hooks, positions, strict=True)]
    model, ran = source.load(), []
    handle = model.module.layers[2].register_forward_pre_hook(lambda *_: ran.append(1))
    [together] = read(works, [range(len(many))])
    n_passes = len(ran)
    handle.remove()
    for values, hook, position in zip(together, hooks, positions, strict=True):
        alone = capture(source, many, hook, position).values
        np.testing.assert_allclose(values, alone, atol=2e-6)
    assert 0 < n_passes < 8


def test_parts_are_the_rows_of_the_whole(many):
    source = source_of("gpt2")
    work = plan_capture(source, many, ResidPost(), All())
    parts = [range(0, 7), range(7, 40), range(40, 50)]
    read_in_parts = [values for [values] in read([work], parts)]
    whole = capture(source, many, ResidPost(), All()).values
    assert [len(v[0]) for v in read_in_parts] == [
        int(work.plan.samples["prompt"].isin(part).sum()) for part in parts
    ]
    np.testing.assert_allclose(np.concatenate(read_in_parts, axis=1), whole, atol=2e-6)


def test_a_batch_that_does_not_fit_is_halved(many, monkeypatch):
    source = source_of("gpt2", seed=6)
    expected = capture(source, many, ResidPost(), Last()).values
    block, tried = source.load().module.h[1], []

    def allocate(_module, args):
        tried.append(args[0].shape[0] * args[0].shape[1])
        if tried[-1] > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …")

    handle = block.register_forward_pre_hook(allocate)
    found = capture(source, many, ResidPost(), Last()).values
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert max(tried) > 100
    longer = from_marked({"a": ["x" * 50]})
    handle.remove()
    handle = block.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemoryError, match="one prompt of 51 tokens does not fit into memory"):
        capture(source, longer, ResidPost(), Last())
    handle.remove()
    handle = block.register_forward_pre_hook(
        lambda *_: (_ for _ in ()).throw(RuntimeError("something else"))
    )
    with pytest.raises(RuntimeError, match="something else"):
        capture(source, longer, ResidPost(), Last())
    handle.remove()


def test_positions_are_read_of_a_row_that_prompts_share(many):
    source = source_of("gpt2")
    found = capture(source, many, PosEmbed(), Target())
    table = source.load().module.wpe.weight.detach().numpy()
    np.testing.assert_array_equal(found.values[0], table[found.samples["position"]])


def test_a_packed_row_holds_each_beginning_once():
    prompts = [np.array(own) for own in ([1, 2], [1, 2, 3], [1, 2, 4], [5, 2], [5, 2])]
    layout = packed(prompts, shared=True)
    assert layout.ids.tolist() == [[1, 2, 3, 4, 5, 2]]
    assert layout.positions.tolist() == [[0, 1, 2, 2, 0, 1]]
    for own, place in zip(prompts, layout.place, strict=True):
        assert layout.ids[0, place[: len(own)]].tolist() == own.tolist()
    cells = layout.home
    of_prompt, token = cells // 3, cells % 3
    assert [prompts[p][t] for p, t in zip(of_prompt, token, strict=True)] == layout.ids[0].tolist()
    whole = packed(prompts, shared=False)
    assert whole.ids.tolist() == [[1, 2, 1, 2, 3, 1, 2, 4, 5, 2, 5, 2]]


def test_a_padded_row_is_filled_up_on_the_right():
    layout = padded([np.array([7]), np.array([7, 8, 9])], 5)
    assert layout.ids.tolist() == [[7, 5, 5], [7, 8, 9]]
    assert layout.mask.tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("similar", [True, False])
def test_batches_hold_every_prompt_once_and_no_more_tokens_than_they_may(similar):
    rng = np.random.default_rng(1)
    prompts = [rng.integers(0, 3, n) for n in rng.integers(1, 40, 200)]
    found = batches(prompts, 90, similar=similar)
    assert sorted(i for batch in found for i in batch) == list(range(200))
    for batch in found:
        lengths = [len(prompts[i]) for i in batch]
        assert len(batch) * max(lengths) <= 90
    # What the largest leaves behind in memory has room for every other.
    sizes = [sum(len(prompts[i]) for i in batch) for batch in found]
    assert sizes == sorted(sizes, reverse=True)
    assert batches([np.arange(200)], 90, similar=similar) == [[0]]


def test_few_tokens_run_plainly(prompts, tiny):
    model = tiny.load()
    work = plan_capture(tiny, prompts, ResidPost(), Index(0))
    assert exactness.exactness(model, [work]) == exactness.PLAIN


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "architecture", ["bert", "distilbert", "electra", "modernbert", "gemma2", "gpt2", "llama"]
)
def test_half_precision_hides_no_token_that_is_looked_at(architecture, dtype, many, monkeypatch):
    # Beside the stream attention is so little here that rounding would cover it.
    source = source_of(architecture, dtype=dtype, seed=2)
    together = capture(source, many, HeadOutput(), Target()).values
    monkeypatch.setattr(engine, "exactness", lambda *_: exactness.PLAIN)
    alone = capture(source, many, HeadOutput(), Target()).values
    apart = np.median(np.abs(together - alone), axis=(1, 2, 3))
    assert (apart <= 0.02 * np.median(np.abs(alone), axis=(1, 2, 3))).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_state_that_runs_on_is_not_handed_to_the_next_prompt(dtype, many, monkeypatch):
    settings = {
        **ARCHITECTURES["llama"],
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "mamba_chunk_size": 16,
    }
    source = Random(architecture="falcon_h1", settings=settings, dtype=dtype)
    hook = Module(path="layers.1.mamba")
    together = capture(source, many, hook, Target()).values
    monkeypatch.setattr(engine, "exactness", lambda *_: exactness.PLAIN)
    alone = capture(source, many, hook, Target()).values
    np.testing.assert_allclose(together, alone, atol=1e-2 * np.abs(alone).max())


def test_rotations_that_depend_on_the_longest_prompt_leave_nothing_out():
    settings = {
        **ARCHITECTURES["phi3"],
        "original_max_position_embeddings": 16,
        "rope_scaling": {
            "rope_type": "longrope",
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
        },
    }
    source = Random(architecture="phi3", settings=settings)
    texts = [f"{i:02d} {{x}} {'then more of it ' * 3}" for i in range(40)]
    prompts = from_marked({"a": texts})
    found = capture(source, prompts, ResidPost(), Target())
    model = source.load()
    for i in (0, 17):
        with torch.inference_mode():
            ids = torch.tensor([model.tokenizer(prompts.texts[i])["input_ids"]])
            states = model.module(input_ids=ids, output_hidden_states=True).hidden_states
        own = states[1][0, found.samples["position"][i]].numpy()
        np.testing.assert_allclose(found.values[0, i], own, atol=1e-5)
