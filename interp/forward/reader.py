"""Reads the planned tensors of a batch inside the forward pass, so that nothing else leaves it."""

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
from interp.models.tracing import matrix_of

# What a key that a prompt does not have stands at, as if it were masked.
_NO_KEY = {"scores": -torch.inf, "pattern": 0.0}


class Reader:
    """Gathers what one plan reads of a batch.

    Args:
        what: what is read.
        layout: where the batch's tokens lie.
        samples: the tokens of each sample: the prompt's number in the batch, and their indices.
        done: called when all is read.
    """

    def __init__(
        self,
        what: CapturePlan,
        layout: Layout,
        samples: Sequence[tuple[int, NDArray[np.int64]]],
        done: Callable[[], None],
    ) -> None:
        self._what = what
        self._shape = layout.ids.shape
        self._mask = torch.from_numpy(layout.mask)
        self._done = done
        sizes = np.array([len(tokens) for _, tokens in samples])
        prompts = np.repeat([prompt for prompt, _ in samples], sizes)
        tokens = np.concatenate([tokens for _, tokens in samples])
        # Attention sees a row a prompt, also where all else sees one row.
        self._cells = torch.from_numpy(prompts * layout.place.shape[1] + tokens)
        self._tokens = torch.from_numpy(layout.place[prompts, tokens])
        self._longest_here = layout.place.shape[1]
        self._n_prompts = len(layout.lengths)
        self._sample = torch.from_numpy(np.repeat(np.arange(len(samples)), sizes))
        self._n_samples = len(samples)
        self._read: dict[int, Tensor] = {}
        self._attention: dict[int, Tensor] = {}
        self._blocks = {tap.block for tap in what.taps} if what.pooling == "attention" else set()

    @property
    def is_complete(self) -> bool:
        """Whether all is read."""
        complete = len(self._read) == len(self._what.taps)
        return complete and self._blocks == self._attention.keys()

    @contextmanager
    def attached(self, model: LanguageModel) -> Iterator[None]:
        """Hook the planned tensors for the length of the context."""
        with ExitStack() as hooks:
            for layer, tap in enumerate(self._what.taps):
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
                path = model.stack(self._what.stack).blocks[block_number]
                for module in model.module.get_submodule(path).modules():
                    look = partial(self._on_attention, block_number)
                    hooks.callback(module.register_forward_hook(look).remove)
            yield

    def taps_of(self, block: int) -> list[tuple[int, AttentionTap]]:
        """Return what is planned of a block's attention."""
        return [
            (layer, tap)
            for layer, tap in enumerate(self._what.taps)
            if isinstance(tap, AttentionTap) and tap.block == block
        ]

    def _on_tap(self, layer: int, tap: Tap, module: nn.Module, args: Any, found: Any) -> None:
        # A pre-hook's last argument is the keyword arguments, a forward hook's is the output.
        if tap.side == "input":
            found = args or (found["hidden_states"],)
        tensor = found if isinstance(found, Tensor) else found[0]
        path = tap.path or "the model"
        if layer in self._read:
            raise ConfigError(f"hook: {path} runs several times in one pass, so it is no one layer")
        n_rows, width = self._shape
        if tensor.shape[:-1] in ((1, width), (width,)):
            # Positions are embedded once for all prompts.
            tensor = tensor.expand(n_rows, width, -1)
        if tensor.shape[:2] == (n_rows, width):
            tensor = tensor.flatten(0, 1)
        elif tensor.ndim != 2 or len(tensor) != n_rows * width:
            # Some blocks hand their MLP all tokens of a batch in one row.
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
        """Read what is planned of what attention is handed, [prompt, head, token, …]."""
        for layer, tap in self.taps_of(block):
            if tap.what in ("query", "key", "value"):
                handed = {"query": call.query, "key": call.key, "value": call.value}[tap.what]
                self._keep_heads(layer, tap, self._of_tokens(handed.transpose(1, 2)))

    def after_attention(
        self, block: int, eager: Kernel, call: AttentionCall, given: Tensor, pattern: Tensor | None
    ) -> None:
        """Read what is planned of what attention gives, [prompt, token, head, …]."""
        for layer, tap in self.taps_of(block):
            if tap.what == "output":
                self._keep_heads(layer, tap, self._of_tokens(given))
            elif tap.what in ("scores", "pattern"):
                self._keep_heads(layer, tap, self._over_keys(tap, eager, call, pattern))

    def _of_tokens(self, tensor: Tensor) -> Tensor:
        """Return what the chosen tokens have of a tensor [prompt, token, …]."""
        return tensor.flatten(0, 1)[self._cells.to(tensor.device)]

    def _over_keys(
        self, tap: AttentionTap, eager: Kernel, call: AttentionCall, pattern: Tensor | None
    ) -> Tensor:
        """Return scores or pattern of the chosen tokens, [token, head, key]."""
        width = self._longest_here
        prompts = self._cells // width
        # Tokens come prompt by prompt: the place of each among its own prompt's.
        places = torch.arange(len(prompts)) - torch.searchsorted(prompts, prompts)
        queries = torch.zeros(self._n_prompts, int(places.max()) + 1, dtype=torch.long)
        queries[prompts, places] = self._cells % width
        queries = queries.to(call.query.device)
        rows = call.pattern(eager, queries) if pattern is None else rows_of(pattern, queries)
        if tap.what == "scores":
            rows = call.scores(rows, queries)
        missing = (0, int(self._what.selected.lengths.max()) - rows.shape[-1])
        return nn.functional.pad(rows[prompts, :, places], missing, value=_NO_KEY[tap.what])

    def _keep_heads(self, layer: int, tap: AttentionTap, chosen: Tensor) -> None:
        self._keep(layer, (chosen if tap.heads is None else chosen[:, list(tap.heads)]).float())

    def _keep(self, layer: int, chosen: Tensor) -> None:
        # Pooling waits for the attention where that weighs it, and is done at once elsewhere.
        self._read[layer] = chosen if self._blocks else self._pooled(chosen)
        self._tell()

    def _on_attention(self, block: int, _module: object, _args: Any, output: Any) -> None:
        if block in self._attention or not isinstance(output, tuple):
            return
        n_prompts, width = self._mask.shape
        for tensor in reversed(output):
            if not isinstance(tensor, Tensor) or tensor.ndim != 4:
                continue
            # T5 returns its position bias beside the probabilities, in the same shape.
            fits = tensor.shape[0] == n_prompts and tensor.shape[2:] == (width, width)
            if fits and tensor.min() >= 0 and tensor.max() <= 1.001:
                queries = self._mask.to(tensor.device)[:, :, None]
                received = (tensor.float().mean(1) * queries).sum(1)
                self._attention[block] = received.flatten()
                self._tell()
                return

    def _tell(self) -> None:
        if self.is_complete:
            self._done()

    def _pooled(self, chosen: Tensor, weights: Tensor | None = None) -> Tensor:
        """Pool the tokens of each sample: [token, *unit] to [sample, *unit]."""
        if len(chosen) == self._n_samples:
            return chosen
        sample = self._sample.to(chosen.device)
        shape = (self._n_samples, *chosen.shape[1:])
        if self._what.pooling == "max":
            index = sample.reshape(-1, *[1] * (chosen.ndim - 1)).expand_as(chosen)
            return chosen.new_full(shape, -torch.inf).scatter_reduce_(0, index, chosen, "amax")
        weights = torch.ones(len(chosen)) if weights is None else weights
        weights = weights.to(chosen.device)
        total = chosen.new_zeros(self._n_samples).index_add_(0, sample, weights)
        share = (weights / total[sample]).reshape(-1, *[1] * (chosen.ndim - 1))
        return chosen.new_zeros(shape).index_add_(0, sample, chosen * share)

    def values(self) -> list[Tensor]:
        """Return what was read, float32 [sample, *unit] of each layer, where it was computed.

        Raises:
            ConfigError: a tensor that the pass did not come by, or layers of unequal shapes.
        """
        for layer, tap in enumerate(self._what.taps):
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
        read = [self._read[layer] for layer in range(len(self._what.taps))]
        shapes = {tuple(tensor.shape[1:]): () for tensor in read}
        if len(shapes) > 1:
            raise ConfigError(
                "hook: layers have units of different shapes, "
                f"{' and '.join(str(list(shape)) for shape in shapes)}; choose layers of one shape "
                "with hook.layers"
            )
        return read
