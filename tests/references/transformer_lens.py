"""What TransformerLens 4.3.0 reads off small models whose weights follow a rule.

`python -m tests.references.transformer_lens` writes transformer_lens.npz beside this file, in an
environment that has transformer-lens==4.3.0, torch==2.13.0 and transformers==5.23.0.
"""

import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

FILE = Path(__file__).with_suffix(".npz")
TEXT = "the heron waits"
BLOCK = 1

_ANY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
SETTINGS = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "llama": {**_ANY, "num_key_value_heads": 2, "head_dim": 8},
    "bert": _ANY,
}
# The names of TransformerLens's cache for our sites.
NAMES = {
    "embed": "hook_embed",
    "resid_pre": f"blocks.{BLOCK}.hook_resid_pre",
    "ln1": f"blocks.{BLOCK}.ln1.hook_out",
    "q": f"blocks.{BLOCK}.attn.hook_q",
    "k": f"blocks.{BLOCK}.attn.hook_k",
    "v": f"blocks.{BLOCK}.attn.hook_v",
    "rot_q": f"blocks.{BLOCK}.attn.hook_rot_q",
    "rot_k": f"blocks.{BLOCK}.attn.hook_rot_k",
    "attn_scores": f"blocks.{BLOCK}.attn.hook_attn_scores",
    "pattern": f"blocks.{BLOCK}.attn.hook_pattern",
    "z": f"blocks.{BLOCK}.attn.hook_z",
    "result": f"blocks.{BLOCK}.attn.hook_result",
    "attn_out": f"blocks.{BLOCK}.hook_attn_out",
    "resid_mid": f"blocks.{BLOCK}.hook_resid_mid",
    "ln2": f"blocks.{BLOCK}.ln2.hook_out",
    "mlp_pre": f"blocks.{BLOCK}.mlp.hook_pre",
    "mlp_pre_linear": f"blocks.{BLOCK}.mlp.hook_pre_linear",
    "mlp_post": f"blocks.{BLOCK}.mlp.hook_post",
    "mlp_out": f"blocks.{BLOCK}.hook_mlp_out",
    "resid_post": f"blocks.{BLOCK}.hook_resid_post",
    "final_norm": "ln_final.hook_out",
}


@torch.no_grad()
def fill(module):
    """Give a transformer without its head weights that follow from their names alone."""
    for name, weight in module.named_parameters():
        waves = torch.sin(0.7 * torch.arange(weight.numel()) + zlib.crc32(name.encode()) % 1000)
        is_gain = weight.ndim == 1 and name.endswith("weight")
        weight.copy_((is_gain + 0.2 * waves).reshape(weight.shape))


def main():
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    from interp.models.byte_tokenizer import byte_tokenizer

    known = {
        "gpt2": (AutoModelForCausalLM, "openai-community/gpt2"),
        "llama": (AutoModelForCausalLM, "meta-llama/Llama-3.2-1B"),
        "bert": (AutoModelForMaskedLM, "google-bert/bert-base-uncased"),
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        # The bridge loads the tokenizer again from where it came.
        byte_tokenizer().save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for architecture, (auto, name) in known.items():
            settings = {"vocab_size": len(tokenizer), **SETTINGS[architecture]}
            model = auto.from_config(AutoConfig.for_model(architecture, **settings)).eval()
            fill(model.base_model)
            bridge = TransformerBridge.boot_transformers(
                name, hf_model=model, tokenizer=tokenizer, device="cpu"
            )
            # Of BERT it reads no head's result.
            if architecture != "bert":
                bridge.set_use_attn_result(True)
            _, cache = bridge.run_with_cache(torch.tensor([tokenizer(TEXT)["input_ids"]]))
            cached = dict(cache.items())
            for site, hook in NAMES.items():
                if hook in cached:
                    found[f"{architecture}.{site}"] = cached[hook][0].detach().numpy()
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
