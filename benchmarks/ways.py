"""Ways to read activations at one target token: the library's, and those that it is held against.

Each way loads its model from a workload and returns a function that takes prompts; what that gives
is the work to be timed, and returns what it read, float32 [layer, sample, *unit]. All but the
library's own are handed tokens and target positions that are worked out beforehand.
"""

import contextlib
import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.ours import ours
from benchmarks.process import Taken, measured
from benchmarks.workloads import Workload, workload
from interp.data.positions import Target
from interp.data.prompts import PromptSet
from interp.hooks import HookPoint
from interp.hooks.heads import Pattern
from interp.hooks.neurons import MlpPre
from interp.hooks.residual import ResidPost
from interp.models.language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Values = NDArray[np.float32]
Work = Callable[[], Values]
Way = Callable[[Workload], Callable[[PromptSet], Work]]

# The MLP layer of benchmark 2: the sixth.
NEURON_LAYER = 5

# Prompts a pass of the ways that pad, and of the bare forward that pads less.
BATCH_SIZE, SMALLER = 128, 32


@dataclass(frozen=True)
class Batch:
    """A padded batch: ids and mask [prompt, token], and the target's index in each prompt."""

    ids: Tensor
    mask: Tensor
    targets: Tensor

    def at_targets(self, tensor: Tensor) -> Tensor:
        """Return what the target tokens have of a tensor [prompt, token, …]."""
        prompts = torch.arange(len(self.targets), device=self.targets.device)
        return tensor[prompts, self.targets]

    def rows_at_targets(self, pattern: Tensor) -> Tensor:
        """Return the targets' rows [prompt, head, key] of a pattern [prompt, head, query, key]."""
        return self.at_targets(pattern.transpose(1, 2))


def padded(model: LanguageModel, prompts: PromptSet, size: int = BATCH_SIZE) -> list[Batch]:
    """Return the prompts in their own order, each batch padded on the right to its longest."""
    tokens, position = list(model.tokenize(prompts.texts)), Target()
    batches = []
    for start in range(0, len(tokens), size):
        chosen = tokens[start : start + size]
        spans = prompts.targets[start : start + size]
        ids = torch.full((len(chosen), max(len(t.ids) for t in chosen)), model.pad_id)
        mask = torch.zeros_like(ids)
        for i, token in enumerate(chosen):
            ids[i, : len(token.ids)] = torch.as_tensor(np.array(token.ids, np.int64))
            mask[i, : len(token.ids)] = 1
        targets = [position(t, span)[0][0] for t, span in zip(chosen, spans, strict=True)]
        device = model.module.device
        batches.append(Batch(ids.to(device), mask.to(device), torch.tensor(targets, device=device)))
    return batches


def _by_batches(
    model: LanguageModel, read: Callable[[Batch], Tensor], size: int = BATCH_SIZE
) -> Callable[[PromptSet], Work]:
    """Return the work of reading [layer, sample, …] batch by batch."""

    def ready(prompts: PromptSet) -> Work:
        batches = padded(model, prompts, size)

        @torch.inference_mode()
        def forward() -> Values:
            return _joined([read(batch) for batch in batches])

        return forward

    return ready


def bare(size: int, work: Workload) -> Callable[[PromptSet], Work]:
    """Run the Hugging Face model without its head, and read nothing."""
    model = work.source.load()

    def read(batch: Batch) -> Tensor:
        model.module(input_ids=batch.ids, attention_mask=batch.mask)
        return torch.empty(0, len(batch.targets), 0)

    return _by_batches(model, read, size)


def hooked(
    paths: Callable[[Workload], Sequence[str]], work: Workload
) -> Callable[[PromptSet], Work]:
    """Read modules' outputs by plain forward hooks: what all other ways must agree with."""
    model = work.source.load()

    def read(batch: Batch) -> Tensor:
        with _outputs(model.module, paths(work)) as outputs:
            model.module(input_ids=batch.ids, attention_mask=batch.mask)
        return torch.stack([batch.at_targets(tensor) for tensor in outputs])

    return _by_batches(model, read)


def output_hidden_states(work: Workload) -> Callable[[PromptSet], Work]:
    """Ask the model for all hidden states.

    In a causal model the last one is after the final norm: the last block's own output is not
    among them, and is left out of what is returned.
    """
    model = work.source.load()
    own = slice(1, -1) if work.is_causal else slice(1, None)

    def read(batch: Batch) -> Tensor:
        output = model.module(
            input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True
        )
        return torch.stack([batch.at_targets(state) for state in output.hidden_states[own]])

    return _by_batches(model, read)


def output_attentions(work: Workload) -> Callable[[PromptSet], Work]:
    """Ask the model for all attention patterns, for which it runs the eager kernel."""
    model = dataclasses.replace(work.source, attention="eager").load()

    def read(batch: Batch) -> Tensor:
        output = model.module(
            input_ids=batch.ids, attention_mask=batch.mask, output_attentions=True
        )
        return torch.stack([batch.rows_at_targets(pattern) for pattern in output.attentions])

    return _by_batches(model, read)


def transformer_lens(site: str, work: Workload) -> Callable[[PromptSet], Work]:
    """Run TransformerLens's `run_with_cache` with a filter of the names asked for."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    model = work.source.load(head=True)
    with tempfile.TemporaryDirectory() as folder:
        # It asks the tokenizer for the place that it was loaded from.
        model.tokenizer.save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            work.published_as,
            hf_model=_with_head(model),
            tokenizer=AutoTokenizer.from_pretrained(folder),
            device="cpu",
        )
    names = [f"blocks.{i}.{site}" for i in range(work.n_layers)]

    def read(batch: Batch) -> Tensor:
        _, cache = bridge.run_with_cache(batch.ids, attention_mask=batch.mask, names_filter=names)
        choose = batch.rows_at_targets if "pattern" in site else batch.at_targets
        return torch.stack([choose(cache[name]) for name in names])

    return _by_batches(model, read)


def _with_head(model: LanguageModel) -> "PreTrainedModel":
    """Return the model with a head: the bridge refuses a BERT without one."""
    from transformers import BertForMaskedLM

    if model.head is not None:
        return model.head
    with_head = BertForMaskedLM(model.module.config).eval()
    kept = {k: v for k, v in model.module.state_dict().items() if not k.startswith("pooler.")}
    with_head.bert.load_state_dict(kept)
    return with_head


def nnsight(work: Workload) -> Callable[[PromptSet], Work]:
    """Save the blocks' outputs at the targets inside an nnsight trace."""
    from nnsight import NNsight

    model = work.source.load()
    traced = NNsight(model.module)

    def read(batch: Batch) -> Tensor:
        with traced.trace(input_ids=batch.ids, attention_mask=batch.mask):
            chosen = []
            for block in _blocks(traced, work):
                output = block.output
                tensor = output if isinstance(output, Tensor) else output[0]
                chosen.append(batch.at_targets(tensor))
            # What is saved is there when the trace has ended.
            layers: Tensor = torch.stack(chosen).save()
        return layers

    return _by_batches(model, read)


def _blocks(traced: Any, work: Workload) -> Any:
    for name in work.blocks.split("."):
        traced = getattr(traced, name)
    return traced


def own(hook: Callable[[Workload], HookPoint], work: Workload) -> Callable[[PromptSet], Work]:
    """Read with the library itself."""
    work.source.load()
    return lambda prompts: lambda: ours(work.source, prompts, hook(work), Target())


@contextlib.contextmanager
def _outputs(module: nn.Module, paths: Iterable[str]) -> Iterator[list[Tensor]]:
    """Collect the modules' outputs in the order in which they run."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, output: Any) -> None:
        found.append(output if isinstance(output, Tensor) else output[0])

    handles = [module.get_submodule(path).register_forward_hook(keep) for path in paths]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _joined(read: list[Tensor]) -> Values:
    """Join batches of [layer, sample, …]; patterns are filled up with zeros to the longest."""
    width = max(tensor.shape[-1] for tensor in read)
    wide = [nn.functional.pad(tensor, (0, width - tensor.shape[-1])) for tensor in read]
    return torch.cat(wide, dim=1).float().cpu().numpy()


def _every_block(work: Workload) -> list[str]:
    return [f"{work.blocks}.{i}" for i in range(work.n_layers)]


def neuron_layer(work: Workload) -> int:
    """Return the layer whose neurons are read: the sixth, or the middle one of a small model."""
    return min(NEURON_LAYER, work.n_layers // 2)


WAYS: dict[str, Way] = {
    "bare": partial(bare, BATCH_SIZE),
    "bare, smaller batches": partial(bare, SMALLER),
    "hooks on every block": partial(hooked, _every_block),
    "hooks on the last block": partial(hooked, lambda work: _every_block(work)[-1:]),
    "hooks on one MLP": partial(hooked, lambda work: [f"h.{neuron_layer(work)}.mlp.c_fc"]),
    "output_hidden_states": output_hidden_states,
    "output_attentions": output_attentions,
    "TransformerLens, residual": partial(transformer_lens, "hook_resid_post"),
    "TransformerLens, pattern": partial(transformer_lens, "attn.hook_pattern"),
    "nnsight": nnsight,
    "ours, every block": partial(own, lambda work: ResidPost()),
    "ours, last block": partial(own, lambda work: ResidPost(layers=work.n_layers - 1)),
    "ours, one MLP": partial(own, lambda work: MlpPre(layers=neuron_layer(work))),
    "ours, pattern": partial(own, lambda work: Pattern()),
}
_PACKAGES = {"TransformerLens": "transformer_lens", "nnsight": "nnsight"}


def missing_package(way: str) -> str:
    """Return why a way cannot be run here; "" where nothing is missing."""
    package = _PACKAGES.get(way.partition(",")[0])
    if package is None or importlib.util.find_spec(package):
        return ""
    return f"{package} is not installed: pip install '.[bench]'"


def run(way: str, on: str, small: bool, values: str) -> dict[str, float | None]:
    """Load, warm up on two prompts, and measure one way; called in a process of its own.

    Args:
        way: its name.
        on: the workload's name.
        small: whether that is cut down.
        values: the file that what was read is written to.
    """
    work = workload(on, small=small)
    ready = WAYS[way](work)
    ready(work.first(2))()
    found, taken = measured(ready(work.prompts), work.source.device)
    with open(values, "wb") as file:  # noqa: PTH123 — NumPy would add an ending to a path
        np.save(file, found)
    return dataclasses.asdict(taken)


__all__ = ["WAYS", "Taken", "missing_package", "neuron_layer", "run"]
