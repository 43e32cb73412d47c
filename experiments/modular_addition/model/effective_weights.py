"""The products of weights through which numbers reach the neurons, and neurons the logits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .transformer import ModularArithmeticForCausalLM

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EffectiveWeights:
    """Products of weights without biases (Nanda et al., 2023).

    Attributes:
        embedding: W_E without the row of "=", [p, d].
        neurons: W_E W_V W_O W_in of each head: the input of a neuron from a number that the head
            attends to, [head, p, neuron].
        logits: W_out W_U without the column of "=": the contribution of a neuron to each logit,
            [neuron, p].
    """

    embedding: Array
    neurons: Array
    logits: Array

    def ordered(self, order: NDArray[np.int64]) -> "EffectiveWeights":
        """Return the weights of the given numbers, in the given order."""
        return EffectiveWeights(
            self.embedding[order], self.neurons[:, order], self.logits[:, order]
        )


@torch.inference_mode()
def effective_weights(model: ModularArithmeticForCausalLM) -> EffectiveWeights:
    """Compute the products, in float64."""
    config = model.config
    block: Any = model.model.layers[0]
    embedding, value, output, inputs, written, unembedding = (
        module.weight.detach().double().cpu().numpy()
        for module in (
            model.model.embed_tokens,
            block.self_attn.v_proj,
            block.self_attn.o_proj,
            block.mlp.up_proj,
            block.mlp.down_proj,
            model.lm_head,
        )
    )
    heads = (config.num_attention_heads, config.head_dim)
    values = (embedding[: config.modulus] @ value.T).reshape(-1, *heads)
    outputs = (inputs @ output).T.reshape(*heads, -1)
    return EffectiveWeights(
        embedding[: config.modulus],
        np.einsum("phk,hkm->hpm", values, outputs, optimize=True),
        (unembedding[: config.modulus] @ written).T,
    )
