"""The exact computation of a one-block transformer at "=", without the other positions.

Logits are read at "=" alone, where the numbers enter as keys and values only. These are functions
of one number and its position: [modulus] of each are computed instead of one per prompt. Every
weight's gradient is that of the whole forward pass, since no other position's output reaches a
logit that is read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .transformer import ModularArithmeticForCausalLM


@dataclass(frozen=True, eq=False)
class LastPosition:
    """Activations and logits at "=" for each pair of numbers.

    Attributes:
        pattern: attention to a, b and "=", [pair, head, 3].
        mlp_post: the neurons, [pair, neuron].
        logits: [pair, output].
    """

    pattern: Tensor
    mlp_post: Tensor
    logits: Tensor


def last_position(model: ModularArithmeticForCausalLM, a: Tensor, b: Tensor) -> LastPosition:
    """Compute activations and logits at "=" of prompts [a, b, =]; a and b are [pair] each."""
    config, transformer = model.config, model.model
    block: Any = transformer.layers[0]
    attention, mlp = block.self_attn, block.mlp
    embedded, positions = transformer.embed_tokens.weight, transformer.embed_positions.weight
    heads, head_dim = config.num_attention_heads, config.head_dim
    numbers, equals = embedded[: config.modulus], embedded[config.modulus :] + positions[2]

    query = attention.q_proj(equals).view(heads, head_dim) * attention.scaling
    scores, values = [], []
    for entering, chosen in ((numbers + positions[0], a), (numbers + positions[1], b)):
        keys = attention.k_proj(entering).view(-1, heads, head_dim)
        table = torch.cat([(keys * query).sum(-1), attention.v_proj(entering)], dim=1)
        of_pair = functional.embedding(chosen, table)
        scores.append(of_pair[:, :heads])
        values.append(of_pair[:, heads:].view(-1, heads, head_dim))
    own = (attention.k_proj(equals).view(heads, head_dim) * query).sum(-1)
    scores.append(own.expand_as(scores[0]))
    values.append(attention.v_proj(equals).view(1, heads, head_dim))

    pattern = torch.stack(scores, dim=-1).softmax(-1)
    to_a, to_b, to_equals = pattern.unsqueeze(-1).unbind(2)
    z = to_a * values[0] + to_b * values[1] + to_equals * values[2]
    middle = equals + attention.o_proj(z.flatten(1))
    neurons = mlp.act_fn(mlp.up_proj(middle))
    return LastPosition(pattern, neurons, model.lm_head(middle + mlp.down_proj(neurons)))


@dataclass(frozen=True, eq=False)
class AllPairs:
    """Activations and logits at "=" for all pairs of numbers.

    Attributes:
        pattern: attention to a, b and "=", [a, b, head, 3].
        mlp_post: the neurons, [a, b, neuron].
        logits: [a, b, output].
    """

    pattern: NDArray[np.float32]
    mlp_post: NDArray[np.float32]
    logits: NDArray[np.float32]


@torch.inference_mode()
def all_pairs(model: ModularArithmeticForCausalLM) -> AllPairs:
    """Compute activations and logits at "=" for all pairs of the model's numbers, in float32."""
    modulus = model.config.modulus
    a, b = torch.cartesian_prod(*[torch.arange(modulus, device=model.device)] * 2).T
    found = last_position(model, a, b)
    return AllPairs(
        *(
            tensor.float().cpu().numpy().reshape(modulus, modulus, *tensor.shape[1:])
            for tensor in (found.pattern, found.mlp_post, found.logits)
        )
    )
