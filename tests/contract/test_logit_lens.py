"""Reading in vocabulary space, against Hugging Face's own logits."""

import dataclasses
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    GPT2LMHeadModel,
    LlamaForCausalLM,
)

from interp.core.errors import ConfigError
from interp.data.activations import Activations
from interp.data.positions import All, AttentionMean, Last, Mean
from interp.forward.capture import capture
from interp.forward.plan import plan, plan_capture
from interp.hooks import HOOKS
from interp.hooks.module import Module
from interp.hooks.residual import HiddenStates, ResidPost
from interp.hooks.vocabulary import LogitLens, Logits
from interp.models import Folder, Random
from interp.models.byte_tokenizer import byte_tokenizer
from interp.models.language_model import LanguageModel
from interp.models.sources import _HELD
from tests.architectures import ARCHITECTURES
from tests.contract.test_capture import ENCODER_DECODERS, EVERY_TOKEN, source_of
from tests.contract.test_models import MINILM, same_weights

CLOSE = {"rtol": 1e-5, "atol": 2e-6}
BERT = BertConfig(**ARCHITECTURES["bert"], vocab_size=259)


def saved(model, path):
    """A checkpoint folder of a model made here, with biases and norms that do something."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") or "norm" in name.lower() or "ln_" in name:
                weight.add_(torch.randn_like(weight) / 4)
    model.save_pretrained(path)
    byte_tokenizer().save_pretrained(path)
    return Folder(path=str(path))


def rows_of(prompts):
    tokenizer = byte_tokenizer()
    return [torch.tensor([tokenizer(text)["input_ids"]]) for text in prompts.texts]


@torch.inference_mode()
def own_logits(model, prompts):
    """What a Hugging Face model itself returns, prompt by prompt: [token, vocabulary]."""
    found = []
    for ids in rows_of(prompts):
        inputs = {"input_ids": ids}
        if model.config.is_encoder_decoder:
            inputs["decoder_input_ids"] = ids
        found.append(model(**inputs).logits[0])
    return torch.cat(found).numpy()


def decoded(activations, layer=-1):
    return activations.points(layer, np.arange(len(activations.samples)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_last_layer_is_the_models_own_logits(architecture, prompts):
    source = source_of(architecture)
    lens = capture(source, prompts, LogitLens(layers=[0, -1]), EVERY_TOKEN)
    own = capture(source, prompts, Logits(), EVERY_TOKEN)
    theirs = own_logits(source.load(head=True).head, prompts)
    assert lens.unembedding.name == own.unembedding.name == source.unembedding
    assert own.layers == (0,)
    for ours in (lens, own):
        np.testing.assert_allclose(decoded(ours), theirs, **CLOSE)
    assert np.abs(decoded(lens, 0) - theirs).max() > 1e-3 * np.abs(theirs).max()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equal_seeds_draw_equal_transformers_with_and_without_head(architecture):
    source = source_of(architecture, seed=3)
    headed = source.load(head=True)
    again = replace(source, device="cpu").load(head=True)
    assert all(
        torch.equal(a, again.head.state_dict()[name])
        for name, a in headed.head.state_dict().items()
    )
    assert not any(module.training for module in headed.head.modules())
    bare = replace(source, device="cpu").draw(None).state_dict()
    for name, weight in headed.module.state_dict().items():
        if name in bare:
            assert torch.equal(weight, bare[name])
    assert all("pooler" in name for name in bare.keys() - headed.module.state_dict().keys())
    table, out = headed.head.get_input_embeddings(), headed.head.get_output_embeddings()
    if headed.head.config.tie_word_embeddings:
        assert out.weight is table.weight


@pytest.mark.parametrize("model_class", [GPT2LMHeadModel, LlamaForCausalLM])
def test_an_intermediate_layer_is_norm_and_head_by_hand(model_class, prompts, tmp_path):
    architecture = "gpt2" if model_class is GPT2LMHeadModel else "llama"
    config = model_class.config_class(**ARCHITECTURES[architecture], vocab_size=259)
    theirs = model_class(config).eval()
    source = saved(theirs, tmp_path / "saved")
    ours = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    assert ours.layers == (0, 1, 2, 3)
    assert ours.unembedding.name == f"lm_head ({model_class.__name__})"
    norm = theirs.transformer.ln_f if architecture == "gpt2" else theirs.model.norm
    with torch.inference_mode():
        states = [theirs(ids, output_hidden_states=True).hidden_states for ids in rows_of(prompts)]
        for layer in range(3):
            residual = torch.cat([of_prompt[layer][0] for of_prompt in states])
            expected = theirs.lm_head(norm(residual)).numpy()
            np.testing.assert_allclose(decoded(ours, layer), expected, **CLOSE)
    np.testing.assert_allclose(decoded(ours), own_logits(theirs, prompts), **CLOSE)


def test_soft_capping_is_the_models_own(prompts):
    settings = {**ARCHITECTURES["gemma2"], "final_logit_softcapping": 0.05}
    source = Random(architecture="gemma2", settings=settings)
    capped = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    settings = {**settings, "final_logit_softcapping": None}
    free = capture(replace(source, settings=settings), prompts, LogitLens(), EVERY_TOKEN)
    for layer in range(len(free.layers)):
        expected = 0.05 * np.tanh(decoded(free, layer) / 0.05)
        assert np.abs(decoded(free, layer)).max() > 0.1
        np.testing.assert_allclose(decoded(capped, layer), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model_class", [BertForMaskedLM, BertForPreTraining])
def test_bert_is_read_through_its_masked_language_model_head(model_class, prompts, tmp_path):
    source = saved(model_class(BERT), tmp_path / "saved")
    assert source.unembedding == "masked-language-model head (BertForMaskedLM)"
    reference = AutoModelForMaskedLM.from_pretrained(source.path).eval()
    theirs = own_logits(reference, prompts)
    for hook in (LogitLens(), Logits()):
        ours = capture(source, prompts, hook, EVERY_TOKEN)
        np.testing.assert_allclose(decoded(ours), theirs, **CLOSE)
    lens = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    with torch.inference_mode():
        residual = torch.cat(
            [
                reference.bert(ids, output_hidden_states=True).hidden_states[1][0]
                for ids in rows_of(prompts)
            ]
        )
        expected = reference.cls(residual).numpy()
    np.testing.assert_allclose(decoded(lens, 1), expected, **CLOSE)


@pytest.mark.parametrize("model_class", [BertModel, BertForSequenceClassification])
def test_without_a_head_the_token_embedding_serves(model_class, prompts, tmp_path):
    source = saved(model_class(BERT), tmp_path / "saved")
    ours = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    assert ours.unembedding.name == "tied token embedding"
    assert source.load(head=True) is source.load()
    reference = AutoModel.from_pretrained(source.path).eval()
    table = reference.get_input_embeddings().weight
    with torch.inference_mode():
        states = [
            reference(ids, output_hidden_states=True).hidden_states for ids in rows_of(prompts)
        ]
        for layer in ours.layers:
            residual = torch.cat([of_prompt[layer][0] for of_prompt in states])
            expected = (residual @ table.T).numpy()
            np.testing.assert_allclose(decoded(ours, layer), expected, rtol=1e-5, atol=1e-5)


def test_a_decoder_without_a_head_keeps_its_final_norm(prompts, tiny, tmp_path):
    source = saved(tiny.draw(None), tmp_path / "saved")
    assert source.unembedding == "tied token embedding"
    last = capture(source, prompts, HiddenStates(layers=-1), EVERY_TOKEN).values[0]
    expected = last @ source.load().module.wte.weight.detach().numpy().T
    for hook in (LogitLens(), Logits()):
        ours = decoded(capture(source, prompts, hook, EVERY_TOKEN))
        np.testing.assert_allclose(ours, expected, **CLOSE)


def test_the_sentence_encoder_is_read_through_its_token_embedding(prompts):
    ours = capture(MINILM, prompts, LogitLens(), Mean())
    assert ours.unembedding.name == "tied token embedding"
    hidden = capture(MINILM, prompts, HiddenStates(), Mean())
    table = MINILM.load().module.get_input_embeddings().weight.detach().numpy()
    for layer in ours.layers:
        expected = hidden.values[layer] @ table.T
        np.testing.assert_allclose(decoded(ours, layer), expected, rtol=1e-4, atol=1e-4)
    assert replace(MINILM, untrained=True).unembedding == "tied token embedding"


def test_an_embedding_of_another_width_is_no_unembedding(prompts, tmp_path):
    source = saved(source_of("electra").draw(None), tmp_path / "saved")
    with pytest.raises(ConfigError, match=r"no language-model head, .* has 16 .* has 32") as caught:
        capture(source, prompts, LogitLens(), Last())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_class", [GPT2LMHeadModel, BertForMaskedLM, BertModel])
def test_an_untrained_twin_keeps_what_its_checkpoint_has(model_class, tmp_path):
    settings = ARCHITECTURES["gpt2"] if model_class is GPT2LMHeadModel else ARCHITECTURES["bert"]
    config = model_class.config_class(**settings, vocab_size=259)
    trained = saved(model_class(config), tmp_path / "saved")
    twin = replace(trained, untrained=True, seed=5)
    assert twin.unembedding == trained.unembedding
    headed = twin.load(head=True)
    assert (headed.head is None) == (model_class is BertModel)
    assert type(headed.head or headed.module) is model_class
    bare = twin.draw(None).state_dict()
    shared = {name: weight for name, weight in bare.items() if "pooler" not in name}
    assert all(torch.equal(headed.module.state_dict()[name], shared[name]) for name in shared)


def test_missing_weights_of_a_head_are_not_made_up(prompts, tmp_path):
    from safetensors.torch import save_file

    source = saved(BertForMaskedLM(BERT), tmp_path / "saved")
    weights = BertForMaskedLM.from_pretrained(source.path).state_dict()
    name = "cls.predictions.transform.dense.weight"
    kept = {key: weight.clone() for key, weight in weights.items() if key != name}
    save_file(kept, tmp_path / "saved" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lack cls\.predictions\.transform\.dense\.weight"):
        capture(source, prompts, LogitLens(), Last())
    assert len(source.load().stack("auto").blocks) == 3


def test_one_model_is_held_with_or_without_its_head(tiny):
    bare = tiny.load()
    gone = weakref.ref(bare.module)
    del bare
    headed = tiny.load(head=True)
    gc.collect()
    assert gone() is None
    assert tiny.load() is headed
    assert headed.head.base_model is headed.module
    assert {id(model) for model in _HELD.values()} == {id(headed)}


def test_a_model_without_its_pooler_does_not_stand_in_for_the_whole(prompts):
    source = source_of("bert", seed=8)
    source.load(head=True)
    with pytest.raises(ConfigError, match=r"gives a tensor of shape \[1, 32\]"):
        capture(source, prompts, Module(path="pooler.dense"), Last())
    assert same_weights(source.load(), replace(source, device="cpu").load())


@pytest.mark.parametrize("architecture", ENCODER_DECODERS)
@pytest.mark.parametrize("hook", [LogitLens(), Logits()])
def test_the_head_of_an_encoder_decoder_reads_the_decoder(architecture, hook, prompts):
    source = source_of(architecture)
    assert plan_capture(source, prompts, hook, Last()).stack == "decoder"
    assert plan_capture(source, prompts, replace(hook, stack="decoder"), Last()).stack == "decoder"
    with pytest.raises(ConfigError, match=r"reads its decoder; use hook\.stack=decoder") as caught:
        plan(source, prompts, replace(hook, stack="encoder"), Last())
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"hook\.stack cannot be 'encoder'"):
        plan(source_of("gpt2"), prompts, replace(hook, stack="encoder"), Last())


def test_a_saved_encoder_decoder_scales_as_it_does_itself(prompts, tmp_path):
    source = saved(source_of("t5").load(head=True).head, tmp_path / "saved")
    assert source.unembedding == "lm_head (T5ForConditionalGeneration)"
    reference = AutoModelForSeq2SeqLM.from_pretrained(source.path).eval()
    ours = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    np.testing.assert_allclose(decoded(ours), own_logits(reference, prompts), **CLOSE)


@pytest.mark.parametrize("position", [Mean(), AttentionMean()])
def test_pooling_pools_the_residual_and_reads_it_afterwards(position, prompts, tiny):
    pooled = capture(tiny, prompts, LogitLens(), position)
    residual = capture(tiny, prompts, ResidPost(layers=[1]), position).values[0]
    model = replace(tiny, attention=pooled.unembedding.source.attention).load(head=True)
    with torch.inference_mode():
        vectors = torch.from_numpy(residual.copy())
        expected = model.head.lm_head(model.module.ln_f(vectors)).numpy()
    np.testing.assert_allclose(decoded(pooled, 2), expected, **CLOSE)


def test_the_mean_of_the_last_states_reads_as_the_mean_of_the_logits(prompts, tiny):
    pooled = decoded(capture(tiny, prompts, Logits(), Mean()))
    each = capture(tiny, prompts, Logits(), All())
    for i, of_prompt in enumerate(pooled):
        own = decoded(each)[each.samples["prompt"] == i]
        np.testing.assert_allclose(of_prompt, own.mean(axis=0), **CLOSE)


def test_vectors_are_kept_and_logits_never(prompts, tiny):
    found = capture(tiny, prompts, LogitLens(), All())
    assert found.values.shape == (4, len(found.samples), 32)
    assert plan(tiny, prompts, LogitLens(), All()).unembedding == "lm_head (GPT2LMHeadModel)"
    assert plan(tiny, prompts, HiddenStates(), All()).unembedding == ""
    assert capture(tiny, prompts, HiddenStates(), All()).unembedding is None


@dataclasses.dataclass
class Doubling:
    name: str = "a table"
    sizes: list[int] = dataclasses.field(default_factory=list)

    def __call__(self, vectors):
        self.sizes.append(len(vectors))
        return np.concatenate([vectors, 2 * vectors], axis=1)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_points_are_decoded_in_chunks(n, prompts, tiny):
    layers = capture(tiny, prompts, LogitLens(), All())
    rows = np.random.default_rng(0).integers(len(layers.samples), size=n)
    doubling = Doubling()
    points = replace(layers, unembedding=doubling).points(1, rows)
    vectors = layers.values[1, rows]
    np.testing.assert_array_equal(points, np.concatenate([vectors, 2 * vectors], axis=1))
    assert points.dtype == np.float64
    assert sum(doubling.sizes) == n
    assert max(doubling.sizes) <= 128
    whole = layers.unembedding(vectors)
    np.testing.assert_allclose(layers.points(1, rows), whole, **CLOSE)


def test_points_without_an_unembedding_are_the_flattened_units(prompts, tiny):
    found = capture(tiny, prompts, ResidPost(layers=[0, 2]), All())
    units = found.values.reshape(2, -1, 4, 8)
    folded = Activations(units, found.layers, found.samples, found.resolution)
    rows = np.array([3, 1, 3])
    points = folded.points(1, rows)
    np.testing.assert_array_equal(points, found.values[1, rows])
    assert points.dtype == np.float64


def test_a_head_that_reads_otherwise_is_refused(prompts, monkeypatch):
    source = source_of("llama", seed=6)
    own = LanguageModel.logits

    def shifted(self, inputs):
        return own(self, inputs) + (inputs["input_ids"].shape[1] > 1)

    monkeypatch.setattr(LanguageModel, "logits", shifted)
    with pytest.raises(
        ConfigError, match="logit_lens of random llama cannot be identified"
    ) as caught:
        capture(source, prompts, LogitLens(), Last())
    assert "\n" not in str(caught.value)


def test_a_model_that_insists_on_the_shape_of_its_prompt_is_refused(prompts):
    source = Random(architecture="gpt_bigcode", settings=ARCHITECTURES["gpt2"])
    with pytest.raises(
        ConfigError, match=r"logit_lens of .* cannot be identified .* shape '\[1, 1, 32\]'"
    ):
        capture(source, prompts, LogitLens(), Last())
    theirs = own_logits(source.load(head=True).head, prompts)
    ours = capture(source, prompts, Logits(), EVERY_TOKEN)
    np.testing.assert_allclose(decoded(ours), theirs, **CLOSE)


def test_half_precision_reads_as_the_model_does(prompts):
    source = source_of("llama", dtype="bfloat16")
    ours = capture(source, prompts, LogitLens(), EVERY_TOKEN)
    model = source.load(head=True).head
    with torch.inference_mode():
        theirs = torch.cat([model(ids).logits[0] for ids in rows_of(prompts)]).float().numpy()
    np.testing.assert_allclose(decoded(ours), theirs, rtol=2e-2, atol=2e-3)


def test_no_hook_stays_behind_on_the_model(prompts, tiny):
    found = capture(tiny, prompts, LogitLens(), Last())
    decoded(found)
    with pytest.raises(RuntimeError):
        found.unembedding(np.zeros((2, 31), np.float32))
    assert not any(m._forward_hooks for m in tiny.load(head=True).head.modules())


def test_a_hook_point_knows_its_place_in_vocabulary_space():
    for hook in (LogitLens(layers=[0, -1]), Logits(stack="decoder")):
        assert hook.in_vocabulary() is hook
    there = HiddenStates(layers=[0, -1], stack="decoder").in_vocabulary()
    assert there == LogitLens(layers=[0, -1], stack="decoder")
    for name in ("embed", "resid_pre", "resid_post", "final_norm", "module"):
        hook = HOOKS.build({"name": name, **({"path": "h"} if name == "module" else {})})
        with pytest.raises(ConfigError) as caught:
            hook.in_vocabulary()
        assert str(caught.value) == (
            "hook: a metric in vocabulary space reads the residual stream through the "
            f"unembedding; use hook=logit_lens, not {name}"
        )
