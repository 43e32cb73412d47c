"""What TransformerLens 2.16.1 reads off two transformers of modular arithmetic, and their weights.

`python -m tests.references.hooked_transformer` writes three files beside this one, in an
environment that has transformer-lens==2.16.1, torch==2.15.0, transformers==4.57.6,
datasets==3.6.0 and pyarrow==19.0.1:

- hooked_transformer_current.pt: the state dict of a model with biases throughout, whose
  unembedding has no column for "=";
- hooked_transformer_older.pt: that of another model in the layout of the first grokking notebook,
  which knows no biases but the MLP's, and unembeds "=" too;
- hooked_transformer.npz: the first model's cache under TransformerLens's names and its `logits`,
  and the second one's `older.logits`; a row a prompt.
"""

import math
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).with_suffix(".npz")
CURRENT = FILE.with_name("hooked_transformer_current.pt")
OLDER = FILE.with_name("hooked_transformer_older.pt")

MODULUS = 7
SIZES = {"d_model": 16, "n_heads": 4, "d_head": 4, "d_mlp": 24}


def prompts():
    """Return all prompts [a, b, "="], b the faster: [49, 3]."""
    numbers = torch.arange(MODULUS)
    pairs = torch.cartesian_prod(numbers, numbers)
    return torch.cat([pairs, torch.full((len(pairs), 1), MODULUS)], dim=1)


@torch.no_grad()
def with_biases(model, names):
    """Draw those of the model's biases that end in one of the names."""
    for name, bias in model.named_parameters():
        if name.endswith(names):
            bias.copy_(0.3 * torch.randn(bias.shape))
    return model


def in_older_layout(state):
    """Return the weights as the first grokking notebook keeps them, number by number."""
    d_model, n_heads, d_head, d_mlp = SIZES.values()
    older = {
        "embed.W_E": torch.empty(d_model, MODULUS + 1),
        "pos_embed.W_pos": state["pos_embed.W_pos"],
        "blocks.0.attn.W_K": torch.empty(n_heads, d_head, d_model),
        "blocks.0.attn.W_Q": torch.empty(n_heads, d_head, d_model),
        "blocks.0.attn.W_V": torch.empty(n_heads, d_head, d_model),
        "blocks.0.attn.W_O": torch.empty(d_model, n_heads * d_head),
        "blocks.0.attn.mask": torch.ones(3, 3).tril(),
        "blocks.0.mlp.W_in": torch.empty(d_mlp, d_model),
        "blocks.0.mlp.b_in": state["blocks.0.mlp.b_in"],
        "blocks.0.mlp.W_out": torch.empty(d_model, d_mlp),
        "blocks.0.mlp.b_out": state["blocks.0.mlp.b_out"],
        "unembed.W_U": state["unembed.W_U"],
    }
    for token in range(MODULUS + 1):
        older["embed.W_E"][:, token] = state["embed.W_E"][token]
    for head in range(n_heads):
        for i in range(d_head):
            for name in ("blocks.0.attn.W_K", "blocks.0.attn.W_Q", "blocks.0.attn.W_V"):
                older[name][head, i] = state[name][head, :, i]
            from_head = state["blocks.0.attn.W_O"][head, i]
            older["blocks.0.attn.W_O"][:, head * d_head + i] = from_head
    for neuron in range(d_mlp):
        older["blocks.0.mlp.W_in"][neuron] = state["blocks.0.mlp.W_in"][:, neuron]
        older["blocks.0.mlp.W_out"][:, neuron] = state["blocks.0.mlp.W_out"][neuron]
    return older


def older_logits(weights, tokens):
    """Run the weights as the first grokking notebook does: [prompt, position, vocabulary]."""
    w = {name.rpartition(".")[2]: weight for name, weight in weights.items()}
    x = torch.einsum("dbp->bpd", w["W_E"][:, tokens]) + w["W_pos"]
    q, k, v = (torch.einsum("ihd,bpd->biph", w[name], x) for name in ("W_Q", "W_K", "W_V"))
    scores = torch.einsum("biqh,bikh->biqk", q, k) / math.sqrt(SIZES["d_head"])
    pattern = scores.masked_fill(w["mask"] == 0, -torch.inf).softmax(-1)
    z = torch.einsum("biqk,bikh->bqih", pattern, v).flatten(2)
    x = x + torch.einsum("df,bqf->bqd", w["W_O"], z)
    hidden = torch.relu(torch.einsum("md,bpd->bpm", w["W_in"], x) + w["b_in"])
    x = x + torch.einsum("dm,bpm->bpd", w["W_out"], hidden) + w["b_out"]
    return x @ w["W_U"]


@torch.no_grad()
def main():
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    def drawn(outputs, seed, biases):
        config = HookedTransformerConfig(
            **SIZES,
            n_layers=1,
            n_ctx=3,
            act_fn="relu",
            normalization_type=None,
            d_vocab=MODULUS + 1,
            d_vocab_out=outputs,
            init_weights=True,
            # Wide enough for attention to be uneven.
            initializer_range=0.3,
            seed=seed,
            device="cpu",
        )
        return with_biases(HookedTransformer(config), biases)

    current = drawn(MODULUS, 0, ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U"))
    logits, cache = current.run_with_cache(prompts())
    torch.save(current.state_dict(), CURRENT)

    model = drawn(MODULUS + 1, 1, ("b_in", "b_out"))
    logits_of_older = model(prompts())
    older = in_older_layout(model.state_dict())
    torch.testing.assert_close(older_logits(older, prompts()), logits_of_older, rtol=0, atol=1e-5)
    torch.save(older, OLDER)

    found = {**cache, "logits": logits, "older.logits": logits_of_older}
    np.savez_compressed(FILE, **{name: values.numpy() for name, values in found.items()})


if __name__ == "__main__":
    main()
