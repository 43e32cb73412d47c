"""Attention of prompts that share one row: each sees its own tokens and no others.

All else in a transformer goes token by token, and need not know whose token it is. Attention is
handed queries, keys and values of the whole row; here they are laid out a prompt a row, the
model's own kernel attends there as if the prompts had come as a padded batch, and what it gives
goes back into the row. Padding is thus computed in attention alone, which of short prompts is next
to nothing.
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
        is_causal: whether a token sees those before it alone.
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
        """Return what the model takes for the row: the place of each token in its own prompt."""
        ids = inputs["input_ids"]
        positions = torch.from_numpy(self._layout.positions).to(ids.device)
        # A mask in four dimensions is passed on as it is; attention looks at none but ours.
        mask = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=ids.device)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": positions + self._first_position,
        }

    def unpacked(self, call: AttentionCall, *, masked: bool) -> AttentionCall:
        """Return the call as a padded batch would make it, [prompt, head, token, d_head].

        Args:
            call: the row's own.
            masked: whether the kernel knows of no token's future unless its mask says so.
        """
        query, key, value = (self._laid_out(t) for t in (call.query, call.key, call.value))
        mask = self._mask(query, masked) if masked or not self._is_causal else None
        return AttentionCall(call.module, query, key, value, mask, **call.settings)

    def packed(self, given: Tensor) -> Tensor:
        """Return what attention gives, [prompt, token, head, d_head], as the row's own."""
        return given.flatten(0, 1)[self._home.to(given.device)][None]

    def _laid_out(self, row: Tensor) -> Tensor:
        place = self._place.to(row.device)
        cells = row[0].transpose(0, 1)[place.flatten()]
        return cells.reshape(*place.shape, *cells.shape[1:]).transpose(1, 2)

    def _mask(self, query: Tensor, added: bool) -> Tensor:
        key = (added, query.dtype, query.device)
        if key not in self._masks:
            longest = self._place.shape[1]
            if self._is_causal:
                # Padding stands behind a prompt's end, where no token of it looks.
                seen = torch.ones(1, 1, longest, longest, dtype=torch.bool).tril()
            else:
                seen = (torch.arange(longest) < self._lengths[:, None])[:, None, None]
            mask = seen
            if added:
                lowest = torch.finfo(query.dtype).min
                mask = torch.zeros(seen.shape, dtype=query.dtype).masked_fill(~seen, lowest)
            self._masks[key] = mask.to(query.device)
        return self._masks[key]
