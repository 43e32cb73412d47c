"""Attention at transformers' interface: one function for every model, of queries, keys and values.

A model looks that function up by the name of its kernel, and passes its own eager one as the
default, which alone computes soft caps, sinks and position biases. While calls are intercepted the
model keeps its kernel and its mask; scores and pattern, which a kernel need not return, are
computed by the eager function for the selected queries alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.models.internals import Lookup, with_attention_lookup

# The kernels whose masks hold, for every query, the keys that it attends to.
KERNELS_WITH_MASKS = ("eager", "sdpa")

Kernel = Callable[..., tuple[Tensor, Tensor | None]]


class AttentionCall:
    """One call of attention: the arguments of transformers' attention functions.

    Attributes:
        module: the attention module.
        query: [prompt, head, query, d_head].
        key: [prompt, key head, key, d_head]; fewer heads where several queries share a key.
        value: [prompt, key head, key, d_value].
        mask: in the form that the kernel takes; None where only later tokens are masked.
        settings: the keyword arguments.
    """

    def __init__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None = None,
        **settings: Any,
    ) -> None:
        self.module, self.query, self.key, self.value = module, query, key, value
        self.mask, self.settings = attention_mask, settings

    @property
    def scale(self) -> float:
        """The factor of the product of query and key."""
        scaling = self.settings.get("scaling")
        return self.query.shape[-1] ** -0.5 if scaling is None else float(scaling)

    def by(self, function: Kernel) -> tuple[Tensor, Tensor | None]:
        """Return an attention function's result: the output, and the pattern or None."""
        return function(self.module, self.query, self.key, self.value, self.mask, **self.settings)

    def pattern(self, eager: Kernel, queries: Tensor) -> Tensor:
        """Return the attention probabilities [prompt, head, row, key] of the queries [prompt, row].

        They are computed by the eager function, in the model's own dtype.
        """
        _, pattern = self._of(queries).by(eager)
        if pattern is None:
            raise ConfigError(f"hook: {type(self.module).__name__} returns no attention pattern")
        return pattern

    def scores(self, pattern: Tensor, queries: Tensor) -> Tensor:
        """Return the scores [prompt, head, row, key] whose softmax is the pattern.

        They are -∞ where a query does not attend to a key.

        Args:
            pattern: the probabilities, [prompt, head, row, key].
            queries: the indices of the rows' queries, [prompt, row].

        Raises:
            ConfigError: the pattern is not their softmax, up to the share of a sink.
        """
        chosen = self._of(queries)
        keys = self.key.repeat_interleave(self.query.shape[1] // self.key.shape[1], 1)
        scores = (chosen.query @ keys.transpose(2, 3)) * self.scale
        if (bias := chosen.settings.get("position_bias")) is not None:
            scores = scores + bias
        if (cap := self.settings.get("softcap")) is not None:
            scores = torch.tanh(scores / cap) * cap
        if chosen.mask is not None:
            scores = scores + chosen.mask
            scores = scores.masked_fill(
                chosen.mask <= torch.finfo(scores.dtype).min / 2, -torch.inf
            )
        known = pattern.float()
        error = scores.float().softmax(-1) * known.sum(-1, keepdim=True) - known
        # Relative to the largest in the row: in long prompts every probability is small.
        allowed = 1e-3 if pattern.dtype == torch.float32 else 0.1
        if (error.abs().amax(-1) > allowed * known.amax(-1)).any():
            raise ConfigError(
                f"hook: the attention scores of {type(self.module).__name__} cannot be computed: "
                "its pattern is not their softmax; use hook=pattern"
            )
        return scores

    def _of(self, queries: Tensor) -> "AttentionCall":
        """Return the call for some queries alone, with a mask that is added to the scores."""
        settings, n_queries = dict(self.settings), self.query.shape[2]
        if (bias := settings.get("position_bias")) is not None:
            settings["position_bias"] = rows_of(bias.expand(-1, -1, n_queries, -1), queries)
        query, mask = rows_of(self.query, queries), self._added_mask()
        mask = None if mask is None else rows_of(mask.expand(-1, -1, n_queries, -1), queries)
        return AttentionCall(self.module, query, self.key, self.value, mask, **settings)

    def _added_mask(self) -> Tensor | None:
        mask, lowest = self.mask, torch.finfo(self.query.dtype).min
        n_queries, n_keys = self.query.shape[2], self.key.shape[2]
        if mask is None:
            is_causal = self.settings.get("is_causal")
            if is_causal is None:
                is_causal = getattr(self.module, "is_causal", True)
            if not is_causal or n_queries == 1:
                return None
            mask = torch.ones(1, 1, n_queries, n_keys, dtype=torch.bool, device=self.query.device)
            mask = mask.tril()
        if mask.dtype == torch.bool:
            return self.query.new_zeros(mask.shape).masked_fill(~mask, lowest)
        return mask


def rows_of(tensor: Tensor, rows: Tensor) -> Tensor:
    """Return rows [prompt, row] of a tensor [prompt or 1, head, query, key]."""
    own = tensor.expand(len(rows), *tensor.shape[1:])
    index = rows[:, None, :, None].expand(-1, own.shape[1], -1, own.shape[3])
    return own.gather(2, index)


Intercept = Callable[[Kernel, Kernel, AttentionCall], tuple[Tensor, Tensor | None]]


@contextmanager
def intercept_attention(intercept: Intercept) -> Iterator[None]:
    """Pass all calls of attention to a function for the length of the context.

    Args:
        intercept: takes the kernel that the model would have called, the model's own eager
            function, and the call; returns what a kernel returns: the output [prompt, query, head,
            d_head], and the pattern or None.
    """

    def wrap(lookup: Lookup) -> Lookup:
        def wrapped(name: str, eager: Kernel) -> Kernel:
            return partial(_call, intercept, lookup(name, eager), eager)

        return wrapped

    with with_attention_lookup(wrap):
        yield


def _call(
    intercept: Intercept,
    kernel: Kernel,
    eager: Kernel,
    *args: Any,
    **settings: Any,
) -> tuple[Tensor, Tensor | None]:
    return intercept(kernel, eager, AttentionCall(*args, **settings))
