"""A transformer of one block for modular arithmetic, as a Hugging Face model.

Prompts are [a, b, =] over a vocabulary of the numbers below the modulus, and "="; learned
positions, ReLU, no norm, an unembedding of its own: the model of Nanda et al. (2023), "Progress
measures for grokking via mechanistic interpretability".
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig
from transformers import PreTrainedModel as _PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


class ModularArithmeticConfig(PreTrainedConfig):  # type: ignore[misc]
    """The architecture.

    Attributes:
        modulus: p; the numbers are the ids 0 to p - 1, and "=" is p.
        output_size: the number of logits: p + 1, or p without "=".
        hidden_size: dimensions of the residual stream.
        num_attention_heads: heads.
        head_dim: dimensions of a head.
        intermediate_size: neurons of the MLP.
        bias: whether projections and unembedding have biases.
        initializer_range: standard deviation of random weights; by default hidden_size^-0.5, with
            which a projection keeps a vector's length.
        trained_on: the fields of the prompts and of the analysis that trained the weights; empty
            where they are not known.
    """

    model_type = "modular_arithmetic"

    # transformers builds a configuration from its fields as keyword arguments: one for each.
    def __init__(
        self,
        modulus: int = 113,
        output_size: int | None = None,
        hidden_size: int = 128,
        num_attention_heads: int = 4,
        head_dim: int = 32,
        intermediate_size: int = 512,
        bias: bool = False,
        initializer_range: float | None = None,
        trained_on: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.modulus = modulus
        self.vocab_size = modulus + 1
        self.output_size = output_size or modulus + 1
        self.hidden_size = hidden_size
        self.num_hidden_layers = 1
        self.num_attention_heads = num_attention_heads
        self.head_dim = head_dim
        self.intermediate_size = intermediate_size
        self.max_position_embeddings = 3
        self.bias = bias
        self.initializer_range = initializer_range or hidden_size**-0.5
        self.trained_on = trained_on or {}
        kwargs.pop("vocab_size", None)
        kwargs["tie_word_embeddings"] = False
        super().__init__(**kwargs)


def _eager(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    scores = query @ key.mT * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    pattern = scores.softmax(-1)
    return (pattern @ value).transpose(1, 2), pattern


class _Attention(nn.Module):
    def __init__(self, config: ModularArithmeticConfig) -> None:
        super().__init__()
        self.config = config
        self.scaling = config.head_dim**-0.5
        self.is_causal = True
        width, inner = config.hidden_size, config.num_attention_heads * config.head_dim
        self.q_proj = nn.Linear(width, inner, bias=config.bias)
        self.k_proj = nn.Linear(width, inner, bias=config.bias)
        self.v_proj = nn.Linear(width, inner, bias=config.bias)
        self.o_proj = nn.Linear(inner, width, bias=config.bias)

    def forward(self, hidden_states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        shape = (*hidden_states.shape[:-1], -1, self.config.head_dim)
        query, key, value = (
            projection(hidden_states).view(shape).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, _eager)
        output, pattern = attend(self, query, key, value, mask, scaling=self.scaling, dropout=0.0)
        return self.o_proj(output.reshape(*hidden_states.shape[:-1], -1)), pattern


class _Mlp(nn.Module):
    def __init__(self, config: ModularArithmeticConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.bias)
        self.act_fn = nn.ReLU()
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.up_proj(hidden_states)))  # type: ignore[no-any-return]


class _Block(GradientCheckpointingLayer):  # type: ignore[misc]
    def __init__(self, config: ModularArithmeticConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = _Mlp(config)

    def forward(self, hidden_states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        attended, pattern = self.self_attn(hidden_states, mask)
        middle = hidden_states + attended
        return middle + self.mlp(middle), pattern


class ModularArithmeticPreTrainedModel(_PreTrainedModel):  # type: ignore[misc]
    """The architecture as transformers loads and saves it."""

    config_class = ModularArithmeticConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ("_Block",)


class ModularArithmeticModel(ModularArithmeticPreTrainedModel):
    """The embeddings and the block."""

    def __init__(self, config: ModularArithmeticConfig) -> None:
        """Initialise the weights at random, as transformers does before it loads others."""
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList([_Block(config)])
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **_: Any,
    ) -> BaseModelOutput:
        """Return the last hidden state [prompt, token, d] of ids [prompt, token]."""
        length = input_ids.shape[1]
        positions = torch.arange(length, device=input_ids.device)[None]
        entering = self.embed_tokens(input_ids) + self.embed_positions(positions)
        visible = torch.ones(length, length, dtype=torch.bool, device=input_ids.device).tril()
        if attention_mask is not None:
            visible = visible & attention_mask[:, None, None].bool()
        lowest = torch.finfo(entering.dtype).min
        mask = torch.zeros_like(visible, dtype=entering.dtype).masked_fill(~visible, lowest)
        leaving, pattern = self.layers[0](entering, mask)
        return BaseModelOutput(
            last_hidden_state=leaving,
            hidden_states=(entering, leaving) if output_hidden_states else None,
            attentions=(pattern,) if output_attentions and pattern is not None else None,
        )


class ModularArithmeticForCausalLM(ModularArithmeticPreTrainedModel):
    """The block with its unembedding."""

    def __init__(self, config: ModularArithmeticConfig) -> None:
        """Initialise the weights at random, as transformers does before it loads others."""
        super().__init__(config)
        self.model = ModularArithmeticModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.output_size, bias=config.bias)
        self.post_init()

    def forward(self, input_ids: Tensor, **inputs: Any) -> CausalLMOutput:
        """Return the logits [prompt, token, output_size] of ids [prompt, token]."""
        found = self.model(input_ids, **inputs)
        return CausalLMOutput(
            logits=self.lm_head(found.last_hidden_state),
            hidden_states=found.hidden_states,
            attentions=found.attentions,
        )


AutoConfig.register(ModularArithmeticConfig.model_type, ModularArithmeticConfig)
AutoModel.register(ModularArithmeticConfig, ModularArithmeticModel)
AutoModelForCausalLM.register(ModularArithmeticConfig, ModularArithmeticForCausalLM)
