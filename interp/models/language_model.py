"""What all transformers have in common: a tokenizer, an embedding, stacks of blocks, a head."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_layers import GradientCheckpointingLayer

from interp.core.errors import ConfigError, check_choice
from interp.data.tokenized_batch import TokenizedBatch
from interp.models.block_sites import block_sites
from interp.models.dataflow import UnclearStructure
from interp.models.internals import attention_kernel
from interp.models.residual_stream import BlockSites, Middle
from interp.models.vocabulary import Vocabulary

# Texts per call of the tokenizer, whose own result takes much memory.
_TEXTS_AT_ONCE = 8192


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
    """A Hugging Face transformer and its tokenizer.

    Attributes:
        title: its name in figures and runs.
        module: the transformer without its head. It may lie on the `meta` device, with all of its
            structure and no weight.
        tokenizer: its tokenizer.
        head: the same transformer with its head, which contains `module`; None where the model has
            no head, or was loaded without.
    """

    title: str
    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: PreTrainedModel | None = None

    @property
    def attention_kernel(self) -> str:
        """The attention implementation that transformers chose: "sdpa", "eager", …"""
        return attention_kernel(self.module.config)

    @property
    def context_length(self) -> float:
        """The longest prompt in tokens, infinite where neither config nor tokenizer limits it."""
        limits = [
            self.tokenizer.model_max_length,
            getattr(self.module.config, "max_position_embeddings", None) or -1,
        ]
        if self.first_position:
            limits[-1] -= self.first_position
        # Without a limit, tokenizers have 10^30, and XLNet's configuration -1.
        return min((n for n in limits if 0 < n < 10**6), default=float("inf"))

    @property
    def first_position(self) -> int:
        """The position id of a prompt's first token."""
        for path, module in self.module.named_modules():
            # RoBERTa's position embedding starts after the entry of the padding.
            padding = getattr(module, "padding_idx", None)
            if path.endswith("position_embeddings") and padding is not None:
                return int(padding) + 1
        return 0

    @property
    def width(self) -> int:
        """The number of dimensions of the residual stream."""
        return int(self.module.config.hidden_size)

    @property
    def pad_id(self) -> int:
        """The id of padding; any would do, since the mask marks what is padding."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if isinstance(pad, int) else 0

    def tokenize(self, texts: Sequence[str]) -> TokenizedBatch:
        """Tokenise each text by itself, with the special tokens that the model expects.

        Raises:
            ConfigError: the tokenizer has no token for part of a text, or does not return the
                characters of a token.
        """
        return TokenizedBatch.joined(list(self.tokenized_in_chunks(texts)))

    def tokenized_in_chunks(self, texts: Sequence[str]) -> Iterator[TokenizedBatch]:
        """Tokenise the texts some thousands at a time, to bound memory.

        Raises:
            ConfigError: as `tokenize`.
        """
        if not self.tokenizer.is_fast:
            raise ConfigError(
                f"model: {type(self.tokenizer).__name__}, the tokenizer of {self.title}, does not "
                "return the characters that a token stands for"
            )
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            yield self._tokenized(texts[start : start + _TEXTS_AT_ONCE])

    def _tokenized(self, texts: Sequence[str]) -> TokenizedBatch:
        try:
            encoded = self.tokenizer(
                list(texts),
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            ).encodings
        except Exception as error:
            # The tokenizers library raises a bare Exception, which does not name the text.
            unread = next((text for text in texts if not self._reads(text)), "")
            raise ConfigError(
                f"prompts: {self.title} has no token for some word of {unread[:40]!r} ({error})"
            ) from error
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(e) for e in encoded], out=starts[1:])
        flat = chain.from_iterable
        return TokenizedBatch(
            texts=texts,
            ids=np.fromiter(flat(e.ids for e in encoded), np.int64),
            offsets=np.fromiter(flat(flat(e.offsets for e in encoded)), np.int32).reshape(-1, 2),
            special=np.fromiter(flat(e.special_tokens_mask for e in encoded), np.bool_),
            starts=starts,
        )

    def _reads(self, text: str) -> bool:
        try:
            self.tokenizer(text)
        except Exception:
            return False
        return True

    @cached_property
    def stacks(self) -> dict[str, Stack]:
        """The stacks of blocks by the name of the choice: "auto", "encoder", "decoder".

        Empty where no block is marked, or where marked blocks are in several lists that cannot be
        distinguished.
        """
        lists: dict[str, list[str]] = {}
        inside: tuple[str, ...] = ()
        for path, module in self.module.named_modules():
            if path.startswith(inside):
                continue
            if isinstance(module, GradientCheckpointingLayer):
                lists.setdefault(path.rpartition(".")[0], []).append(path)
                inside = (*inside, f"{path}.")
        stacks: dict[str, Stack] = {}
        for blocks_list, blocks in lists.items():
            choice, root = "auto", ""
            if self.module.config.is_encoder_decoder:
                choice = root = blocks_list.partition(".")[0]
            if choice in stacks or choice not in ("auto", "encoder", "decoder"):
                return {}
            stacks[choice] = Stack(root, blocks_list.rpartition(".")[0], tuple(blocks))
        if "encoder" in stacks:
            stacks["auto"] = stacks["encoder"]
        return stacks

    def stack(self, choice: str) -> Stack:
        """Return the model's blocks: "auto", or "encoder" or "decoder" where it has both.

        The blocks are the modules that Hugging Face marks as `GradientCheckpointingLayer`.

        Raises:
            ConfigError: the blocks cannot be found, or the model has no such stack.
        """
        if not self.stacks:
            raise ConfigError(
                f"{self.title}: its blocks cannot be found (no one list of "
                f"GradientCheckpointingLayer in {type(self.module).__name__}); read a module by "
                "its path instead: hook=module hook.path=…"
            )
        check_choice("hook.stack", choice, self.stacks)
        return self.stacks[choice]

    def entry(self, choice: str) -> nn.Module:
        """Return the module whose forward pass runs the stack; an encoder runs alone."""
        if self.module.config.is_encoder_decoder and choice != "decoder":
            root: nn.Module = self.module.get_submodule(self.stack(choice).root)
            return root
        return cast("nn.Module", self.module)

    def inputs(
        self, choice: str, ids: NDArray[np.int64], mask: NDArray[np.bool_]
    ) -> dict[str, Any]:
        """Return the arguments of the stack's entry for ids and mask, both [prompt, token]."""
        inputs: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(self.module.device),
            "attention_mask": torch.from_numpy(mask).long().to(self.module.device),
        }
        if choice == "decoder":
            # Encoder and decoder both get the prompt.
            inputs |= {f"decoder_{name}": tensor for name, tensor in inputs.items()}
        return inputs

    def middles(self, choice: str) -> dict[int, Middle]:
        """Return the point of the residual stream between attention and MLP, by block number.

        A block that adds to the stream in one step, as where attention and MLP run in parallel, has
        no such point and is left out.

        Raises:
            ConfigError: as `sites`.
        """
        return {i: s.middle for i, s in enumerate(self.sites(choice)) if s.middle}

    def sites(self, choice: str) -> tuple[BlockSites, ...]:
        """Return the sites of each block; the model is traced once, and no weight is read.

        Raises:
            ConfigError: the blocks cannot be found, or cannot be separated into steps.
        """
        stack = self.stack(choice)
        if stack not in self._sites:
            others = [path for s in self.stacks.values() if s != stack for path in s.blocks]
            model = self
            if self.module.device.type == "meta" and self.module.dtype != torch.float32:
                # In half precision some models test for overflow, which needs values.
                model = replace(self, module=copy.deepcopy(self.module).float())
            inputs = model.inputs(choice, np.zeros((1, 5), np.int64), np.ones((1, 5), bool))
            try:
                found = block_sites(model.module, model.entry(choice), stack.blocks, others, inputs)
            except UnclearStructure as reason:
                raise ConfigError(
                    f"hook: attention and MLP of {self.title} cannot be identified from its "
                    f"structure: {reason}; use hook=resid_post"
                ) from reason
            self._sites[stack] = found
        return self._sites[stack]

    @cached_property
    def _sites(self) -> dict[Stack, tuple[BlockSites, ...]]:
        return {}

    @property
    def read_by_head(self) -> str:
        """The choice of stack whose output becomes logits: the decoder where there are both."""
        return "decoder" if self.module.config.is_encoder_decoder else "auto"

    def logits(self, inputs: dict[str, Any]) -> Tensor:
        """Return the model's logits [prompt, token, vocabulary] for the inputs of `read_by_head`.

        Without a head the token embedding is used: `h @ W_E.T`.

        Raises:
            ConfigError: there is no head, and the embedding's width differs from the residual
                stream's.
        """
        if self.head is not None:
            return cast("Tensor", self.head(**inputs).logits)
        hidden = self.module(**inputs).last_hidden_state
        path = self.embedding(self.stack(self.read_by_head))
        table = cast("nn.Embedding", self.module.get_submodule(path)).weight
        if hidden.shape[-1] != table.shape[-1]:
            raise ConfigError(
                f"hook: {self.title} cannot be read in its vocabulary: it has no language-model "
                f"head, and its token embedding has {table.shape[-1]} dimensions where its last "
                f"hidden state has {hidden.shape[-1]}"
            )
        return cast("Tensor", hidden @ table.T.to(hidden.device))

    def embedding(self, stack: Stack) -> str:
        """Return the path of the stack's token embedding."""
        table = self.module.get_submodule(stack.root).get_input_embeddings()
        # An embedding shared by encoder and decoder has several paths; the stack uses its own.
        paths = [p for p, m in self.module.named_modules(remove_duplicate=False) if m is table]
        return str(next((p for p in paths if p.startswith(stack.root)), paths[0]))

    @property
    def token_embedding(self) -> NDArray[np.float32]:
        """The token embedding W_E, one row per id, [vocabulary, d]."""
        path = self.embedding(self.stack(self.read_by_head))
        return _matrix(cast("nn.Embedding", self.module.get_submodule(path)).weight)

    @property
    def unembedding_matrix(self) -> NDArray[np.float32]:
        """The unembedding W_U, one row per id, [vocabulary, d].

        It is the last matrix of the head (a masked-language-model head transforms its input
        before); without a head it is the token embedding, as in `logits`.
        """
        last = None if self.head is None else self.head.get_output_embeddings()
        return self.token_embedding if last is None else _matrix(last.weight)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that the rows of both matrices stand for."""
        return Vocabulary.of(self.tokenizer, len(self.unembedding_matrix))


def _matrix(weight: Tensor) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", weight.detach().float().cpu().numpy())
