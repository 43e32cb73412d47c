"""What every transformer has in common: a tokenizer, an embedding, stacks of blocks, a norm."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_layers import GradientCheckpointingLayer

from interp.positions import Tokens
from interp.registry import ConfigError, check_choice


@dataclass(frozen=True)
class Stack:
    """One residual stream, as paths of modules within the model.

    Attributes:
        root: the module that embeds, runs the blocks and returns `last_hidden_state`.
        owner: the module whose children the blocks' list and the final norm are.
        blocks: the blocks, from the first to the last.
    """

    root: str
    owner: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class LanguageModel:
    """A Hugging Face transformer without its head, and its tokenizer.

    `module` may lie on the `meta` device: the structure is all there before any weight is.
    """

    title: str
    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def attention_kernel(self) -> str:
        """The attention implementation that transformers settled on: "sdpa", "eager", …"""
        return str(self.module.config._attn_implementation)

    @property
    def context_length(self) -> float:
        """The longest prompt in tokens, infinite where neither config nor tokenizer limits it."""
        # BERT's and GPT-2's tables end there; T5 and BLOOM have no table and no such entry.
        config = getattr(self.module.config, "max_position_embeddings", None)
        tokenizer = self.tokenizer.model_max_length
        return min(config or float("inf"), tokenizer if tokenizer < 10**6 else float("inf"))

    @property
    def pad_id(self) -> int:
        """The id that fills a batch up; any will do, since the mask alone says what is padding."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if isinstance(pad, int) else 0

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise each text by itself, with the special tokens that the model expects."""
        encoded = self.tokenizer(
            list(texts),
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,
        )
        return [
            Tokens(
                text=text,
                ids=np.array(encoded["input_ids"][i], dtype=np.int64),
                offsets=np.array(encoded["offset_mapping"][i], dtype=np.int64).reshape(-1, 2),
                special=np.array(encoded["special_tokens_mask"][i], dtype=bool),
            )
            for i, text in enumerate(texts)
        ]

    @cached_property
    def _stacks(self) -> dict[str, Stack]:
        owners: dict[str, list[str]] = {}
        inside: tuple[str, ...] = ()
        for path, module in self.module.named_modules():
            if path.startswith(inside):
                continue
            if isinstance(module, GradientCheckpointingLayer):
                owners.setdefault(path.rpartition(".")[0], []).append(path)
                inside = (*inside, f"{path}.")
        stacks: dict[str, Stack] = {}
        for blocks_list, blocks in owners.items():
            if not self.module.config.is_encoder_decoder:
                role, root = "auto", ""
            else:
                role = next((r for r in ("encoder", "decoder") if blocks_list.startswith(r)), "")
                root = role
            if not role or role in stacks:
                raise ConfigError(
                    f"{self.title} has several lists of blocks ({', '.join(owners)}): read them by "
                    "path, with hook=module"
                )
            stacks[role] = Stack(root, blocks_list.rpartition(".")[0], tuple(blocks))
        if "encoder" in stacks:
            stacks["auto"] = stacks["encoder"]
        return stacks

    def stack(self, choice: str) -> Stack:
        """Return the model's blocks: "auto", or "encoder" or "decoder" where it has both.

        The blocks are the modules that Hugging Face marks as `GradientCheckpointingLayer`.

        Raises:
            ConfigError: no block is marked, or the model has no such stack.
        """
        if not self._stacks:
            raise ConfigError(
                f"{self.title}: its blocks cannot be found (no GradientCheckpointingLayer in "
                f"{type(self.module).__name__}); read a module by its path instead: "
                "hook=module hook.path=…"
            )
        check_choice("hook.stack", choice, self._stacks)
        return self._stacks[choice]

    def entry(self, choice: str) -> nn.Module:
        """Return the module whose forward pass runs the stack: an encoder runs by itself."""
        if self.module.config.is_encoder_decoder and choice != "decoder":
            root: nn.Module = self.module.get_submodule(self.stack(choice).root)
            return root
        return cast("nn.Module", self.module)

    def embedding(self, stack: Stack) -> str:
        """Path of the token embedding that feeds the stack."""
        table = self.module.get_submodule(stack.root).get_input_embeddings()
        # A table shared by encoder and decoder has several paths; the stack calls it by its own.
        paths = [p for p, m in self.module.named_modules(remove_duplicate=False) if m is table]
        return str(next((p for p in paths if p.startswith(stack.root)), paths[0]))

    def final_norm(self, stack: Stack) -> str:
        """Path of the norm between the last block and the unembedding.

        Raises:
            ConfigError: a post-norm model (BERT) has none.
        """
        norms = [
            name
            for name, child in self.module.get_submodule(stack.owner).named_children()
            if _is_norm(child) and "emb" not in name
        ]
        if not norms:
            raise ConfigError(
                f"{self.title} has no final norm (each block of a post-norm model ends in its "
                "own): use hook=resid_post"
            )
        return f"{stack.owner}.{norms[-1]}".lstrip(".")


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()
