"""Reading the planned tensors of a batch within the forward pass, so that no other is kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from interp.core.errors import ConfigError
from interp.forward.layout import Layout
from interp.forward.plan import CapturePlan
from interp.hooks import AttentionTap, Tap
from interp.models.attention import AttentionCall, Kernel, rows_of
from interp.models.language_model import LanguageModel
from interp.models.projections import matrix_of

# The value of a key beyond a prompt's end, as if it were masked.
_NO_KEY = {"scores": -torch.inf, "pattern": 0.0}


class Reader:
    """Collects the values that one plan reads of a batch.

    Args:
        plan: what is read.
        layout: the arrangement of the batch's tokens.
        samples: the tokens of each sample: the prompt's number in the batch, and their indices.
        done: called when everything is read.
    """

    def __init__(
        self,
        plan: CapturePlan,
        layout: Layout,
        samples: Sequence[tuple[int, NDArray[np.int64]]],
        done: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._shape = layout.ids.shape
        self._mask = torch.from_numpy(layout.mask)
        self._done = done
        sizes = np.array([len(tokens) for _, tokens in samples])
        prompts = np.repeat([prompt for prompt, _ in samples], sizes)
        tokens = np.concatenate([tokens for _, tokens in samples])
        # Attention gets one row per prompt, even where prompts share a row elsewhere.
        self._cells = torch.from_numpy(prompts * layout.place.shape[1] + tokens)
        self._tokens = torch.from_numpy(layout.place[prompts, tokens])
        self._longest_here = layout.place.shape[1]
        self._n_prompts = len(layout.lengths)
        self._sample = torch.from_numpy(np.repeat(np.arange(len(samples)), sizes))
        self._n_samples = len(samples)
        self._read: dict[int, Tensor] = {}
        self._attention: dict[int, Tensor] = {}
        self._blocks = {tap.block for tap in plan.taps} if plan.pooling == "attention" else set()

    @property
    def is_complete(self) -> bool:
        """Whether everything is read."""
        complete = len(self._read) == len(self._plan.taps)
        return complete and self._blocks == self._attention.keys()

    @contextmanager
    def attached(self, model: LanguageModel) -> Iterator[None]:
        """Register the hooks of the planned tensors for the length of the context."""
        with ExitStack() as hooks:
            for layer, tap in enumerate(self._plan.taps):
                if isinstance(tap, AttentionTap):
                    continue
                module = model.module.get_submodule(tap.path)
                read = partial(self._on_tap, layer, tap)
                if tap.side == "input":
                    handle = module.register_forward_pre_hook(read, with_kwargs=True)
                else:
                    handle = module.register_forward_hook(read)
                hooks.callback(handle.remove)
            for block_number in self._blocks:
                path = model.stack(self._plan.stack).blocks[block_number]
                for module in model.module.get_submodule(path).modules():
                    weigh = partial(self._on_attention, block_number)
                    hooks.callback(module.register_forward_hook(weigh).remove)
            yield

    def taps_of(self, block: int) -> list[tuple[int, AttentionTap]]:
        """Return the planned taps of a block's attention, with the index of their layer."""
        return [
            (layer, tap)
            for layer, tap in enumerate(self._plan.taps)
            if isinstance(tap, AttentionTap) and tap.block == block
        ]

    def _on_tap(self, layer: int, tap: Tap, module: nn.Module, args: Any, last: Any) -> None:
        # The last argument of a pre-hook is the keyword arguments, of a forward hook the output.
        passed = last if tap.side == "output" else args or (last["hidden_states"],)
        tensor = passed if isinstance(passed, Tensor) else passed[0]
        path = tap.path or "the model"
        if layer in self._read:
            raise ConfigError(
                f"hook: {path} runs several times in one pass, so it is not one layer"
            )
        n_rows, width = self._shape
        if tensor.shape[:-1] in ((1, width), (width,)):
            # The position embedding is computed once for all prompts.
            tensor = tensor.expand(n_rows, width, -1)
        if tensor.shape[:2] == (n_rows, width):
            tensor = tensor.flatten(0, 1)
        elif tensor.ndim != 2 or len(tensor) != n_rows * width:
            # Some blocks call their MLP with all tokens of a batch in one row.
            raise ConfigError(
                f"hook: {path} gives a tensor of shape {list(tensor.shape)}, not [{n_rows} "
                f"prompts, {width} tokens, …]"
            )
        chosen = tensor[self._tokens.to(tensor.device)].float()
        if tap.channels is not None:
            channels = torch.from_numpy(tap.channels).to(chosen.device)
            chosen = chosen[:, channels]
            if tap.projects:
                rows = matrix_of(module).float()[channels]
                chosen = torch.einsum("nhk,hkd->nhd", chosen, rows)
        self._keep(layer, chosen)

    def before_attention(self, block: int, call: AttentionCall) -> None:
        """Read the planned arguments of attention, [prompt, head, token, …]."""
        for layer, tap in self.taps_of(block):
            if tap.what in ("query", "key", "value"):
                argument = {"query": call.query, "key": call.key, "value": call.value}[tap.what]
                self._keep_heads(layer, tap, self._of_tokens(argument.transpose(1, 2)))

    def after_attention(
        self, block: int, eager: Kernel, call: AttentionCall, output: Tensor, pattern: Tensor | None
    ) -> None:
        """Read the planned results of attention; its output is [prompt, token, head, d_head]."""
        for layer, tap in self.taps_of(block):
            if tap.what == "output":
                self._keep_heads(layer, tap, self._of_tokens(output))
            elif tap.what in ("scores", "pattern"):
                self._keep_heads(layer, tap, self._over_keys(tap, eager, call, pattern))

    def _of_tokens(self, tensor: Tensor) -> Tensor:
        """Return the rows of the selected tokens of a tensor [prompt, token, …]."""
        return tensor.flatten(0, 1)[self._cells.to(tensor.device)]

    def _over_keys(
        self, tap: AttentionTap, eager: Kernel, call: AttentionCall, pattern: Tensor | None
    ) -> Tensor:
        """Return scores or pattern of the selected tokens, [token, head, key]."""
        width = self._longest_here
        prompts = self._cells // width
        # Tokens are ordered by prompt: the index of each among the selected ones of its prompt.
        places = torch.arange(len(prompts)) - torch.searchsorted(prompts, prompts)
        queries = torch.zeros(self._n_prompts, int(places.max()) + 1, dtype=torch.long)
        queries[prompts, places] = self._cells % width
        queries = queries.to(call.query.device)
        rows = call.pattern(eager, queries) if pattern is None else rows_of(pattern, queries)
        if tap.what == "scores":
            rows = call.scores(rows, queries)
        missing = (0, int(self._plan.selected.lengths.max()) - rows.shape[-1])
        return nn.functional.pad(rows[prompts, :, places], missing, value=_NO_KEY[tap.what])

    def _keep_heads(self, layer: int, tap: AttentionTap, chosen: Tensor) -> None:
        self._keep(layer, (chosen if tap.heads is None else chosen[:, list(tap.heads)]).float())

    def _keep(self, layer: int, chosen: Tensor) -> None:
        # Pooling that attention weighs waits for the attention; any other is done at once.
        self._read[layer] = chosen if self._blocks else self._pooled(chosen)
        self._finish()

    def _on_attention(self, block: int, _module: object, _args: Any, output: Any) -> None:
        if block in self._attention or not isinstance(output, tuple):
            return
        n_prompts, width = self._mask.shape
        for tensor in reversed(output):
            if not isinstance(tensor, Tensor) or tensor.ndim != 4:
                continue
            # T5 also returns its position bias, in the same shape as the probabilities.
            fits = tensor.shape[0] == n_prompts and tensor.shape[2:] == (width, width)
            if fits and tensor.min() >= 0 and tensor.max() <= 1.001:
                queries = self._mask.to(tensor.device)[:, :, None]
                received = (tensor.float().mean(1) * queries).sum(1)
                self._attention[block] = received.flatten()
                self._finish()
                return

    def _finish(self) -> None:
        if self.is_complete:
            self._done()

    def _pooled(self, chosen: Tensor, weights: Tensor | None = None) -> Tensor:
        """Pool the tokens of each sample: [token, *unit] to [sample, *unit]."""
        if len(chosen) == self._n_samples:
            return chosen
        sample = self._sample.to(chosen.device)
        shape = (self._n_samples, *chosen.shape[1:])
        if self._plan.pooling == "max":
            index = sample.reshape(-1, *[1] * (chosen.ndim - 1)).expand_as(chosen)
            return chosen.new_full(shape, -torch.inf).scatter_reduce_(0, index, chosen, "amax")
        weights = torch.ones(len(chosen)) if weights is None else weights
        weights = weights.to(chosen.device)
        total = chosen.new_zeros(self._n_samples).index_add_(0, sample, weights)
        share = (weights / total[sample]).reshape(-1, *[1] * (chosen.ndim - 1))
        return chosen.new_zeros(shape).index_add_(0, sample, chosen * share)

    def values(self) -> list[Tensor]:
        """Return the values of each layer, float32 [sample, *unit], on the device of the layer.

        Raises:
            ConfigError: a planned module that did not run, or layers of unequal shapes.
        """
        for layer, tap in enumerate(self._plan.taps):
            if layer not in self._read:
                raise ConfigError(
                    f"hook: {tap.path} does not run in this pass; see hook.stack for the decoder"
                )
            if self._blocks:
                if tap.block not in self._attention:
                    raise ConfigError(
                        "position=attention_mean: the model returns no attention probabilities"
                    )
                chosen = self._read[layer]
                weights = self._attention[tap.block][self._tokens.to(chosen.device)]
                self._read[layer] = self._pooled(chosen, weights)
        read = [self._read[layer] for layer in range(len(self._plan.taps))]
        shapes = {tuple(tensor.shape[1:]): () for tensor in read}
        if len(shapes) > 1:
            raise ConfigError(
                "hook: layers have units of different shapes, "
                f"{' and '.join(str(list(shape)) for shape in shapes)}; choose layers of one shape "
                "with hook.layers"
            )
        return read
