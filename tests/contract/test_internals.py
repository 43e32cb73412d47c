"""The private parts of transformers and PyTorch that `interp.models.internals` uses."""

import inspect

import pytest
import torch
from transformers import AttentionInterface, AutoConfig, AutoModel, BertForPreTraining
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from interp.models import internals

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def gpt2():
    config = AutoConfig.for_model("gpt2", n_embd=8, n_head=2, n_layer=1, vocab_size=5)
    return AutoModel.from_config(config).eval()


def test_attention_is_looked_up_by_kernel_name_and_eager_default(gpt2):
    names = list(inspect.signature(AttentionInterface.get_interface).parameters)
    assert names == ["self", "attn_implementation", "default"], (
        "transformers' AttentionInterface.get_interface has other parameters: adapt "
        "interp.models.internals.with_attention_lookup"
    )
    seen = []

    def wrap(lookup):
        def wrapped(name, eager):
            seen.append((name, eager.__name__, lookup(name, eager)))
            return lookup(name, eager)

        return wrapped

    own = AttentionInterface.get_interface
    with internals.with_attention_lookup(wrap), torch.inference_mode():
        gpt2(input_ids=torch.tensor([[1, 2]]))
    assert seen == [("sdpa", "eager_attention_forward", sdpa_attention_forward)]
    assert AttentionInterface.get_interface is own


def test_the_configuration_holds_the_kernel(gpt2):
    assert internals.attention_kernel(gpt2.config) == "sdpa"


def test_a_class_declares_its_tied_weights():
    assert internals.has_tied_weights(BertForPreTraining)


def test_tensors_that_share_memory_have_one_storage_id():
    one = torch.ones(2, 3, device="meta")
    assert internals.storage_id(one) == internals.storage_id(one.T)
    assert internals.storage_id(one) != internals.storage_id(one.clone())


def test_operations_that_write_to_their_arguments_are_known():
    assert internals.changes_in_place(torch.ops.aten.add_.Tensor)
    assert not internals.changes_in_place(torch.ops.aten.add.Tensor)
