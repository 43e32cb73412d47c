"""Attention of prompts that share one row: each prompt attends to its own tokens alone.

Everything else in a transformer treats each token by itself. Attention gets the queries, keys and
values of the whole row; here they are rearranged to one row per prompt, the model's own kernel
attends as if the prompts were a padded batch, and its output is put back into the shared row.
Padding is thus computed in attention alone, where it costs little for short prompts.
"""

from typing import Any

import torch
from torch import Tensor

from interp.forward.layout import Layout
from interp.models.attention import AttentionCall


class Packing:
    """How attention is computed in a packed layout.

    Args:
        layout: a packed one.
        is_causal: whether a token attends to earlier ones alone.
        first_position: the position id of a prompt's first token.
    """

    def __init__(self, layout: Layout, *, is_causal: bool, first_position: int) -> None:
        self._layout = layout
        self._is_causal = is_causal
        self._first_position = first_position
        self._place = torch.from_numpy(layout.place)
        self._home = torch.from_numpy(layout.home)
        self._lengths = torch.from_numpy(layout.lengths)
        self._masks: dict[tuple[bool, torch.dtype, torch.device], Tensor] = {}

    def inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the model's inputs for the row: position ids count within each prompt."""
        ids = inputs["input_ids"]
        positions = torch.from_numpy(self._layout.positions).to(ids.device)
        # transformers passes a mask of four dimensions on unchanged; attention uses ours instead.
        mask = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=ids.device)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": positions + self._first_position,
        }

    def unpacked(self, call: AttentionCall, *, masked: bool) -> AttentionCall:
        """Return the call of a padded batch, [prompt, head, token, d_head].

        Args:
            call: the call of the shared row.
            masked: whether the kernel needs a mask to exclude later tokens.
        """
        query, key, value = (self._per_prompt(t) for t in (call.query, call.key, call.value))
        mask = self._mask(query, masked) if masked or not self._is_causal else None
        return AttentionCall(call.module, query, key, value, mask, **call.settings)

    def packed(self, output: Tensor) -> Tensor:
        """Return attention's output [prompt, token, head, d_head] in the shared row."""
        return output.flatten(0, 1)[self._home.to(output.device)][None]

    def _per_prompt(self, row: Tensor) -> Tensor:
        place = self._place.to(row.device)
        cells = row[0].transpose(0, 1)[place.flatten()]
        return cells.reshape(*place.shape, *cells.shape[1:]).transpose(1, 2)

    def _mask(self, query: Tensor, added: bool) -> Tensor:
        key = (added, query.dtype, query.device)
        if key not in self._masks:
            longest = self._place.shape[1]
            if self._is_causal:
                # Padding comes after a prompt's end, where none of its tokens attends.
                visible = torch.ones(1, 1, longest, longest, dtype=torch.bool).tril()
            else:
                visible = (torch.arange(longest) < self._lengths[:, None])[:, None, None]
            mask = visible
            if added:
                lowest = torch.finfo(query.dtype).min
                mask = torch.zeros(visible.shape, dtype=query.dtype)
                mask = mask.masked_fill(~visible, lowest)
            self._masks[key] = mask.to(query.device)
        return self._masks[key]
